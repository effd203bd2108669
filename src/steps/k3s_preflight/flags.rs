//! Flags that must be the same on all servers: a difference is found by K3s at its next start, which a rotation brings.

use std::collections::BTreeSet;

use crate::steps::Unmet;
use crate::steps::look::{Cluster, Seen};

/// Says which flag differs, and where.
pub(super) fn judge(cluster: &Cluster) -> Vec<Unmet> {
    let servers = cluster.servers.iter().map(|server| &server.seen);
    let servers: Vec<&Seen> = servers.filter(|seen| seen.install.has_api).collect();
    let Some(first) = servers.first() else {
        return Vec::new();
    };
    let flags = first.install.critical.keys();
    flags.filter_map(|flag| differs(flag, &servers)).collect()
}

fn differs(flag: &str, servers: &[&Seen]) -> Option<Unmet> {
    let values = servers
        .iter()
        .filter_map(|seen| Some((&seen.host, seen.install.critical.get(flag)?)));
    let different: BTreeSet<&String> = values.clone().map(|(_, value)| value).collect();
    let each: Vec<String> = values
        .take(5)
        .map(|(host, value)| format!("{host}: {value}"))
        .collect();
    (different.len() > 1).then(|| {
        Unmet::new(
            "critical-flag-differs",
            format!(
                "the servers differ in {flag} ({}): one of them would not start again",
                each.join(", ")
            ),
            format!("set {flag} to what the cluster runs with on every server"),
        )
    })
}
