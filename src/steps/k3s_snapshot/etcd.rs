//! A snapshot of embedded etcd, on a server that can take one now.

use std::time::Duration;

use crate::facts::{K3sVersion, Probe};
use crate::k3s::phase::Standing;
use crate::k3s::version::Version;
use crate::op::{Act, Op};
use crate::steps::look::{Cluster, ServerSeen};
use crate::steps::{Proposal, StepError, Unmet};
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

/// Takes the snapshot. The command logs in with `server/token`: on a rotator that was not restarted it fails (measured:
/// ha-mid-rotation), and wherever that file was written by hand.
///
/// # Errors
/// When the version of K3s there cannot be asked for.
pub(super) async fn take(
    probe: &Probe<'_>,
    cluster: &Cluster,
    standing: &Standing,
    name: &str,
) -> Result<Proposal, StepError> {
    let server = cluster.members().find(|server| can(server));
    let unmet = server.is_none().then(|| nobody(cluster, standing));
    let server = server.or_else(|| cluster.members().next());
    let mut proposal = Proposal::refuse(unmet.into_iter().collect());
    if let Some(server) = server {
        let k3s = server.seen.k3s.clone();
        let version = probe.get_on(&server.seen.host, K3sVersion { k3s }).await?;
        proposal.ops.push(save(server, version, name));
    }
    Ok(proposal)
}

fn can(server: &ServerSeen) -> bool {
    let held = server.memory.secret();
    held.is_some() && held == server.seen.on_disk().as_ref()
}

/// Why none can. Files that no rotate explains were written by hand.
fn nobody(cluster: &Cluster, standing: &Standing) -> Unmet {
    let next = "restart the servers first";
    let what = "no etcd server can take a snapshot now";
    let named = |server: &ServerSeen| {
        let (file, seen) = (server.seen.install.data("server/token"), &server.seen);
        let held = server.memory.secret();
        let has_other = held.is_some()
            && held == seen.passwd().server.as_ref()
            && held != seen.on_disk().as_ref();
        (has_other && standing.rotator.as_ref() != Some(&seen.host)).then(|| {
            let host = &seen.host;
            let what = format!(
                "{what}: {file} on {host} has not the token that the server accepts, and `k3s etcd-snapshot` logs in with it"
            );
            let next = format!("write the token that the server accepts into {file} on {host}, then run the same command again");
            (what, next)
        })
    };
    let (what, next) = cluster
        .members()
        .find_map(named)
        .unwrap_or_else(|| (what.to_owned(), next.to_owned()));
    Unmet::new("no-snapshot-possible", what, next)
}

fn save(server: &ServerSeen, version: Version, name: &str) -> Op {
    let seen = &server.seen;
    // The command is a client that does not know where its server listens; for a while it took the `server:` of the
    // config file for it, and had the snapshot taken there.
    let url = seen.door().url;
    let flag = version.snapshot_flag();
    let port = flag
        .filter(|flag| *flag == "--server" || url != "https://127.0.0.1:6443")
        .map(|flag| format!("{flag}={url}"));
    let words = ["etcd-snapshot", "save", "--name", name].map(str::to_owned);
    let words = words.into_iter().chain(seen.k3s.told()).chain(port);
    let path = std::iter::once(seen.k3s.path.to_string());
    let command = Command::new(path.chain(words)).within(Duration::from_mins(5));
    let act = Act::Run {
        command,
        leaves: Vec::new(),
    };
    Op::root(&seen.host, format!("take the snapshot {name}"), act)
}
