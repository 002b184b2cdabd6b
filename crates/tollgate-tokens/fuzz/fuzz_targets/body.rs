//! Fuzzes the scanner: any body, in any dialect and framing, cut anywhere.

#![no_main]

#[path = "../../tests/fuzz/checks.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "each target calls one of the checks"
)]
mod checks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| checks::check_body(data));
