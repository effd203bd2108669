//! What K3s is: token grammar, surfaces and their order, answers of its supervisor, order of servers, phases.
//!
//! Pure: no clock, no I/O, no host. Every rule here cites what was measured on real K3s or read in its source.

pub mod age;
pub mod install;
pub mod journal;
pub mod knock;
pub mod leftovers;
pub mod openrc;
pub mod order;
pub mod others;
pub mod phase;
pub mod program;
pub mod rescue;
pub mod restore;
pub mod sqlite;
pub mod surface;
pub mod token;
pub mod unsaved;
pub mod version;
