//! A snapshot of embedded etcd, on a server that can take one now.

use std::time::Duration;

use crate::k3s::install::DATA_DIR;
use crate::k3s::phase::{Phase, Standing};
use crate::op::{Act, Op};
use crate::steps::look::{Cluster, ServerSeen};
use crate::steps::{Proposal, Unmet};
use crate::wire::Command;

/// The member that has this snapshot.
pub(super) fn holder<'a>(cluster: &'a Cluster, name: &str) -> Option<&'a ServerSeen> {
    let begins = format!("{name}-");
    cluster.members().find(|server| {
        let taken = server
            .seen
            .known
            .folders
            .get(&server.seen.install.snapshots);
        taken.is_some_and(|names| names.iter().any(|taken| taken.starts_with(&begins)))
    })
}

/// Takes the snapshot. On a rotator that was not restarted it fails (measured: ha-mid-rotation); any other server can.
pub(super) fn take(cluster: &Cluster, standing: &Standing, name: &str) -> Proposal {
    let can = |server: &&ServerSeen| {
        let phase = standing.phase(&server.seen.host);
        !matches!(phase, Some(Phase::Silent))
            && standing.rotator.as_ref() != Some(&server.seen.host)
    };
    let server = cluster.members().find(can);
    let unmet = server.is_none().then(|| {
        Unmet::new(
            "no-snapshot-possible",
            "no etcd server can take a snapshot now",
            "restart the servers first",
        )
    });
    let server = server.or_else(|| cluster.members().next());
    Proposal {
        ops: server
            .map(|server| save(server, name))
            .into_iter()
            .collect(),
        unmet: unmet.into_iter().collect(),
        ..Proposal::default()
    }
}

fn save(server: &ServerSeen, name: &str) -> Op {
    let seen = &server.seen;
    let data = (seen.install.data_dir != DATA_DIR)
        .then(|| format!("--data-dir={}", seen.install.data_dir));
    // The command is a client and does not know the server's port.
    let port = (seen.install.port != 6443)
        .then(|| format!("--etcd-server=https://127.0.0.1:{}", seen.install.port));
    let words = [seen.k3s.as_str(), "etcd-snapshot", "save", "--name", name]
        .into_iter()
        .map(str::to_owned);
    let command = Command::new(words.chain(data).chain(port)).within(Duration::from_mins(5));
    let act = Act::Run {
        command,
        leaves: Vec::new(),
    };
    Op::root(&seen.host, format!("take the snapshot {name}"), act)
}
