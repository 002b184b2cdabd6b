//! What fuzzing checks: one function per target, shared by the targets and the tests.

// The targets take this file in from elsewhere, and the compiler looks for the others by where it was taken from.
#[path = "checks/bodies.rs"]
mod bodies;
#[path = "checks/catalogs.rs"]
mod catalogs;
#[path = "checks/document.rs"]
pub(crate) mod document;
#[path = "checks/heads.rs"]
mod heads;
#[path = "checks/places.rs"]
pub(crate) mod places;
#[path = "checks/reference.rs"]
pub(crate) mod reference;

pub(crate) use bodies::{check_body, check_events, check_frames};
pub(crate) use catalogs::check_catalog;
pub(crate) use heads::{check_head, check_retry_after};
