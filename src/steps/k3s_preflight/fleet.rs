//! What can only be said of all servers together.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::{join, try_join_all};

use super::{clocks, encryption, flags, joins, measured, others, quorum, ready};
use crate::facts::{K3sVersion, Probe};
use crate::k3s::install::Datastore;
use crate::k3s::phase::{Memory, Phase, Standing};
use crate::k3s::version::Version;
use crate::model::HostName;
use crate::steps::apiservers::call_roll_of_apiservers;
use crate::steps::findings::Finding;
use crate::steps::look::{Cluster, Seen, ServerSeen, words};
use crate::steps::unmanaged::{Roll, call_roll, call_roll_of_etcd};
use crate::steps::{Proposal, StepError, Unmet};

/// Adds what stands in the way. `has_begun` says whether the rotation that is asked for has: forward is right then.
pub(super) async fn judge(
    probe: &Probe<'_>,
    cluster: &Cluster,
    has_begun: bool,
    proposal: &mut Proposal,
) -> Result<Vec<Finding>, StepError> {
    let standing = cluster.standing()?;
    let mut unmet = silent(cluster);
    let checks = cluster.servers.iter().map(|server| check(probe, server));
    let (rolls, checks) = join(roll(probe, cluster), try_join_all(checks)).await;
    let is_rotated = cluster.standing.as_ref().is_ok_and(Standing::is_rotated);
    let (mut misplaced, mut hosts, mut members) = (BTreeSet::new(), BTreeMap::new(), None);
    for roll in rolls {
        misplaced.extend(roll.misplaced);
        hosts.extend(roll.hosts);
        members = members.or(roll.members);
        unmet.extend(roll.unmet);
        proposal
            .notes
            .extend(roll.left_out.into_iter().chain(roll.unseen));
        if is_rotated {
            let nameless = roll.nameless.into_iter().map(|unmet| unmet.what);
            proposal.notes.extend(nameless);
        } else {
            unmet.extend(roll.nameless);
        }
    }
    let (versions, sick): (BTreeSet<Version>, Vec<Option<Unmet>>) = checks?.into_iter().unzip();
    unmet.extend(sick.into_iter().flatten());
    unmet.extend(torn(standing, &versions));
    unmet.extend(mixed(&versions));
    let version = versions.iter().next().copied();
    proposal.notes.push(topology(cluster, version));
    proposal.notes.extend(remarks(cluster));
    unmet.extend(clocks::judge(probe, cluster).await?);
    let words = &probe.options().words;
    // Of those that are visited their own preflight says it.
    let unseen = misplaced
        .iter()
        .filter(|host| words.left_out.contains(host));
    unmet.extend(unseen.map(misplaced_server));
    proposal.unmet.extend(unmet);
    proposal.unmet.extend(cluster.unrotatable());
    proposal.unmet.extend(cluster.half_rolled_back());
    if !has_begun {
        ready::judge(probe, cluster, &hosts, proposal).await;
    }
    let flags = flags::judge(cluster, proposal);
    measured::judge(words, cluster, proposal);
    // A server that the inventory calls an agent is a member too: how many are visited is known when it is moved.
    if misplaced.is_empty() {
        quorum::judge(words, cluster, members, proposal);
    }
    joins::judge(probe, cluster, proposal).await;
    let mut found = found(probe, cluster, &mut proposal.notes).await;
    found.extend(flags);
    Ok(found)
}

/// Why nobody can say where the rotation stands, or who is of another cluster. Servers none of which can rotate do not
/// know what they are asked, and each of them says so.
fn torn(standing: Result<&Standing, Vec<Unmet>>, versions: &BTreeSet<Version>) -> Vec<Unmet> {
    let mut unmet = match standing {
        Ok(standing) => foreign(standing),
        Err(reasons) => reasons,
    };
    if !versions.iter().any(|version| version.can_rotate()) {
        unmet.retain(|unmet| unmet.name != "no-server-answers");
    }
    unmet
}

fn foreign(standing: &Standing) -> Vec<Unmet> {
    let phases = standing.phases.iter();
    let foreign = phases.filter(|(_, phase)| *phase == Phase::Foreign);
    let unmet = foreign.map(|(host, phase)| {
        Unmet::new(
            "foreign-server",
            format!("{host}: {}", words(Some(*phase))),
            format!(
                "see whether {host} belongs to this cluster; where somebody has rotated it by hand, say with --old-token-from file:PATH which token it was started with"
            ),
        )
    });
    unmet.collect()
}

fn misplaced_server(host: &HostName) -> Unmet {
    Unmet::new(
        "wrong-group",
        format!("{host} is a server, but the inventory does not have {host} among the servers"),
        format!("move {host} to the group of servers"),
    )
}

fn mixed(versions: &BTreeSet<Version>) -> Option<Unmet> {
    let list: Vec<String> = versions.iter().map(|version| version.whole()).collect();
    (list.len() > 1).then(|| {
        Unmet::new(
            "versions-differ",
            format!(
                "the servers have different versions of K3s: {}",
                list.join(", ")
            ),
            "finish the upgrade first",
        )
    })
}

/// Who else works on the cluster. Once the rotation has begun forward is right, and all of it is only said.
async fn found(probe: &Probe<'_>, cluster: &Cluster, notes: &mut Vec<String>) -> Vec<Finding> {
    let looks = join(
        others::judge(probe, cluster),
        encryption::judge(probe, cluster),
    );
    let (mut found, keys) = looks.await;
    found.extend(keys);
    if cluster.standing.as_ref().is_ok_and(Standing::is_rotated) {
        notes.extend(found.drain(..).map(|finding| finding.note()));
    }
    found
}

/// Nodes, members of etcd and kube-apiservers against the inventory.
async fn roll(probe: &Probe<'_>, cluster: &Cluster) -> [Roll; 3] {
    let mut servers = cluster.servers.iter();
    let secret = servers.find_map(|server| server.memory.secret());
    let of_etcd = async {
        match secret {
            Some(secret) => call_roll_of_etcd(probe, cluster, secret).await,
            None => Roll::default(),
        }
    };
    let (nodes, members) = join(call_roll(probe, cluster), of_etcd).await;
    let listed = call_roll_of_apiservers(probe, cluster, &[&nodes, &members]).await;
    [nodes, members, listed]
}

fn silent(cluster: &Cluster) -> Vec<Unmet> {
    let reason = |server: &ServerSeen| match &server.memory {
        // Its own preflight says that the unit is down.
        Memory::Silent(why) if server.seen.unit.is_active() => Some(why.clone()),
        _ => None,
    };
    let reasons = cluster
        .servers
        .iter()
        .filter_map(|server| Some((&server.seen, reason(server)?)));
    let unmet = |(seen, why): (&Seen, String)| {
        let (host, ca) = (&seen.host, seen.install.ca());
        let next = "keyroll cannot prove anything on such a server; ".to_owned()
            + &match seen.file(&ca) {
                Some(_) => "see whether a proxy stands before port 6443".to_owned(),
                None => format!(
                    "there is no {ca}: see what has removed it, and restart nothing there before"
                ),
            };
        Unmet::new(
            "calibration-failed",
            format!("{host} answers a probe with its own token in an unforeseen way: {why}"),
            next,
        )
    };
    reasons.map(unmet).collect()
}

/// The version of a server and, where it is a member of etcd that runs, what is wrong with it.
async fn check(
    probe: &Probe<'_>,
    server: &ServerSeen,
) -> Result<(Version, Option<Unmet>), StepError> {
    let seen = &server.seen;
    let k3s = seen.k3s.clone();
    let is_member = seen.install.datastore == Datastore::Etcd && seen.unit.is_active();
    let member = is_member.then(|| seen.member());
    let asked = (K3sVersion { k3s }, Vec::from_iter(member));
    let (version, member) = probe.get_on(&seen.host, asked).await?;
    let sick = member.first().filter(|member| !member.is_well());
    let unmet = sick.map(|member| {
        Unmet::new(
            "etcd-member-not-well",
            format!("etcd on {} is not well: {}", seen.host, member.words()),
            "get every member of etcd to be healthy first",
        )
    });
    Ok((version, unmet))
}

fn topology(cluster: &Cluster, version: Option<Version>) -> String {
    let parts = [
        (cluster.count(Datastore::Sqlite), "on sqlite"),
        (cluster.count(Datastore::Etcd), "with embedded etcd"),
        (
            cluster.count(Datastore::External),
            "on an external datastore",
        ),
        (
            cluster.count(Datastore::Elsewhere),
            "without a datastore of their own",
        ),
    ];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, text)| format!("{n} {text}"))
        .collect();
    let version = version.map_or_else(String::new, |version| {
        format!(
            "; K3s {version}: {}{}",
            measured::words(version),
            measured::servers(version, cluster)
        )
    });
    format!("servers: {}{version}", parts.join(", "))
}

fn remarks(cluster: &Cluster) -> Vec<String> {
    // The rotate itself mends it; until then no reboot must come in between.
    let fatal = cluster.next_restart_fatal().into_iter();
    let mut notes: Vec<String> = fatal.map(|it| Finding::of_unmet(it).note()).collect();
    if cluster.servers.len() == 1 {
        notes.push("there is one server: the API goes away while it restarts".to_owned());
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_with_two_builds_of_one_version_differ() {
        let of = |texts: &[&str]| {
            let versions = texts.iter().map(|text| Version::parse(text).unwrap());
            mixed(&versions.collect()).map(|unmet| unmet.what)
        };
        assert_eq!(of(&["v1.34.3+k3s1", "v1.34.3+k3s1"]), None);
        let what = of(&["v1.34.3+k3s2", "v1.34.3+k3s1"]).unwrap();
        assert!(what.ends_with("v1.34.3+k3s1, v1.34.3+k3s2"), "{what}");
    }
}
