//! Nodes that the cluster knows and the inventory does not.

use std::collections::BTreeSet;

use futures::future::join_all;

use super::Unmet;
use super::look::{AgentStanding, Cluster, nodes};
use crate::facts::{Member, Node, NodeName, Probe};
use crate::k3s::install::DATA_DIR;

/// Servers that exist and are not in the inventory: rotating without them would break them.
pub(super) async fn unmanaged_servers(probe: &Probe<'_>, cluster: &Cluster) -> Vec<Unmet> {
    let nodes = match nodes(probe, &cluster.servers).await {
        Ok(nodes) => nodes,
        Err(error) => return vec![unlisted(&error.to_string())],
    };
    let mut known = BTreeSet::new();
    for server in &cluster.servers {
        let certificate = NodeName {
            certificate: server.seen.kubelet_certificate(),
        };
        if let Ok(Some(name)) = probe.get_on(&server.seen.host, certificate).await {
            known.insert(name);
        }
    }
    let stranger = |node: &&Node| node.is_server && !known.contains(&node.name);
    nodes
        .iter()
        .filter(stranger)
        .map(|node| foreign(node, "server"))
        .collect()
}

/// Every node that exists and is not in the inventory, but for those that are expected.
pub(super) async fn unmanaged_nodes(probe: &Probe<'_>, cluster: &Cluster) -> Vec<Unmet> {
    let nodes = match nodes(probe, &cluster.servers).await {
        Ok(nodes) => nodes,
        Err(error) => return vec![unlisted(&error.to_string())],
    };
    let fleet = probe.fleet();
    let names = join_all(
        fleet
            .servers
            .iter()
            .chain(&fleet.agents)
            .map(|member| node_name(probe, cluster, member)),
    )
    .await;
    let known: BTreeSet<String> = names.into_iter().flatten().collect();
    let hosts: BTreeSet<&str> = fleet
        .servers
        .iter()
        .chain(&fleet.agents)
        .map(|member| member.name.as_str())
        .collect();
    let expected = &probe.options().expect_unmanaged;
    let stranger = |node: &&Node| {
        let managed = known.contains(&node.name) || hosts.contains(node.name.as_str());
        !managed && !expected.iter().any(|pattern| matches(pattern, &node.name))
    };
    nodes
        .iter()
        .filter(stranger)
        .map(|node| foreign(node, if node.is_server { "server" } else { "agent" }))
        .collect()
}

async fn node_name(probe: &Probe<'_>, cluster: &Cluster, member: &Member) -> Option<String> {
    let at = |certificate| probe.get_on(&member.name, NodeName { certificate });
    if let Some(server) = cluster.server(&member.name) {
        return at(server.seen.kubelet_certificate()).await.ok().flatten();
    }
    match at(format!("{DATA_DIR}/agent/client-kubelet.crt").into())
        .await
        .ok()?
    {
        Some(name) => Some(name),
        // It has another data directory, which only its set-up tells.
        None => at(AgentStanding::seen(probe, &member.name)
            .await
            .ok()?
            .kubelet_certificate())
        .await
        .ok()
        .flatten(),
    }
}

fn foreign(node: &Node, kind: &str) -> Unmet {
    Unmet::new(
        "node-not-in-inventory",
        format!(
            "the cluster has a node {} ({kind}) which the inventory does not have",
            node.name
        ),
        format!(
            "add {} to the inventory, or pass --expect-unmanaged {} for an agent that comes and goes",
            node.name, node.name
        ),
    )
}

fn unlisted(why: &str) -> Unmet {
    Unmet::new(
        "nodes-not-listed",
        format!("the cluster's nodes cannot be listed: {why}"),
        "get one API server to answer first",
    )
}

/// Whether a name fits a pattern in which `*` stands for anything.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, tail)) => name.strip_prefix(head).is_some_and(|rest| {
            (0..=rest.len())
                .filter(|at| rest.is_char_boundary(*at))
                .any(|at| matches(tail, rest.get(at..).unwrap_or_default()))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stands_for_anything() {
        assert!(
            matches("pool-*", "pool-17")
                && matches("*", "x")
                && matches("a*c*e", "abcde")
                && matches("one", "one")
        );
        assert!(!matches("pool-*", "web-1") && !matches("one", "ones") && !matches("a*c", "ab"));
    }
}
