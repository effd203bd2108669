//! Carries batches to hosts: over SSH, or to the simulated fleet.

pub mod script;
pub mod sim;
pub mod ssh;
