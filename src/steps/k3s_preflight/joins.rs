//! Servers without data of their own, which read what they start with from the server that they join.

use crate::facts::Probe;
use crate::k3s::order::Joiner;
use crate::steps::look::{Cluster, server_nodes};
use crate::steps::{Proposal, Unmet};

/// Adds those that join through an address which is no server's own: nobody has measured which server answers there
/// while some have the new token and others do not.
pub(super) async fn judge(probe: &Probe<'_>, cluster: &Cluster, proposal: &mut Proposal) {
    // The inventory's names and addresses mostly do; the nodes' own are asked for when they do not.
    if adrift(&cluster.joiners(probe.fleet(), &[])).is_empty() {
        return;
    }
    let nodes = server_nodes(probe, &cluster.servers).await;
    for server in adrift(&cluster.joiners(probe.fleet(), &nodes)) {
        let (host, joins) = (&server.host, server.joins.as_deref().unwrap_or_default());
        let what = format!(
            "{host} keeps no data and joins through {joins}, which is no server's own address: when it restarts, a \
             server that still runs with the old token may answer there and refuse it"
        );
        if probe.options().words.unmeasured {
            let note = format!("{what}; --unmeasured lets it through");
            proposal.notes.push(note);
        } else {
            let next = format!(
                "let `server:` on {host} name the server with etcd itself; --unmeasured goes on all the same"
            );
            proposal.unmet.push(Unmet::new("not-measured", what, next));
        }
    }
}

fn adrift(servers: &[Joiner]) -> Vec<Joiner> {
    let is_known = |joins: &str| {
        let mut names = servers.iter().flat_map(|server| &server.known_as);
        names.any(|name| name.eq_ignore_ascii_case(joins))
    };
    let is_adrift = |server: &&Joiner| {
        !server.has_data
            && server
                .joins
                .as_deref()
                .is_some_and(|joins| !is_known(joins))
    };
    servers.iter().filter(is_adrift).cloned().collect()
}
