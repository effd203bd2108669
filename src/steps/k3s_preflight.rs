//! `k3s_preflight`: looks at a host before anything is changed, and says everything that stands in the way at once.
//! The first server also speaks for the fleet.

mod agent;
mod around;
mod clocks;
mod flags;
mod fleet;
mod measured;
mod process;
mod sight;
mod unit;

use std::sync::Arc;

use futures::future::join;
use serde::Deserialize;

use super::look::{Blind, Cluster, Freshness, Seen};
use super::{Proposal, StepError, Unmet};
use crate::facts::Probe;

pub use sight::Sight;

/// `k3s_preflight`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct K3sPreflight {}

impl K3sPreflight {
    pub(super) async fn propose(&self, probe: &Probe<'_>) -> Result<Proposal, StepError> {
        let (seen, cluster) = match look(probe).await {
            (Ok(seen), cluster) => (seen, cluster),
            (Err(Blind::Unasked(error)), _) => return Err(error.into()),
            (Err(Blind::Faulty(fault)), _) => {
                return Ok(Proposal::refuse(vec![Unmet::of_fault(&fault)]));
            }
        };
        let sight = Sight::take(probe, &seen, &cluster).await?;
        let mut proposal = sight.judge(probe).await?;
        for finding in sight.findings() {
            finding.into_proposal(&mut proposal);
        }
        Ok(proposal)
    }
}

/// The task's own host and all servers, now. A server is looked at once.
pub async fn look(probe: &Probe<'_>) -> (Result<Seen, Blind>, Arc<Cluster>) {
    let host = probe.host();
    if !probe.fleet().is_server(host) {
        let own = Seen::look(probe, host, Freshness::Now);
        return join(own, Cluster::around(probe)).await;
    }
    let cluster = Cluster::around(probe).await;
    let blind = cluster.blind.iter().find(|(name, _)| name == host);
    let seen = match (cluster.server(host), blind) {
        (Some(server), _) => Ok(server.seen.clone()),
        (None, Some((_, blind))) => Err(blind.clone()),
        (None, None) => Seen::look(probe, host, Freshness::Now).await,
    };
    (seen, cluster)
}
