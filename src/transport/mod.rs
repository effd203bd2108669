//! Carries batches to hosts: over SSH, as one script a batch, or to the simulated fleet.

pub mod script;
pub mod sim;
pub mod ssh;
