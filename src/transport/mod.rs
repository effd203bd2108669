//! Ways to hosts: each carries typed requests there and brings typed answers back.

pub mod script;
pub mod sim;
pub mod ssh;
