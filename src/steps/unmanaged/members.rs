//! The members of etcd against the servers of the inventory.

use std::collections::BTreeMap;

use super::{Roll, named};
use crate::facts::{EtcdMembers, FactError, Probe};
use crate::model::count;
use crate::secret::Secret;
use crate::steps::Unmet;
use crate::steps::look::{Cluster, ServerSeen};

/// The members of etcd against the servers of the inventory that keep its data. `secret` is the server token.
pub(in crate::steps) async fn call_roll_of_etcd(
    probe: &Probe<'_>,
    cluster: &Cluster,
    secret: &Secret,
) -> Roll {
    match listed(probe, cluster, secret).await {
        None => Roll::default(),
        Some(Ok(members)) => compare(probe, cluster, &members).await,
        Some(Err(error)) => Roll {
            unseen: vec![format!("the members of etcd could not be listed: {error}")],
            ..Roll::default()
        },
    }
}

/// The members as servers tell them; `None` where nobody can be asked. An older K3s that cannot list them in time names
/// itself alone and says nothing of it: a list that is too short is believed when every server was asked.
async fn listed(
    probe: &Probe<'_>,
    cluster: &Cluster,
    secret: &Secret,
) -> Option<Result<Vec<String>, FactError>> {
    let ours = cluster.members().count();
    let holds = |server: &&ServerSeen| server.memory.secret() == Some(secret);
    let mut longest: Option<Result<Vec<String>, FactError>> = None;
    for server in cluster.members().filter(holds) {
        let members = EtcdMembers {
            door: server.seen.door(),
            secret: secret.clone(),
        };
        let told = probe.get_on(&server.seen.host, members).await;
        let length = |list: &Result<Vec<String>, FactError>| list.as_ref().map_or(0, Vec::len);
        let known = longest.as_ref().map_or(0, length);
        let is_whole = length(&told) >= ours;
        if longest.is_none() || length(&told) > known {
            longest = Some(told);
        }
        if is_whole {
            break;
        }
    }
    longest
}

/// The node that a member is of.
fn node(member: &str) -> Option<&str> {
    member.rsplit_once('-').map(|(node, _)| node)
}

async fn compare(probe: &Probe<'_>, cluster: &Cluster, members: &[String]) -> Roll {
    let (mut roll, ours) = (Roll::default(), cluster.members().count());
    roll.members = Some(members.len());
    let ignored = &probe.options().words.ignored;
    let is_minded = |member: &str| !node(member).is_some_and(|it| ignored.iter().any(|n| n == it));
    let twice = twice(
        members
            .iter()
            .map(String::as_str)
            .filter(|it| is_minded(it)),
    );
    let nodes = members.len() - twice.values().map(|of| of.len() - 1).sum::<usize>();
    roll.unmet.extend(twice.iter().map(stale));
    if nodes == ours {
        return roll;
    }
    let fleet = probe.fleet();
    let servers = named(probe, cluster, &fleet.servers).await;
    let is_known = |member: &str| node(member).is_some_and(|node| servers.contains_key(node));
    let mut strangers: Vec<&str> = members.iter().map(String::as_str).collect();
    strangers.retain(|member| is_minded(member) && !is_known(member));
    if !strangers.is_empty() {
        let agents = named(probe, cluster, &fleet.agents).await;
        let of_agents = |member: &&str| agents.get(node(member)?);
        let misplaced = strangers.iter().filter_map(of_agents);
        roll.misplaced = misplaced.cloned().collect();
        strangers.retain(|member| of_agents(member).is_none());
    }
    if nodes < ours {
        roll.unmet.push(Unmet::new(
            "etcd-member-missing",
            format!(
                "etcd has {} ({}), and the inventory {} with embedded etcd",
                count(members.len(), "member", "members"),
                members.join(", "),
                count(ours, "server", "servers")
            ),
            "see which server left the cluster or was re-installed, and take it out of the inventory or join it",
        ));
    } else if !strangers.is_empty() {
        let names: Vec<&str> = strangers.iter().filter_map(|it| node(it)).collect();
        let ignore = names.iter().map(|name| format!("--ignore-node {name}"));
        let ignore = ignore.collect::<Vec<_>>().join(" ");
        roll.unmet.push(Unmet::new(
            "etcd-member-not-in-inventory",
            format!(
                "etcd has a member that no server of the inventory is: {}",
                strangers.join(", ")
            ),
            format!("add that server to the inventory, or remove it from the cluster; {ignore} goes on beside a machine that is dead"),
        ));
    }
    roll
}

/// Nodes of which etcd has more than one member, each with these.
fn twice<'a>(members: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, Vec<&'a str>> {
    let mut of: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for member in members {
        if let Some(node) = node(member) {
            of.entry(node).or_default().push(member);
        }
    }
    of.retain(|_, members| members.len() > 1);
    of
}

/// One of them is what a server was before it was installed anew: it never answers, and counts for the quorum.
fn stale((node, members): (&&str, &Vec<&str>)) -> Unmet {
    Unmet::new(
        "etcd-member-not-in-inventory",
        format!(
            "etcd has {} members of node {node}, and a machine is one at most: {}",
            members.len(),
            members.join(", ")
        ),
        format!(
            "remove the stale one from etcd: the annotation etcd.k3s.cattle.io/node-name of node {node} names the one that lives, and K3s removes that one alone (kubectl delete node); another goes with `etcdctl member remove`, which K3s does not ship, and the certificates in server/tls/etcd"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_member_of_a_node_is_found_whatever_its_name_has_in_it() {
        let found = |members: &[&'static str]| twice(members.iter().copied());
        assert!(found(&["h-1-aaaa1111", "h-2-aaaa1111", "h-bbbb2222"]).is_empty());
        let twins = found(&["h-1-aaaa1111", "h-2-aaaa1111", "h-1-bbbb2222"]);
        assert_eq!(
            twins,
            [("h-1", vec!["h-1-aaaa1111", "h-1-bbbb2222"])].into()
        );
        // One that was never started has no name.
        assert!(found(&["", ""]).is_empty());
    }
}
