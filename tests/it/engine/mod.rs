//! The engine over a small transport in memory: what is performed, in which order, and what is written when.

mod fleet;
mod redaction;
mod runs;
mod stopping;
