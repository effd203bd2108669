//! Rotates the join token of a live K3s cluster over SSH, and proves that the old one is dead.
//!
//! A playbook × an inventory is built into one plan, and one loop performs the plan. Modules stand in reading order.

pub mod app;
pub mod cli;
pub mod clock;
pub mod engine;
pub mod escrow;
pub mod event;
pub mod exit;
pub mod facts;
pub mod findings;
pub mod inventory;
pub mod journal;
pub mod k3s;
pub mod model;
pub mod op;
pub mod plan;
pub mod playbook;
pub mod report;
pub mod secret;
pub mod sim;
pub mod source;
#[cfg(feature = "standin")]
pub mod standin;
pub mod steps;
pub mod template;
pub mod transport;
pub mod wire;
