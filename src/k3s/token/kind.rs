//! The two tokens of a cluster: the server token, and the agent token where agents have one of their own.

use crate::k3s::knock::Role;

/// Which of a cluster's tokens is meant.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Deserialize, serde::Serialize,
)]
#[serde(rename_all = "snake_case")]
pub enum TokenKind {
    /// Joins servers, and agents too where they have none of their own. The datastore is encrypted with it.
    #[default]
    Server,
    /// Joins agents alone. Nothing is encrypted with it; a server takes it at its start.
    Agent,
}

impl TokenKind {
    /// As whom it is shown to a supervisor, which is also its row in `server/cred/passwd`.
    #[must_use]
    pub fn role(self) -> Role {
        match self {
            Self::Server => Role::Server,
            Self::Agent => Role::Node,
        }
    }

    /// As people call it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Server => "server token",
            Self::Agent => "agent token",
        }
    }

    /// The same where the server token goes without saying.
    #[must_use]
    pub fn short(self) -> &'static str {
        match self {
            Self::Server => "token",
            Self::Agent => "agent token",
        }
    }

    /// The file below the data directory in which K3s itself keeps it.
    #[must_use]
    pub const fn own_file(self) -> &'static str {
        match self {
            Self::Server => "server/token",
            Self::Agent => "server/agent-token",
        }
    }

    /// Where OLD is kept until the proof, below the data directory.
    #[must_use]
    pub const fn kept(self) -> &'static str {
        match self {
            Self::Server => "server/.keyroll/old",
            Self::Agent => "server/.keyroll/old-agent",
        }
    }

    /// Where a green proof leaves word, below the data directory.
    #[must_use]
    pub const fn proven(self) -> &'static str {
        match self {
            Self::Server => "server/.keyroll/proven",
            Self::Agent => "server/.keyroll/proven-agent",
        }
    }

    /// The built-in playbook that rotates it.
    #[must_use]
    pub fn playbook(self) -> &'static str {
        match self {
            Self::Server => "@rotate-token",
            Self::Agent => "@rotate-agent-token",
        }
    }
}
