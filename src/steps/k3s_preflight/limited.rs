//! A rotation that is begun with a `--limit` that leaves servers out could not be gone on with.

use crate::facts::Probe;
use crate::k3s::phase::names;
use crate::model::HostName;
use crate::steps::Unmet;
use crate::steps::look::Cluster;

/// A server that is left out. Once the datastore has the new token every host may be finished alone; agents may be left out
/// at all times.
pub(super) fn judge(probe: &Probe<'_>, clusters: &[&Cluster]) -> Option<Unmet> {
    let left_out = &probe.options().words.left_out;
    let servers = probe.fleet().servers.iter().map(|member| &member.name);
    let (left, visited): (Vec<&HostName>, Vec<&HostName>) =
        servers.partition(|host| left_out.contains(host));
    // Where no server is visited the first agent says it.
    let mut agents = probe.fleet().agents.iter().map(|member| &member.name);
    let first = agents.find(|host| !left_out.contains(host));
    let is_first = visited.first().copied().or(first) == Some(probe.host());
    let begins = |cluster: &&Cluster| {
        let standing = cluster.standing.as_ref();
        standing.is_ok_and(|standing| standing.old.is_some() && !standing.is_rotated())
    };
    let token = clusters.iter().copied().find(begins)?.about.word();
    (is_first && !left.is_empty()).then(|| {
        Unmet::new(
            "limit-leaves-out-servers",
            format!(
                "--limit leaves out {}: the {token} is changed on all servers or on none",
                names(left.into_iter())
            ),
            "run the same command without --limit; agents alone may be left out",
        )
    })
}
