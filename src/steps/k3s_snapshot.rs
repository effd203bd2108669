//! `k3s_snapshot`: a snapshot of the datastore, named after the rotation that it belongs to.

mod etcd;
mod sqlite;

use serde::Deserialize;

use super::look::Cluster;
use super::{Proposal, StepError, Unmet};
use crate::facts::Probe;
use crate::k3s::install::Datastore;
use crate::k3s::phase::Standing;
use crate::k3s::token;
use crate::template::Templated;

/// `k3s_snapshot`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct K3sSnapshot {
    /// Begins the snapshot's name; a tag of the new token follows, so that each rotation has its own. What begins
    /// with `before` belongs to the time before the rotate, and is not taken after it.
    pub name: Templated<String>,
    /// Where OLD is to be kept off the host: not built yet, and refused when it is given.
    #[serde(default)]
    pub escrow: Option<Templated<String>>,
}

impl K3sSnapshot {
    pub(super) async fn propose(&self, probe: &Probe<'_>) -> Result<Proposal, StepError> {
        let name = self.name.render(probe.vars())?;
        if let Some(escrow) = &self.escrow
            && escrow.render_optional(probe.vars())?.is_some()
        {
            return Ok(Proposal::refuse(vec![no_escrow()]));
        }
        let cluster = Cluster::around(probe).await;
        let standing = match cluster.standing()? {
            Ok(standing) => standing,
            Err(unmet) => return Ok(Proposal::refuse(unmet)),
        };
        let name = format!("{name}-{}", token::tag(&standing.new));
        taken(probe, &cluster, standing, &name).await
    }
}

/// What is left to do until the snapshot is there.
async fn taken(
    probe: &Probe<'_>,
    cluster: &Cluster,
    standing: &Standing,
    name: &str,
) -> Result<Proposal, StepError> {
    let too_late = name.starts_with("before") && standing.is_rotated();
    if etcd::members(cluster).next().is_some() {
        let is_there = etcd::holder(cluster, name).is_some();
        return Ok(if is_there || too_late {
            Proposal::default()
        } else {
            etcd::take(cluster, standing, name)
        });
    }
    let of = |datastore| {
        let mut servers = cluster.servers.iter();
        servers.find(|server| server.seen.install.datastore == datastore)
    };
    match of(Datastore::Sqlite) {
        _ if of(Datastore::External).is_some() => Ok(Proposal::note(EXTERNAL)),
        Some(server) if sqlite::is_there(&server.seen, name) => {
            sqlite::check(probe, &server.seen, name).await
        }
        Some(server) if !too_late => sqlite::take(probe, &server.seen, name).await,
        _ => Ok(Proposal::default()),
    }
}

const EXTERNAL: &str = "no snapshot is taken: the datastore is a database of yours, which keyroll cannot copy; take a copy of \
your database now, with its own tools";

fn no_escrow() -> Unmet {
    Unmet::new(
        "no-escrow",
        "keeping the old token off the host (`escrow`) is not built yet",
        "take `escrow` out of the playbook; the old token stays in server/.keyroll/old until the proof is green",
    )
}
