//! The simulated transport.
