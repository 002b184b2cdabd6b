//! The provider over real HTTP, on loopback.

mod support;

mod dialects;
mod quotas;

mod admin;
mod endings;
