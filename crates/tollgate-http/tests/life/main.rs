//! The whole life of calls: an exchange between a caller and a scripted inner client, in virtual time.

mod support;

// One call.
mod cancel;
mod endings;
mod handed_over;
mod lower;
mod passes;
mod preflight;
mod unknown;

// Several attempts, several calls.
mod headers;
mod retries;
mod storm;
mod throttle;

mod secrets;
