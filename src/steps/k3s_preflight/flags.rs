//! Flags that must be the same on all servers: a difference is found by K3s at its next start, which a rotation brings.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8PathBuf;

use crate::k3s::surface::yaml;
use crate::steps::Unmet;
use crate::steps::look::{Cluster, Seen};

/// As K3s compares them when a server joins, with the value that each has when nobody sets it.
const CRITICAL: [(&str, &str); 12] = [
    ("cluster-cidr", "10.42.0.0/16"),
    ("service-cidr", "10.43.0.0/16"),
    ("cluster-dns", "10.43.0.10"),
    ("cluster-domain", "cluster.local"),
    ("flannel-backend", "vxlan"),
    ("flannel-ipv6-masq", "false"),
    ("flannel-external-ip", "false"),
    ("egress-selector-mode", "agent"),
    ("secrets-encryption", "false"),
    ("disable-network-policy", "false"),
    ("disable-kube-proxy", "false"),
    ("disable-helm-controller", "false"),
];

/// Says which flag differs, and where.
pub(super) fn judge(cluster: &Cluster) -> Vec<Unmet> {
    let servers: Vec<(&Seen, BTreeMap<String, String>)> = cluster
        .servers
        .iter()
        .filter(|server| server.seen.install.has_api)
        .map(|server| (&server.seen, settings(&server.seen)))
        .collect();
    let mut unmet = Vec::new();
    for (flag, default) in CRITICAL {
        let value = |set: &BTreeMap<String, String>| {
            set.get(flag).cloned().unwrap_or_else(|| default.to_owned())
        };
        let values: BTreeSet<String> = servers.iter().map(|(_, set)| value(set)).collect();
        if values.len() < 2 {
            continue;
        }
        let each = servers
            .iter()
            .map(|(seen, set)| format!("{}: {}", seen.host, value(set)));
        let each: Vec<String> = each.take(5).collect();
        unmet.push(Unmet::new(
            "critical-flag-differs",
            format!(
                "the servers differ in {flag} ({}): one of them would not start again",
                each.join(", ")
            ),
            format!("set {flag} to what the cluster runs with on every server"),
        ));
    }
    unmet
}

/// What configuration and arguments set; the later and the stronger win.
fn settings(seen: &Seen) -> BTreeMap<String, String> {
    let mut set = BTreeMap::new();
    let is_yaml = |path: &Utf8PathBuf| matches!(path.extension(), Some("yaml" | "yml"));
    let files = seen.known.files.iter().filter(|(path, _)| is_yaml(path));
    for file in files.filter_map(|(_, file)| file.as_ref()) {
        for entry in yaml::entries(&file.text()).unwrap_or_default() {
            if let Some(values) = entry.values {
                set.insert(entry.key, values.join(","));
            }
        }
    }
    let mut words = seen.unit.text.argv.iter().skip(2).peekable();
    while let Some(word) = words.next() {
        let Some(flag) = word.strip_prefix("--") else {
            continue;
        };
        let (flag, value) = match flag.split_once('=') {
            Some((flag, value)) => (flag, value.to_owned()),
            None => match words.peek().filter(|next| !next.starts_with('-')) {
                Some(next) => (flag, (*next).clone()),
                None => (flag, "true".to_owned()),
            },
        };
        set.insert(flag.to_owned(), value);
    }
    set
}
