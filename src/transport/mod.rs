//! Ways to hosts: each carries typed requests there and brings typed answers back.

pub mod sim;
