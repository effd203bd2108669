//! `k3s_preflight`: looks at a host before anything is changed, and says everything that stands in the way at once.
//! The first server also speaks for the fleet.

mod agent;
mod agent_token;
mod ahead;
mod around;
mod clocks;
mod durable;
mod encryption;
mod flags;
mod fleet;
mod joins;
mod limited;
mod measured;
mod others;
mod process;
mod quorum;
mod ready;
mod sight;
mod sudo;
mod unit;

use std::sync::Arc;

use futures::future::join;
use serde::Deserialize;

use super::look::{Blind, Cluster, Freshness, Seen};
use super::{Proposal, StepError, Unmet};
use crate::facts::{FactError, Probe};
use crate::k3s::token::TokenKind;
use crate::wire::TransportError;

pub(super) use agent_token::differ;
pub(in crate::steps) use agent_token::half_way;
pub use agent_token::to_come;
pub use sight::Sight;

/// `k3s_preflight`
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct K3sPreflight {
    /// What is to be rotated. Default: the server token.
    #[serde(default)]
    pub kind: Aim,
}

/// What a preflight is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aim {
    /// The server token, which is every agent's too where there is no agent token.
    #[default]
    Server,
    /// The agent token.
    Agent,
    /// First the agent token, then the server token.
    Both,
}

impl Aim {
    /// Which token agents will be given.
    fn of_agents(self) -> TokenKind {
        match self {
            Self::Server => TokenKind::Server,
            Self::Agent | Self::Both => TokenKind::Agent,
        }
    }
}

impl K3sPreflight {
    pub(super) async fn propose(&self, probe: &Probe<'_>) -> Result<Proposal, StepError> {
        let (seen, cluster) = match look(probe).await {
            (Ok(seen), cluster) => (seen, cluster),
            (Err(Blind::Unasked(error)), _) => return Err(or_gone(error).into()),
            (Err(Blind::Faulty(fault)), _) => {
                return Ok(Proposal::refuse(vec![Unmet::of_fault(&fault)]));
            }
        };
        let sight = Sight::take(probe, &seen, &cluster, self.kind).await?;
        let (mut proposal, found, unasked) = match sight.judge(probe).await {
            Ok((proposal, found)) => (proposal, found, None),
            Err(error) => (Proposal::default(), Vec::new(), Some(error)),
        };
        for finding in sight.findings().into_iter().chain(found) {
            finding.into_proposal(&mut proposal);
        }
        // What this host has of its own is said although another one cannot be asked.
        match unasked.filter(|_| proposal.unmet.is_empty()) {
            Some(error) => Err(error),
            None => Ok(proposal),
        }
    }
}

/// A machine that does not answer may be none any more.
fn or_gone(error: FactError) -> FactError {
    match error {
        FactError::Transport(TransportError::Unreachable { host, why, hint }) => {
            let hint = format!(
                "{hint}; where that machine is gone for good: take {host} out of the inventory, and its node out of the cluster (kubectl delete node NAME), or add --ignore-node NAME"
            );
            FactError::Transport(TransportError::Unreachable { host, why, hint })
        }
        error => error,
    }
}

/// The task's own host and all servers, now. A server is looked at once.
pub async fn look(probe: &Probe<'_>) -> (Result<Seen, Blind>, Arc<Cluster>) {
    let host = probe.host();
    if !probe.fleet().is_server(host) {
        let own = Seen::look(probe, host, Freshness::Now);
        return join(own, Cluster::around(probe, TokenKind::Server)).await;
    }
    let cluster = Cluster::around(probe, TokenKind::Server).await;
    let blind = cluster.blind.iter().find(|(name, _)| name == host);
    let seen = match (cluster.server(host), blind) {
        (Some(server), _) => Ok(server.seen.clone()),
        (None, Some((_, blind))) => Err(blind.clone()),
        (None, None) => Seen::look(probe, host, Freshness::Now).await,
    };
    (seen, cluster)
}
