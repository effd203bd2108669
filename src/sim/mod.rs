//! A model of a K3s fleet: what its processes do to files, datastore and each other. Pure: no clock, no I/O.
//!
//! The core (`server`, `agent`, `kubectl`, `kube`) is handed files, a datastore and certificates by the traits in
//! `world`, so that two front ends share it: `fleet`, a whole fleet in memory behind `transport::sim`, and a real
//! process on lab hosts. Both start a server in two strides: ask the peer of `server::join_of`, then run
//! `server::Starting`; while it runs, `Server::answer` takes requests and `bootstrap::Replica` keeps a member's copy. Every rule honours what was measured on real K3s.

pub mod world;

pub mod version;

pub mod token;

pub mod tokens;

pub mod parse;

pub mod settings;

pub mod passwd;

pub mod bootstrap;

pub mod pki;

pub mod server;

pub mod agent;

pub mod kube;

pub mod kubectl;

pub mod objects;

pub mod call;

pub mod dress;

pub mod unpack;

pub mod etcd;

pub mod sqlite;

pub mod fault;

pub mod fleet;

pub mod spec;

pub use fleet::Fleet;
pub use spec::Spec;
