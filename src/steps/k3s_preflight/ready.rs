//! Nodes that are not Ready before anything is changed: the gate of their batch would wait for them in vain, half way.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::facts::{Node, Probe};
use crate::model::HostName;
use crate::steps::look::{AgentStanding, Cluster, Seen, nodes};
use crate::steps::{Proposal, Unmet};

/// How long after its start a node may still be on its way to Ready.
const ON_ITS_WAY: Duration = Duration::from_mins(1);

/// Adds each visited host whose node is not Ready. `hosts` says which host a node is. A cordoned node is Ready.
pub(super) async fn judge(
    probe: &Probe<'_>,
    cluster: &Cluster,
    hosts: &BTreeMap<String, HostName>,
    proposal: &mut Proposal,
) {
    let words = &probe.options().words;
    // That they cannot be listed is said elsewhere.
    let nodes = nodes(probe, &cluster.servers).await.unwrap_or_default();
    let is_visited = |host: &&HostName| !words.left_out.contains(host);
    let sick = nodes.iter().filter(|node| !node.ready);
    let sick = sick.filter(|node| !words.ignored.contains(&node.name));
    let sick: Vec<(&Node, &HostName)> = sick
        .filter_map(|node| Some((node, hosts.get(&node.name).filter(is_visited)?)))
        .collect();
    let looks = sick.iter().map(|(_, host)| look(probe, cluster, host));
    for ((node, host), seen) in sick.iter().zip(probe.each(looks).await) {
        // Of a host that cannot be looked at, or whose unit does not run or starts, its own preflight says so.
        let Some(seen) = seen.filter(|seen| seen.unit.is_active()) else {
            continue;
        };
        let what = format!(
            "{host} is not Ready: its node {} is {}",
            node.name, node.ready_words
        );
        if is_on_its_way(&seen) {
            let unit = &seen.unit.text.id;
            proposal
                .notes
                .push(format!("{what}; {unit} has just started"));
        } else {
            proposal.unmet.push(unready(&seen, what));
        }
    }
}

async fn look(probe: &Probe<'_>, cluster: &Cluster, host: &HostName) -> Option<Seen> {
    match cluster.server(host) {
        Some(server) => Some(server.seen.clone()),
        None => AgentStanding::seen(probe, host).await.ok(),
    }
}

fn is_on_its_way(seen: &Seen) -> bool {
    let unit = &seen.unit;
    let since = unit.started.map(|started| unit.now.since(started));
    since.is_some_and(|since| since < ON_ITS_WAY)
}

fn unready(seen: &Seen, what: String) -> Unmet {
    use crate::k3s::install::Kind;
    let host = &seen.host;
    let first = format!("get {host} Ready first: kubectl describe node says why it is not");
    let next = match seen.install.kind {
        Kind::Server => first,
        Kind::Agent => format!("{first}; or leave it out: --limit 'all:!{host}'"),
    };
    Unmet::new("node-not-ready", what, next)
}
