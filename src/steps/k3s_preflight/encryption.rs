//! The rotation of the keys with which secrets are encrypted: its stages want restarts in an order of their own, with
//! which those of a token's rotation would mix.

use crate::facts::{Node, Probe};
use crate::steps::findings::Finding;
use crate::steps::look::{Cluster, server_nodes};

/// Stages between which a restart counts (k3s: secretsencrypt), and what comes next.
const UNFINISHED: [(&str, &str); 5] = [
    (
        "prepare",
        "restart every server, then: k3s secrets-encrypt rotate",
    ),
    (
        "rotate",
        "restart every server, then: k3s secrets-encrypt reencrypt",
    ),
    ("rotate_keys", WAIT),
    ("reencrypt_request", WAIT),
    ("reencrypt_active", WAIT),
];
const WAIT: &str =
    "wait until `k3s secrets-encrypt status` says reencrypt_finished, then restart every server";
const FINISHED: [&str; 2] = ["start", "reencrypt_finished"];

/// What the nodes of the inventory's servers say of it: that of a machine which is gone tells what was once. That they cannot
/// be listed is said elsewhere.
pub(super) async fn judge(probe: &Probe<'_>, cluster: &Cluster) -> Option<Finding> {
    let nodes = server_nodes(probe, &cluster.servers).await;
    let nodes: Vec<Node> = nodes.into_iter().map(|(_, node)| node).collect();
    stands(&nodes)
}

fn stands(nodes: &[Node]) -> Option<Finding> {
    let told = nodes.iter().filter_map(|node| {
        let (stage, keys) = node.encryption.as_deref()?.split_once('-')?;
        Some((&node.name, stage, keys))
    });
    let told: Vec<(&String, &str, &str)> = told.collect();
    for (name, stage, _) in &told {
        if let Some((_, next)) = UNFINISHED.iter().find(|(known, _)| known == stage) {
            let what =
                format!("the keys that encrypt secrets are being rotated: {name} is at `{stage}`");
            return Some(Finding::of("encryption-unfinished", what).next(*next));
        }
    }
    if let Some((name, stage, _)) = told.iter().find(|(_, stage, _)| !FINISHED.contains(stage)) {
        let what = format!("{name} is at the stage `{stage}` of encrypting secrets");
        return Some(Finding::of("encryption-stage-unknown", what));
    }
    let (first, _, keys) = told.first()?;
    let (other, _, _) = told.iter().find(|(_, _, other)| other != keys)?;
    let what = format!("{first} and {other} encrypt secrets with different keys");
    let next = "see `k3s secrets-encrypt status`, and restart the server that lacks the new keys";
    Some(Finding::of("encryption-unfinished", what).next(next))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(stages: &[Option<&str>]) -> Option<&'static str> {
        let node = |(at, stage): (usize, Option<&str>)| Node {
            name: format!("s{at}"),
            uid: String::new(),
            ready: true,
            ready_words: String::new(),
            is_server: true,
            is_etcd: true,
            addresses: Vec::new(),
            version: String::new(),
            encryption: stage.map(str::to_owned),
        };
        let nodes: Vec<Node> = stages.iter().copied().enumerate().map(node).collect();
        stands(&nodes).map(|finding| finding.name)
    }

    #[test]
    fn only_what_is_known_to_be_unfinished_stands_in_the_way() {
        assert_eq!(name(&[]), None);
        assert_eq!(name(&[None, None]), None);
        assert_eq!(name(&[Some("start-a"), Some("start-a"), None]), None);
        assert_eq!(name(&[Some("reencrypt_finished-a"), Some("start-a")]), None);
        assert_eq!(name(&[Some("garbled")]), None);
        for stage in [
            "prepare-a",
            "rotate-a",
            "rotate_keys-a",
            "reencrypt_request-a",
            "reencrypt_active-a",
        ] {
            assert_eq!(
                name(&[Some("start-b"), Some(stage)]),
                Some("encryption-unfinished")
            );
        }
        let other = name(&[Some("start-a"), Some("start-b")]);
        assert_eq!(other, Some("encryption-unfinished"));
        assert_eq!(name(&[Some("hover-a")]), Some("encryption-stage-unknown"));
    }
}
