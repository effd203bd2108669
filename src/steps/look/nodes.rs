//! The nodes of the cluster, and which of them servers are.

use super::Seen;
use super::api::ask_api;
use super::cluster::ServerSeen;
use crate::facts::{FactError, Node, NodeName, Nodes, Probe};
use crate::model::HostName;

/// Nodes of the cluster, each with the inventory's host that it is, found through any server whose API answers.
///
/// # Errors
/// When no server's API answers.
pub(in crate::steps) async fn nodes(
    probe: &Probe<'_>,
    servers: &[ServerSeen],
) -> Result<Vec<Node>, FactError> {
    let nodes = |seen: &Seen| Nodes(seen.admin());
    ask_api(probe, servers, "the list of nodes", nodes).await
}

/// Servers paired with their nodes; a server without a node object is left out.
pub(in crate::steps) async fn server_nodes(
    probe: &Probe<'_>,
    servers: &[ServerSeen],
) -> Vec<(HostName, Node)> {
    let Ok(nodes) = nodes(probe, servers).await else {
        return Vec::new();
    };
    let mut pairs = Vec::new();
    for server in servers {
        let certificate = NodeName {
            certificate: server.seen.kubelet_certificate(),
        };
        let Ok(Some(name)) = probe.get_on(&server.seen.host, certificate).await else {
            continue;
        };
        if let Some(node) = nodes.iter().find(|node| node.name == name) {
            pairs.push((server.seen.host.clone(), node.clone()));
        }
    }
    pairs
}
