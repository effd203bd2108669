//! The datastore is encrypted with NEW: one PUT, on one server, once; then what waits is renamed on every server.
//!
//! It is proposed only when every server of the inventory, and every server that the cluster knows, was looked at
//! just now, is well, holds OLD in memory and has NEW waiting.

use std::time::Duration;

use super::active::flip;
use super::{leaves, not_answering, put};
use crate::facts::{EtcdMember, Probe};
use crate::k3s::install::Datastore;
use crate::k3s::phase::{Phase, Standing};
use crate::model::HostName;
use crate::op::{Act, Op, Until, Wait};
use crate::steps::look::{Cluster, ServerSeen, server_nodes, words};
use crate::steps::unmanaged::unmanaged_servers;
use crate::steps::{Proposal, StepError, Unmet};

pub(super) async fn propose(probe: &Probe<'_>) -> Result<Proposal, StepError> {
    let cluster = Cluster::now(probe).await;
    let standing = match cluster.standing()? {
        Ok(standing) => standing,
        Err(unmet) => return Ok(Proposal::refuse(unmet)),
    };
    if standing.is_rotated() {
        return Ok(Proposal::default());
    }
    let nodes = server_nodes(probe, &cluster.servers).await;
    let rotator = cluster
        .rotator(probe.fleet(), &nodes)
        .and_then(|host| cluster.server(&host));
    let (Some(rotator), Some(old)) = (rotator, &standing.old) else {
        return Ok(Proposal::refuse(not_answering(&cluster)));
    };
    let mut unmet = not_answering(&cluster);
    unmet.extend(
        cluster
            .servers
            .iter()
            .filter_map(|server| not_ready(server, standing)),
    );
    unmet.extend(sick_members(probe, &cluster).await?);
    unmet.extend(unmanaged_servers(probe, &cluster).await);
    let act = Act::Run {
        command: put(&rotator.seen.door(), old, &standing.new),
        leaves: leaves(&rotator.seen, &standing.new),
    };
    let mut ops = vec![Op::root(
        &rotator.seen.host,
        "re-encrypt the datastore with the new token",
        act,
    )];
    // At once and without another look: a server that reboots between the two is dead until it is rescued.
    ops.extend(
        cluster
            .servers
            .iter()
            .flat_map(|server| flip(&server.seen, &standing.new)),
    );
    let others = members(&cluster).filter(|server| server.seen.host != rotator.seen.host);
    ops.extend(others.map(|server| catch_up(server, &rotator.seen.host)));
    Ok(Proposal {
        ops,
        unmet,
        notes: Vec::new(),
    })
}

fn members(cluster: &Cluster) -> impl Iterator<Item = &ServerSeen> {
    cluster
        .servers
        .iter()
        .filter(|server| server.seen.install.datastore == Datastore::Etcd)
}

/// A member that lacks the new key crash-loops when it is restarted (measured: ha-member-away).
fn catch_up(server: &ServerSeen, rotator: &HostName) -> Op {
    let wait = Wait {
        until: Until::CaughtUp {
            with: rotator.clone(),
        },
        timeout: Duration::from_secs(20),
        interval: Duration::from_secs(1),
    };
    Op::root(
        &server.seen.host,
        "wait until this member has the re-encrypted data",
        Act::Wait(wait),
    )
}

fn not_ready(server: &ServerSeen, standing: &Standing) -> Option<Unmet> {
    let host = &server.seen.host;
    let unmet = |what: String| {
        Some(Unmet::new(
            "server-not-staged",
            what,
            "let every server be staged first",
        ))
    };
    let waits = |phase| matches!(phase, Phase::Staged | Phase::Ahead);
    match standing.phase(host) {
        // Why it is silent is said elsewhere.
        Some(Phase::Silent) => None,
        Some(phase) if waits(phase) && server.seen.kept().is_some() => None,
        Some(phase) if waits(phase) => unmet(format!("{host} does not keep the old token yet")),
        phase => unmet(format!(
            "the new token does not wait on {host} yet: {}",
            words(phase)
        )),
    }
}

/// Members of etcd that are not well now, as reasons.
async fn sick_members(probe: &Probe<'_>, cluster: &Cluster) -> Result<Vec<Unmet>, StepError> {
    let mut unmet = Vec::new();
    for server in members(cluster) {
        let member = probe
            .get_now(
                &server.seen.host,
                EtcdMember {
                    k3s: server.seen.k3s.clone(),
                },
            )
            .await?;
        if !member.is_well() {
            unmet.push(Unmet::new(
                "etcd-member-not-well",
                format!(
                    "etcd on {} is not well: {}",
                    server.seen.host,
                    member.words()
                ),
                "get every member of etcd to be healthy first",
            ));
        }
    }
    Ok(unmet)
}
