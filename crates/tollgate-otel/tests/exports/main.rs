//! What leaves the process: metrics, spans, the bytes of an OTLP export, and the page that documents them.

mod readback;

mod metrics;

mod headroom;
mod otlp;
mod page;
mod spans;
