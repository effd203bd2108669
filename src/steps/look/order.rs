//! In which order servers are restarted, and on which of them the datastore is re-encrypted.

use super::Blind;
use super::cluster::{Cluster, ServerSeen};
use super::nodes::server_nodes;
use crate::facts::{FactError, Fleet, Node, Scope};
use crate::k3s::install::Datastore;
use crate::k3s::order::{self, Joiner};
use crate::k3s::token::TokenKind;
use crate::model::HostName;

impl Cluster {
    /// The server on which the datastore is or was re-encrypted: where it can be seen, else the first in restart order.
    #[must_use]
    pub fn rotator(&self, fleet: &Fleet, nodes: &[(HostName, Node)]) -> Option<HostName> {
        let seen = self
            .standing
            .as_ref()
            .ok()
            .and_then(|standing| standing.rotator.clone());
        seen.or_else(|| {
            order::restart_order(&self.joiners(fleet, nodes))
                .into_iter()
                .next()
        })
    }

    /// What the restart order depends on.
    #[must_use]
    pub fn joiners(&self, fleet: &Fleet, nodes: &[(HostName, Node)]) -> Vec<Joiner> {
        let address = |host: &HostName| {
            fleet
                .servers
                .iter()
                .find(|member| member.name == *host)
                .map(|m| m.address.clone())
        };
        self.servers
            .iter()
            .map(|server| server.joiner(address(&server.seen.host), nodes))
            .collect()
    }
}

impl ServerSeen {
    fn joiner(&self, address: Option<String>, nodes: &[(HostName, Node)]) -> Joiner {
        let node = nodes
            .iter()
            .find(|(host, _)| *host == self.seen.host)
            .map(|(_, node)| node);
        let known_as = node
            .into_iter()
            .flat_map(|node| node.addresses.iter().chain([&node.name]))
            .cloned();
        Joiner {
            host: self.seen.host.clone(),
            known_as: known_as
                .chain([self.seen.host.to_string()])
                .chain(address)
                .collect(),
            joins: self.seen.install.url.as_deref().and_then(order::host_of),
            has_data: self.seen.install.datastore != Datastore::Elsewhere,
        }
    }
}

/// The order in which servers are restarted, looked up on the servers.
///
/// # Errors
/// When a server cannot be asked.
pub async fn restart_order(scope: &Scope) -> Result<Vec<HostName>, FactError> {
    let Some(probe) = scope.first_server() else {
        return Ok(Vec::new());
    };
    let cluster = Cluster::look(&probe, TokenKind::Server, |_| false).await;
    for (_, blind) in &cluster.blind {
        if let Blind::Unasked(error) = blind {
            return Err(error.clone());
        }
    }
    let nodes = server_nodes(&probe, &cluster.servers).await;
    let mut order = order::restart_order(&cluster.joiners(&scope.fleet, &nodes));
    // What could not be made out is refused by the preflight, which must still see it.
    order.extend(cluster.blind.into_iter().map(|(host, _)| host));
    Ok(order)
}
