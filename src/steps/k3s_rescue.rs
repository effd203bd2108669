//! `k3s_rescue`: brings back a server that a token keeps from starting, or an agent whose token is refused.
//!
//! What is to be done is judged purely in `k3s::rescue`; this looks, keeps what will go, and proposes. Nothing is
//! remembered between its states: each finds by looking what is left, so that each can be cut and run again.

mod again;
mod agent;
mod backup;
mod case;
mod examine;
mod proof;
mod refusals;
mod server;
mod witness;

use serde::Deserialize;

use super::look::Seen;
use super::{Proposal, StepError, Unmet};
use crate::facts::Probe;
use crate::k3s::install::Kind;

/// `k3s_rescue`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct K3sRescue {
    /// What should hold.
    pub state: State,
}

/// What can hold of a host that needed help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is certain whether a rotate that was begun has ended well.
    Witnessed,
    /// What will be replaced or removed lies in `server/.keyroll/rescue-<run>/`.
    Kept,
    /// It runs with the right token.
    Mended,
    /// The right token is accepted, and no other that is known.
    Proven,
    /// A server that was mended was restarted once more.
    Restarted,
}

impl K3sRescue {
    pub(super) async fn propose(&self, probe: &Probe<'_>) -> Result<Proposal, StepError> {
        let seen = match Seen::own(probe).await? {
            Ok(seen) => seen,
            Err(unmet) => return Ok(Proposal::refuse(unmet)),
        };
        if let Some(fault) = seen.misplaced(probe.fleet()) {
            return Ok(Proposal::refuse(vec![Unmet::of_fault(&fault)]));
        }
        match (self.state, seen.install.kind) {
            (State::Witnessed, Kind::Server) => witness::propose(probe, &seen).await,
            (State::Kept, _) => backup::propose(probe, &seen).await,
            (State::Mended, Kind::Server) => server::propose(probe, &seen).await,
            (State::Mended, Kind::Agent) => agent::propose(probe, &seen).await,
            (State::Proven, Kind::Server) => proof::of_server(probe, &seen).await,
            (State::Proven, Kind::Agent) => proof::of_agent(probe, &seen).await,
            (State::Restarted, Kind::Server) => again::propose(probe, &seen).await,
            (State::Witnessed | State::Restarted, Kind::Agent) => Ok(Proposal::default()),
        }
    }
}
