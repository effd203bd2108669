//! `k3s_snapshot`: a snapshot of the datastore, named after the rotation that it belongs to.

mod etcd;
mod off_host;
pub(super) mod sqlite;

use serde::Deserialize;

use off_host::Desk;

use super::look::Cluster;
use super::{Proposal, StepError, Unmet};
use crate::facts::Probe;
use crate::k3s::install::Datastore;
use crate::k3s::phase::Standing;
use crate::k3s::token::{self, TokenKind};
use crate::op::custody::Choice;
use crate::template::Templated;

/// `k3s_snapshot`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct K3sSnapshot {
    /// Begins the snapshot's name; a tag of the new token follows, so that each rotation has its own. What begins
    /// with `before` belongs to the time before the rotate, and is not taken after it.
    pub name: Templated<String>,
    /// The task that keeps OLD off the hosts has this key: a folder, or nothing for the usual one. To whom it is
    /// encrypted only the command line says.
    #[serde(default)]
    pub escrow: Option<Templated<String>>,
}

impl K3sSnapshot {
    pub(super) async fn propose(&self, probe: &Probe<'_>) -> Result<Proposal, StepError> {
        let name = self.name.render(probe.vars())?;
        let folder = match &self.escrow {
            Some(folder) => folder.render_optional(probe.vars())?,
            None => None,
        };
        let choice = probe.custody().choice();
        if let (Some(folder), false) = (&folder, choice == Choice::Keep) {
            return Ok(Proposal::refuse(vec![nobody(folder)]));
        }
        let cluster = Cluster::around(probe, TokenKind::Server).await;
        let standing = match cluster.standing()? {
            Ok(standing) => standing,
            Err(unmet) => return Ok(Proposal::refuse(unmet)),
        };
        let name = format!("{name}-{}", token::tag(&standing.new));
        let mut proposal = taken(probe, &cluster, standing, &name).await?;
        let desk = Desk {
            probe,
            cluster: &cluster,
            standing,
            name: &name,
        };
        if probe.custody().fetches() {
            desk.fetch(&mut proposal);
        }
        match choice {
            Choice::Keep if self.escrow.is_some() => {
                desk.keep(folder.map(Into::into), &mut proposal);
                desk.beside(&mut proposal).await?;
            }
            Choice::Unsaid if self.escrow.is_some() => proposal.notes.push(UNSAID.to_owned()),
            _ => {}
        }
        Ok(proposal)
    }
}

/// What is left to do until the snapshot is there.
async fn taken(
    probe: &Probe<'_>,
    cluster: &Cluster,
    standing: &Standing,
    name: &str,
) -> Result<Proposal, StepError> {
    if probe.options().words.own_backup {
        return Ok(Proposal::note(OWN));
    }
    let too_late = name.starts_with("before") && standing.is_rotated();
    if cluster.members().next().is_some() {
        let is_there = etcd::holder(cluster, name).is_some();
        return if is_there || too_late {
            Ok(Proposal::default())
        } else {
            etcd::take(probe, cluster, standing, name).await
        };
    }
    let mut servers = cluster.servers.iter();
    match servers.find(|server| server.seen.install.datastore == Datastore::Sqlite) {
        _ if cluster.count(Datastore::External) > 0 => Ok(Proposal::note(EXTERNAL)),
        Some(server) if sqlite::is_there(&server.seen, name) => {
            sqlite::check(probe, &server.seen, name).await
        }
        Some(server) if !too_late => sqlite::take(probe, &server.seen, name).await,
        _ => Ok(Proposal::default()),
    }
}

const OWN: &str = "no snapshot is taken: --own-backup says that you have one of the datastore";

const EXTERNAL: &str =
    "no snapshot is taken: the datastore is a database of yours; back it up with its own tools";

/// Said where nobody could be asked.
const UNSAID: &str = "the old token is kept nowhere off the hosts, and keyroll forgets it after the proof: a restore of a snapshot \
from before the rotation needs it; --escrow-to keeps it, --no-escrow says that you have it";

fn nobody(folder: &str) -> Unmet {
    Unmet::new(
        "escrow-for-nobody",
        format!("the old token is to be kept in {folder}, and nobody is named who may decrypt it"),
        "name a recipient with --escrow-to, or leave `escrow_dir` out",
    )
}
