//! Flags that must be the same on all servers. K3s compares them when a server takes the cluster's data from another one:
//! one without a datastore of its own does so at each start, the others when they first join (k3s: `pkg/cluster`).

use std::collections::BTreeSet;

use crate::k3s::install::Datastore;
use crate::steps::findings::Finding;
use crate::steps::look::{Cluster, Seen};
use crate::steps::{Proposal, Unmet};

/// Says which flag differs, and where: it stands in the way where a server would find it at its restart. Whom it joins then
/// may have etcd alone, and tells its own flags all the same.
pub(super) fn judge(cluster: &Cluster, proposal: &mut Proposal) -> Vec<Finding> {
    let servers: Vec<&Seen> = cluster.servers.iter().map(|server| &server.seen).collect();
    let Some(first) = servers.first() else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let is_elsewhere = |seen: &&Seen| seen.install.datastore == Datastore::Elsewhere;
    let is_compared = servers.iter().any(is_elsewhere);
    for flag in first.install.critical.keys() {
        let Some(what) = differs(flag, &servers) else {
            continue;
        };
        if is_compared {
            proposal.unmet.push(Unmet::new(
                "critical-flag-differs",
                format!("{what}: one of them would not start again"),
                format!("set {flag} to what the cluster runs with on every server"),
            ));
        } else {
            let what = format!(
                "{what}: a restart does not mind, a server that joins anew would be refused"
            );
            let next = format!("set {flag} to what the cluster runs with on every server");
            found.push(Finding::of("flag-differs", what).next(next));
        }
    }
    found
}

fn differs(flag: &str, servers: &[&Seen]) -> Option<String> {
    let values = servers
        .iter()
        .filter_map(|seen| Some((&seen.host, seen.install.critical.get(flag)?)));
    let different: BTreeSet<&String> = values.clone().map(|(_, value)| value).collect();
    let each: Vec<String> = values
        .take(5)
        .map(|(host, value)| format!("{host}: {value}"))
        .collect();
    (different.len() > 1).then(|| format!("the servers differ in {flag} ({})", each.join(", ")))
}
