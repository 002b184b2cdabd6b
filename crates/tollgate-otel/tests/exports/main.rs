//! What leaves the process: metrics, spans, the bytes of an OTLP export, and the page that documents them.

mod events;
mod readback;

mod calls;
mod permits;

mod documented;
mod headroom;
mod otlp;
mod page;
mod spans;
