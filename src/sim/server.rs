//! A server process: how it starts, what it keeps in memory, and what it answers.
//!
//! Credentials are fixed in memory at the start, so that a rotate shows only after a restart.

mod answer;
mod kubeconfig;
mod reset;
mod rotate;
mod start;

use serde::{Deserialize, Serialize};

use super::settings::Settings;
use super::version::Version;
use super::world::Line;

pub use kubeconfig::OWN as KUBECONFIG;
pub use reset::Reset;
pub use rotate::reason_of;
pub use start::{Failure, PeerReply, Starting, join_of};

/// What keeps the cluster's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Backend {
    /// A file of the only server.
    Sqlite,
    /// A database outside of K3s.
    External,
    /// A member of embedded etcd.
    Etcd,
    /// The embedded etcd of other servers (`disable-etcd`).
    Remote,
}

impl Backend {
    /// What the settings ask for.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        if settings.endpoint().is_some() {
            Self::External
        } else if settings.is_set("disable-etcd") {
            Self::Remote
        } else if settings.is_set("cluster-init") || settings.join().is_some() || settings.is_member
        {
            Self::Etcd
        } else {
            Self::Sqlite
        }
    }
}

/// A running server's memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// What it was told at its start.
    pub settings: Settings,
    /// Which K3s it is.
    pub version: Version,
    /// What keeps its data.
    pub backend: Backend,
    /// What user `server` must show.
    secret: String,
    /// What user `node` must show.
    agent_secret: String,
    /// The token under which it finds its bootstrap data; a rotate changes this alone.
    datastore_secret: String,
    /// The CA that it serves.
    ca: String,
}

/// How a start went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// What it logged.
    pub lines: Vec<Line>,
    /// The process, or why it ended with status 1.
    pub outcome: Result<Server, Failure>,
}
