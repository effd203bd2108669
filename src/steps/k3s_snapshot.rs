//! `k3s_snapshot`: a snapshot of embedded etcd, named after the rotation that it belongs to.

use std::time::Duration;

use serde::Deserialize;

use super::look::{Cluster, ServerSeen};
use super::{Proposal, StepError, Unmet};
use crate::facts::Probe;
use crate::k3s::install::Datastore;
use crate::k3s::phase::Phase;
use crate::k3s::token;
use crate::op::{Act, Op};
use crate::template::Templated;
use crate::wire::Command;

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
        let etcd = || {
            cluster
                .servers
                .iter()
                .filter(|server| server.seen.install.datastore == Datastore::Etcd)
        };
        let Some(first) = etcd().next() else {
            return Ok(Proposal::note(elsewhere(&cluster)));
        };
        if etcd().any(|server| has_snapshot(server, &name))
            || name.starts_with("before") && standing.is_rotated()
        {
            return Ok(Proposal::default());
        }
        // On a rotator that was not restarted it fails (measured: ha-mid-rotation); any other server can.
        let can = |server: &&ServerSeen| {
            let phase = standing.phase(&server.seen.host);
            !matches!(phase, Some(Phase::Silent))
                && standing.rotator.as_ref() != Some(&server.seen.host)
        };
        let server = etcd().find(can);
        let unmet = server.is_none().then(|| {
            Unmet::new(
                "no-snapshot-possible",
                "no etcd server can take a snapshot now",
                "restart the servers first",
            )
        });
        let ops = vec![save(server.unwrap_or(first), &name)];
        Ok(Proposal {
            ops,
            unmet: unmet.into_iter().collect(),
            ..Proposal::default()
        })
    }
}

fn has_snapshot(server: &ServerSeen, name: &str) -> bool {
    let taken = server
        .seen
        .known
        .folders
        .get(&server.seen.install.snapshots);
    taken.is_some_and(|names| {
        names
            .iter()
            .any(|taken| taken.starts_with(&format!("{name}-")))
    })
}

fn save(server: &ServerSeen, name: &str) -> Op {
    let seen = &server.seen;
    let data = (seen.install.data_dir != crate::k3s::install::DATA_DIR)
        .then(|| format!("--data-dir={}", seen.install.data_dir));
    // The command is a client and does not know the server's port.
    let port = (seen.install.port != 6443)
        .then(|| format!("--etcd-server=https://127.0.0.1:{}", seen.install.port));
    let words = [seen.k3s.as_str(), "etcd-snapshot", "save", "--name", name]
        .into_iter()
        .map(str::to_owned);
    let command = Command::new(words.chain(data).chain(port)).within(Duration::from_mins(5));
    Op::root(
        &seen.host,
        format!("take the snapshot {name}"),
        Act::Run {
            command,
            leaves: Vec::new(),
        },
    )
}

fn elsewhere(cluster: &Cluster) -> String {
    let external = cluster
        .servers
        .iter()
        .any(|server| server.seen.install.datastore == Datastore::External);
    if external {
        "no snapshot is taken: the datastore is a database of yours; back it up with its own tools"
            .to_owned()
    } else {
        "no snapshot is taken: a copy of a sqlite datastore comes with a later release; copy /var/lib/rancher/k3s/server \
         (db and token) yourself while K3s is stopped"
            .to_owned()
    }
}

fn no_escrow() -> Unmet {
    Unmet::new(
        "no-escrow",
        "keeping the old token off the host (`escrow`) is not built yet",
        "take `escrow` out of the playbook; the old token stays in server/.keyroll/old until the proof is green",
    )
}
