//! What can only be said of all servers together.

use std::collections::BTreeSet;

use super::{clocks, flags, measured};
use crate::facts::{EtcdMember, K3sVersion, Probe};
use crate::k3s::install::Datastore;
use crate::k3s::phase::{Memory, Phase};
use crate::k3s::version::Version;
use crate::steps::look::{Cluster, ServerSeen, words};
use crate::steps::unmanaged::{call_roll, call_roll_of_etcd};
use crate::steps::{Proposal, StepError, Unmet};

pub(super) async fn judge(
    probe: &Probe<'_>,
    cluster: &Cluster,
    proposal: &mut Proposal,
) -> Result<(), StepError> {
    let mut unmet = Vec::new();
    match cluster.standing()? {
        Ok(standing) => {
            unmet.extend(
                standing
                    .phases
                    .iter()
                    .filter(|(_, phase)| *phase == Phase::Foreign)
                    .map(|(host, phase)| {
                        Unmet::new(
                            "foreign-server",
                            format!("{host}: {}", words(Some(*phase))),
                            format!("see whether {host} belongs to this cluster"),
                        )
                    }),
            );
        }
        Err(reasons) => unmet.extend(reasons),
    }
    unmet.extend(silent(cluster));
    unmet.extend(cluster.servers.iter().filter_map(pending_agent_token));
    unmet.extend(hashes(cluster));
    roll(probe, cluster, &mut unmet, &mut proposal.notes).await;
    let mut versions = BTreeSet::new();
    for server in cluster.members() {
        unmet.extend(sick(probe, server).await?);
    }
    for server in &cluster.servers {
        versions.insert(
            probe
                .get_on(
                    &server.seen.host,
                    K3sVersion {
                        k3s: server.seen.k3s.clone(),
                    },
                )
                .await?,
        );
    }
    unmet.extend(mixed(&versions));
    let measured = versions.iter().all(|version| version.was_measured());
    proposal.notes.push(topology(
        cluster,
        versions.iter().next().map(ToString::to_string),
        measured,
    ));
    proposal.notes.extend(remarks(cluster));
    unmet.extend(flags::judge(cluster));
    unmet.extend(clocks::judge(probe, cluster).await?);
    proposal.unmet.extend(unmet);
    measured::judge(&probe.options().words, cluster, &versions, proposal);
    Ok(())
}

fn mixed(versions: &BTreeSet<Version>) -> Option<Unmet> {
    let list: Vec<String> = versions.iter().map(ToString::to_string).collect();
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

/// Nodes and members of etcd against the inventory.
async fn roll(
    probe: &Probe<'_>,
    cluster: &Cluster,
    unmet: &mut Vec<Unmet>,
    notes: &mut Vec<String>,
) {
    let mut servers = cluster.servers.iter();
    let secret = servers.find_map(|server| server.memory.secret());
    let mut rolls = vec![call_roll(probe, cluster).await];
    if let Some(secret) = secret {
        rolls.push(call_roll_of_etcd(probe, cluster, secret).await);
    }
    for roll in rolls {
        unmet.extend(roll.unmet);
        notes.extend(roll.left_out);
    }
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
        .filter_map(|server| Some((&server.seen.host, reason(server)?)));
    let unmet = |(host, why)| {
        Unmet::new(
            "calibration-failed",
            format!("{host} answers a probe with its own token in an unforeseen way: {why}"),
            "keyroll cannot prove anything on such a server; see whether a proxy stands before port 6443",
        )
    };
    reasons.map(unmet).collect()
}

/// An agent token that is configured and equals the server token, or was never taken: the node row would keep OLD
/// alive, or the restart after the next one would be fatal (measured: sqlite-agent-token).
fn pending_agent_token(server: &ServerSeen) -> Option<Unmet> {
    let passwd = server.seen.passwd();
    let pending =
        server.seen.install.agent_token && passwd.node.is_some() && passwd.node == passwd.server;
    pending.then(|| {
        Unmet::new(
            "agent-token-equals-server-token",
            format!("{} has an agent token configured, and still accepts the server token from agents", server.seen.host),
            "take the agent token out of its configuration, or give it a value of its own and restart the servers first",
        )
    })
}

fn hashes(cluster: &Cluster) -> Option<Unmet> {
    let hashes: BTreeSet<String> = cluster
        .servers
        .iter()
        .filter_map(|server| server.seen.ca_hash())
        .collect();
    (hashes.len() > 1).then(|| {
        Unmet::new(
            "ca-differs",
            "the servers have different cluster CAs",
            "see whether all of them belong to one cluster",
        )
    })
}

async fn sick(probe: &Probe<'_>, server: &ServerSeen) -> Result<Option<Unmet>, StepError> {
    let seen = &server.seen;
    if !seen.unit.is_active() {
        return Ok(None);
    }
    let member = probe
        .get_on(
            &seen.host,
            EtcdMember {
                k3s: seen.k3s.clone(),
            },
        )
        .await?;
    let what = format!("etcd on {} is not well: {}", seen.host, member.words());
    Ok((!member.is_well()).then(|| {
        Unmet::new(
            "etcd-member-not-well",
            what,
            "get every member of etcd to be healthy first",
        )
    }))
}

fn topology(cluster: &Cluster, version: Option<String>, measured: bool) -> String {
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
    let word = if measured {
        "a rotation was measured on this version"
    } else {
        "a rotation was not measured on this very version"
    };
    format!(
        "servers: {}; K3s {}: {word}",
        parts.join(", "),
        version.unwrap_or_default()
    )
}

fn remarks(cluster: &Cluster) -> Vec<String> {
    // The rotate itself mends it; until then no reboot must come in between.
    let fatal = cluster.next_restart_fatal().into_iter();
    let mut notes: Vec<String> = fatal.map(|unmet| unmet.what).collect();
    if cluster.servers.len() == 1 {
        notes.push("there is one server: the API goes away while it restarts".to_owned());
    }
    let separate = |server: &&ServerSeen| {
        let passwd = server.seen.passwd();
        server.seen.install.agent_token || passwd.node.is_some() && passwd.node != passwd.server
    };
    if let Some(server) = cluster.servers.iter().find(separate) {
        notes.push(format!("agents join with a token of their own ({} has one configured), which this rotation leaves as it is", server.seen.host));
    }
    for server in cluster
        .servers
        .iter()
        .filter(|server| server.seen.install.surfaces.len() > 1)
    {
        let files: Vec<&str> = server
            .seen
            .install
            .surfaces
            .iter()
            .map(|surface| surface.file.as_str())
            .collect();
        notes.push(format!(
            "{} holds its token more than once ({}): all are changed",
            server.seen.host,
            files.join(", ")
        ));
    }
    notes
}
