//! The inventory against what the cluster knows: its nodes, and the members of etcd.

mod members;

use std::collections::{BTreeMap, BTreeSet};

use super::Unmet;
use super::look::{AgentStanding, Blind, Cluster, Seen, nodes};
use crate::facts::{FactError, Member, Node, NodeName, Probe};
use crate::k3s::install::DATA_DIR;
use crate::model::HostName;

pub(super) use members::call_roll_of_etcd;

/// Servers that exist and are not in the inventory: rotating without them would break them, unless `--ignore-node` says
/// that one is gone.
pub(super) async fn unmanaged_servers(probe: &Probe<'_>, cluster: &Cluster) -> Vec<Unmet> {
    let nodes = match nodes(probe, &cluster.servers).await {
        Ok(nodes) => nodes,
        Err(error) => return vec![unlisted(&error.to_string())],
    };
    let (mut known, mut nameless) = (BTreeSet::new(), Vec::new());
    for server in &cluster.servers {
        let certificate = NodeName {
            certificate: server.seen.kubelet_certificate(),
        };
        match probe.get_on(&server.seen.host, certificate).await {
            Ok(Some(name)) => {
                known.insert(name);
            }
            Ok(None) => nameless.extend(no_certificate(&server.seen)),
            Err(_) => {}
        }
    }
    let ignored = &probe.options().words.ignored;
    let stranger = |node: &&Node| {
        node.is_server && !known.contains(&node.name) && !ignored.contains(&node.name)
    };
    let strangers: Vec<&Node> = nodes.iter().filter(stranger).collect();
    if strangers.len() > nameless.len() {
        let strangers = strangers.iter().map(|node| foreign(node, "server"));
        nameless.extend(strangers.collect::<Vec<_>>());
    }
    nameless
}

/// A server that runs a kubelet, and nothing says as which node. An agent is known by its name, and asks for a new
/// certificate when it is restarted.
fn no_certificate(seen: &Seen) -> Option<Unmet> {
    let (host, unit, path) = (&seen.host, &seen.unit.text.id, seen.kubelet_certificate());
    (seen.install.has_node && seen.unit.is_active()).then(|| {
        Unmet::new(
            "no-kubelet-certificate",
            format!("{host} has no certificate at {path} that names its node: which node of the cluster it is cannot be told"),
            format!("put the file back, or restart {unit} on {host}, which asks for a new one, while every other server is well"),
        )
    })
}

/// What comes of calling every name on two lists.
#[derive(Debug, Default)]
pub(super) struct Roll {
    /// Who is on one list and not on the other.
    pub(super) unmet: Vec<Unmet>,
    /// Who was left out on purpose: a sentence each.
    pub(super) left_out: Vec<String>,
    /// Who could not be called: a sentence each.
    pub(super) unseen: Vec<String>,
    /// Servers that have lost what says which node they are.
    pub(super) nameless: Vec<Unmet>,
    /// Servers that the inventory calls agents: they are no strangers, and no server is missing.
    pub(super) misplaced: BTreeSet<HostName>,
    /// Which host a node is, where its certificate says so.
    pub(super) hosts: BTreeMap<String, HostName>,
    /// How many members etcd has, where it was asked.
    pub(super) members: Option<usize>,
}

impl Roll {
    /// Nodes that no host is, where some hosts could not be asked which node they are. As many as were not reached may
    /// be theirs: that a host is away is said elsewhere, and nobody is called a stranger for it.
    fn meet(&mut self, strangers: &[&Node], away: &[&HostName], kind: &str) {
        if strangers.len() > away.len() {
            let unmet = strangers.iter().map(|node| foreign(node, kind));
            return self.unmet.extend(unmet);
        }
        let untold = |node: &&Node| {
            format!(
                "cannot tell whether node {} is {}, which was not reached",
                node.name,
                either(away)
            )
        };
        self.unseen.extend(strangers.iter().map(untold));
    }
}

/// The nodes that exist against the hosts of the inventory, both ways.
pub(super) async fn call_roll(probe: &Probe<'_>, cluster: &Cluster) -> Roll {
    let nodes = match nodes(probe, &cluster.servers).await {
        Ok(nodes) => nodes,
        Err(error) => {
            return Roll {
                unmet: vec![unlisted(&error.to_string())],
                ..Roll::default()
            };
        }
    };
    let fleet = probe.fleet();
    let members = || fleet.servers.iter().chain(&fleet.agents);
    let names = probe
        .each(members().map(|member| node_name(probe, cluster, member)))
        .await;
    let (mut known, mut away): (Vec<(&HostName, String)>, Vec<&Member>) = Default::default();
    let mut roll = Roll::default();
    for (member, name) in members().zip(names) {
        match name {
            Ok(Some(name)) => known.push((&member.name, name)),
            Ok(None) => {
                let server = cluster.server(&member.name);
                roll.nameless
                    .extend(server.and_then(|server| no_certificate(&server.seen)));
            }
            Err(Blind::Unasked(FactError::Transport(_))) => away.push(member),
            Err(_) => {}
        }
    }
    roll.misplaced = servers_among_agents(probe, &known, &nodes);
    let hosts = names_in_doubt(members(), &known);
    let managed: BTreeSet<&str> = known.iter().map(|(_, name)| name.as_str()).collect();
    let is_stranger =
        |node: &&Node| !managed.contains(node.name.as_str()) && !hosts.contains(node.name.as_str());
    let mut strangers = Vec::new();
    for node in nodes.iter().filter(is_stranger) {
        match left_out(probe, node) {
            Some(text) => roll.left_out.push(text),
            None => strangers.push(node),
        }
    }
    for (servers, kind) in [(true, "server"), (false, "agent")] {
        let of_kind = strangers.iter().filter(|node| node.is_server == servers);
        let of_kind: Vec<&Node> = of_kind.copied().collect();
        let away = away.iter().map(|member| &member.name);
        let away = away.filter(|host| fleet.is_server(host) == servers);
        roll.meet(&of_kind, &away.collect::<Vec<_>>(), kind);
    }
    roll.left_out.extend(namesakes(&strangers, &known));
    roll.unmet.extend(twins(cluster, &known));
    let is_node = |host: &HostName| {
        let server = cluster.server(host);
        server.is_none_or(|server| server.seen.install.has_node)
    };
    let nodes_of = known.iter().filter(|(host, _)| is_node(host));
    roll.unmet.extend(missing(nodes_of, &nodes));
    let hosts = known.into_iter().map(|(host, name)| (name, host.clone()));
    roll.hosts = hosts.collect();
    roll
}

/// Why a node is a stranger although the inventory has a host of its name.
fn namesakes(strangers: &[&Node], known: &[(&HostName, String)]) -> Vec<String> {
    let host_of = |node: &&Node| {
        let host = known.iter().find(|(host, _)| host.as_str() == node.name)?;
        Some(format!(
            "node {} is none of the inventory: its host {} is node {} by its certificate",
            node.name, host.0, host.1
        ))
    };
    strangers.iter().filter_map(host_of).collect()
}

/// Names of the inventory that may be their nodes' names too: of those whose certificate was not read.
fn names_in_doubt<'a>(
    members: impl Iterator<Item = &'a Member>,
    known: &[(&HostName, String)],
) -> BTreeSet<&'a str> {
    let is_known = |member: &&Member| known.iter().any(|(host, _)| **host == member.name);
    let unknown = members.filter(|member| !is_known(member));
    unknown.map(|member| member.name.as_str()).collect()
}

/// Hosts that the inventory calls agents, and whose nodes are servers.
fn servers_among_agents(
    probe: &Probe<'_>,
    known: &[(&HostName, String)],
    nodes: &[Node],
) -> BTreeSet<HostName> {
    let is_server = |name: &str| nodes.iter().any(|it| it.is_server && it.name == name);
    let found = known
        .iter()
        .filter(|(host, name)| !probe.fleet().is_server(host) && is_server(name));
    found.map(|(host, _)| (*host).clone()).collect()
}

/// Why nobody minds that this node is not in the inventory. A server is minded unless `--ignore-node` names it: no pattern
/// leaves it out.
fn left_out(probe: &Probe<'_>, node: &Node) -> Option<String> {
    let options = probe.options();
    let name = &node.name;
    if options.words.ignored.contains(name) {
        return Some(format!(
            "node {name} was not looked at: --ignore-node names it"
        ));
    }
    let mut patterns = options.words.expected.iter().filter(|_| !node.is_server);
    let expected = patterns.find(|pattern| matches(pattern, name))?;
    Some(format!(
        "node {name} was not looked at: --expect-unmanaged {expected}"
    ))
}

/// Two names of the inventory that are one machine.
fn twins(cluster: &Cluster, known: &[(&HostName, String)]) -> Vec<Unmet> {
    let mut unmet = Vec::new();
    for (at, (host, name)) in known.iter().enumerate() {
        let mut before = known.iter().take(at);
        if let Some((other, _)) = before.find(|(_, earlier)| earlier == name) {
            if other == host {
                unmet.push(in_both_groups(cluster, host));
                continue;
            }
            unmet.push(Unmet::new(
                "same-machine-twice",
                format!("{other} and {host} are one machine: both are node {name}"),
                format!("take one of {other} and {host} out of the inventory"),
            ));
        }
    }
    unmet
}

fn in_both_groups(cluster: &Cluster, host: &HostName) -> Unmet {
    let (runs, wrong) = match cluster.server(host) {
        Some(_) => ("server", "agents"),
        None => ("agent", "servers"),
    };
    Unmet::new(
        "wrong-group",
        format!("the inventory has {host} among the servers and among the agents"),
        format!("take {host} out of the group of {wrong}: it runs `k3s {runs}`"),
    )
}

/// Hosts whose node the cluster does not have: renamed, re-installed, or of another cluster.
fn missing<'a>(
    known: impl Iterator<Item = &'a (&'a HostName, String)>,
    nodes: &[Node],
) -> Vec<Unmet> {
    let gone = |(_, name): &&(&HostName, String)| !nodes.iter().any(|node| node.name == *name);
    let unmet = |(host, name): &(&HostName, String)| {
        Unmet::new(
            "node-missing",
            format!("{host} is node {name} by its certificate, and the cluster has no such node"),
            format!("see whether {host} was renamed, re-installed or belongs to another cluster"),
        )
    };
    known.filter(gone).map(unmet).collect()
}

/// Hosts by what a member of etcd may call them: by their nodes, and by their own names.
async fn named(
    probe: &Probe<'_>,
    cluster: &Cluster,
    members: &[Member],
) -> BTreeMap<String, HostName> {
    let names = members.iter().map(|member| async {
        let node = node_name(probe, cluster, member).await.ok().flatten();
        let names = [node, Some(member.name.to_string())];
        names.map(|name| Some((name?, member.name.clone())))
    });
    let names = probe.each(names).await.into_iter();
    names.flatten().flatten().collect()
}

/// The node that a host is; `None` when it is none.
async fn node_name(
    probe: &Probe<'_>,
    cluster: &Cluster,
    member: &Member,
) -> Result<Option<String>, Blind> {
    let at = |certificate| probe.get_on(&member.name, NodeName { certificate });
    if let Some(server) = cluster.server(&member.name) {
        return Ok(at(server.seen.kubelet_certificate()).await?);
    }
    if let Some(name) = at(format!("{DATA_DIR}/agent/client-kubelet.crt").into()).await? {
        return Ok(Some(name));
    }
    // It has another data directory, which only its set-up tells.
    let seen = AgentStanding::seen(probe, &member.name).await?;
    Ok(at(seen.kubelet_certificate()).await?)
}

/// `a`, or `a or b`.
fn either(hosts: &[&HostName]) -> String {
    let hosts: Vec<&str> = hosts.iter().map(|host| host.as_str()).collect();
    hosts.join(" or ")
}

fn foreign(node: &Node, kind: &str) -> Unmet {
    Unmet::new(
        "node-not-in-inventory",
        format!(
            "the cluster has a node {} ({kind}) which the inventory does not have",
            node.name
        ),
        if kind == "agent" {
            format!(
                "add {0} to the inventory, or pass --expect-unmanaged {0} for an agent that comes and goes; when it is gone for good: kubectl delete node {0}",
                node.name
            )
        } else {
            format!(
                "add {0} to the inventory; when it is gone for good remove it from the cluster: kubectl delete node {0}; --ignore-node {0} goes on beside a machine that is dead and will not come back as it is",
                node.name
            )
        },
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
