//! Why a batch has no answer, and what is then known of what it did.

use super::Response;
use crate::model::HostName;

/// Why a batch has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TransportError {
    /// Nothing of the batch was done; it may be sent again.
    #[error("{host}: the connection broke before anything was started: {why}")]
    NotStarted {
        /// Which host.
        host: HostName,
        /// What was seen.
        why: String,
    },
    /// The connection broke after the batch was sent: what it did is not known.
    #[error("{host}: the connection was lost, and what was under way there is not known: {why}")]
    Unknown {
        /// Which host.
        host: HostName,
        /// The answers that did arrive.
        done: Vec<Response>,
        /// What was seen.
        why: String,
    },
    /// The host cannot be reached: no route, refused, timed out, unknown host key.
    #[error("{host} cannot be reached: {why}")]
    Unreachable {
        /// Which host.
        host: HostName,
        /// What was seen.
        why: String,
        /// What to do next.
        hint: String,
    },
    /// The host refused us: key, sudo.
    #[error("{host} refuses us: {why}")]
    Denied {
        /// Which host.
        host: HostName,
        /// What was seen.
        why: String,
        /// What to do next.
        hint: String,
    },
    /// The simulated fleet has no model of this request.
    #[error("{host}: the simulated fleet does not know how to answer `{request}`")]
    Unmodelled {
        /// Which host.
        host: HostName,
        /// The request.
        request: String,
    },
}

impl TransportError {
    /// What to do next, when the transport knows.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Unreachable { hint, .. } | Self::Denied { hint, .. } => Some(hint),
            _ => None,
        }
    }
}
