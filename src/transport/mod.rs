//! Carries batches to hosts: over SSH, as one script a batch.

pub mod script;
pub mod ssh;
