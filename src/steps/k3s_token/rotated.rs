//! The datastore is encrypted with NEW: one PUT, on one server, once; then what waits is renamed on every server.
//!
//! It is proposed only when every server of the inventory, and every server that the cluster knows, was looked at
//! just now, is well, holds OLD in memory and has NEW waiting. Files that say it was done are believed only with a
//! witness; without one the same PUT is asked for once more.

use std::time::Duration;

use super::active::flip;
use super::{Mode, not_answering, rotate};
use crate::facts::Probe;
use crate::k3s::phase::{Phase, Standing};
use crate::k3s::token::{self, TokenKind};
use crate::model::HostName;
use crate::op::{Act, Op, Until, Wait};
use crate::secret::{Content, Secret};
use crate::steps::apiservers::unlisted_servers;
use crate::steps::look::{Cluster, Seen, ServerSeen, server_nodes, words};
use crate::steps::unmanaged::{call_roll_of_etcd, unmanaged_servers};
use crate::steps::{Proposal, StepError, Unmet};
use crate::wire::WriteFile;

/// Why a rotate is asked for that files tell of already.
pub(in crate::steps) const ONCE_MORE: &str =
    "ask for the same rotate once more, since nothing shows that it ended well";

pub(super) async fn propose(probe: &Probe<'_>, mode: Mode) -> Result<Proposal, StepError> {
    let cluster = Cluster::now(probe, TokenKind::Server).await;
    let standing = match cluster.standing()? {
        Ok(standing) => standing,
        Err(unmet) => return Ok(Proposal::refuse(unmet)),
    };
    if standing.is_rotated() {
        return Ok(if cluster.is_witnessed(standing) {
            Proposal::default()
        } else {
            once_more(&cluster, standing, mode)
        });
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
    unmet.extend(cluster.unrotatable());
    unmet.extend(sick_members(probe, &cluster).await?);
    let unmanaged = unmanaged_servers(probe, &cluster).await;
    if unmanaged.is_empty() {
        unmet.extend(unlisted_servers(probe, &cluster).await);
        unmet.extend(call_roll_of_etcd(probe, &cluster, old).await.unmet);
    }
    unmet.extend(unmanaged);
    let act = rotate(&rotator.seen, old, &standing.new);
    let mut ops: Vec<Op> = cluster.servers.iter().filter_map(unmark).collect();
    let why = "re-encrypt the datastore with the new token";
    ops.push(Op::root(&rotator.seen.host, why, act));
    ops.extend(afterwards(&cluster, rotator, standing, mode));
    Ok(Proposal {
        ops,
        unmet,
        ..Proposal::default()
    })
}

/// The rotator's files hold NEW, and nobody saw the rotate end well. Asked for once more it is answered well when the
/// datastore holds NEW, and with 500 when it does not (measured: v1.32.4-sqlite).
fn once_more(cluster: &Cluster, standing: &Standing, mode: Mode) -> Proposal {
    let rotator = standing
        .rotator
        .as_ref()
        .and_then(|host| cluster.server(host));
    let Some((rotator, authority)) =
        rotator.and_then(|server| Some((server, server.memory.secret()?)))
    else {
        return Proposal::refuse(cluster.unwitnessed(standing).into_iter().collect());
    };
    let mut ops = vec![again(&rotator.seen, authority, &standing.new)];
    ops.extend(afterwards(cluster, rotator, standing, mode));
    Proposal {
        ops,
        unmet: not_answering(cluster),
        ..Proposal::default()
    }
}

/// The rotate that the server's files tell of, asked for once more.
fn again(seen: &Seen, authority: &Secret, new: &Secret) -> Op {
    Op::root(&seen.host, ONCE_MORE, rotate(seen, authority, new))
}

/// The word of a rotate that was answered well: files alone do not vouch for one.
fn word(seen: &Seen, new: &Secret) -> Op {
    let content = Content::new(format!("{}\n", token::tag(new)));
    let file = WriteFile::private(seen.rotated_path(), content);
    let why = "leave word that it ended well";
    Op::root(&seen.host, why, Act::WriteFile(file))
}

/// What follows a rotate that was answered well.
fn afterwards<'a>(
    cluster: &'a Cluster,
    rotator: &'a ServerSeen,
    standing: &Standing,
    mode: Mode,
) -> impl Iterator<Item = Op> + use<'a> {
    let host = &rotator.seen.host;
    let mark = word(&rotator.seen, &standing.new);
    // At once and without another look: a server that reboots between the two is dead until it is rescued.
    let flips = cluster
        .servers
        .iter()
        .flat_map(|server| flip(&server.seen, &standing.new, mode));
    let flips: Vec<Op> = flips.map(|op| op.at_once(super::WINDOW)).collect();
    // A server without etcd has no revision of its own: then the members are compared with one of them.
    let is_member = |server: &&ServerSeen| server.seen.host == *host;
    let first = cluster
        .members()
        .find(is_member)
        .or_else(|| cluster.members().next());
    let first = first.map_or(host, |server| &server.seen.host);
    let others = cluster
        .members()
        .filter(move |server| server.seen.host != *first);
    flips
        .into_iter()
        .chain([mark])
        .chain(others.map(move |server| catch_up(server, first)))
}

/// A mark of an earlier rotate says nothing about the next one.
fn unmark(server: &ServerSeen) -> Option<Op> {
    server.seen.rotated()?;
    let act = Act::Remove {
        path: server.seen.rotated_path(),
    };
    let why = "remove the word of an earlier rotate";
    Some(Op::root(&server.seen.host, why, act))
}

/// A member that lacks the new key crash-loops when it is restarted (measured: ha-member-away).
fn catch_up(server: &ServerSeen, rotator: &HostName) -> Op {
    let wait = Wait {
        until: Until::CaughtUp {
            with: rotator.clone(),
        },
        // As long as a reboot: every surface has NEW by now, and a roll back beside a server that comes up with it is worse.
        timeout: Duration::from_mins(3),
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
    for server in cluster.members() {
        let member = probe
            .get_now(&server.seen.host, server.seen.member())
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
