//! OLD holds again everywhere: a PUT of OLD at the rotator and the surfaces back.
//!
//! It works without a restart while no running server has NEW in memory (measured: sqlite-rotate,
//! ha-rollback-restart). Later the way is forward, and that is said.

use super::active::flip;
use super::{Mode, rotate};
use crate::facts::{Probe, Scope};
use crate::k3s::phase::{Memory, Phase, Standing, names};
use crate::k3s::token::TokenKind;
use crate::k3s::unsaved::Mark;
use crate::model::HostName;
use crate::op::{Act, Op};
use crate::secret::Secret;
use crate::steps::datastore::{RIGHT, put_right};
use crate::steps::k3s_heal::{save, word_of_saved};
use crate::steps::look::{Blind, Cluster, ServerSeen};
use crate::steps::{Proposal, StepError, Unmet};

/// How the way out begins where a rotation cannot be taken back: then the same command is none.
pub const FORWARD: &str = "only forward works now";

pub(super) async fn propose(
    probe: &Probe<'_>,
    about: TokenKind,
    mode: Mode,
) -> Result<Proposal, StepError> {
    let cluster = Cluster::now(probe, about).await;
    if about == TokenKind::Agent && kept(&cluster).next().is_none() {
        return Ok(Proposal::default());
    }
    let standing = match &cluster.standing {
        Ok(standing) => standing,
        Err(torn) => return Ok(Proposal::refuse(vec![Unmet::of_torn(torn)])),
    };
    let Some(old) = &standing.old else {
        return Ok(Proposal::default());
    };
    let back = flips(&cluster, old, mode);
    let hidden = not_known(&cluster, standing);
    if back.is_empty() && forget(&cluster).is_empty() && !standing.is_rotated() {
        let notes = hidden.into_iter().map(|unmet| unmet.what).collect();
        return Ok(Proposal {
            notes,
            ..Proposal::default()
        });
    }
    let refusals: Vec<Unmet> = too_late(about, standing)
        .into_iter()
        .chain(goes_on(&cluster, standing))
        .chain(hidden)
        .collect();
    if !refusals.is_empty() {
        return Ok(Proposal::refuse(refusals));
    }
    let ops = match undo(&cluster, standing, (old, mode)) {
        Ok(ops) => ops,
        Err(unmet) => return Ok(Proposal::refuse(vec![unmet])),
    };
    Ok(Proposal {
        ops,
        notes: notes_of_absent(&cluster),
        ..Proposal::default()
    })
}

fn flips(cluster: &Cluster, old: &Secret, mode: Mode) -> Vec<Op> {
    let servers = cluster.servers.iter();
    servers
        .flat_map(|server| flip(&server.seen, old, mode))
        .collect()
}

/// The rotate back, and the surfaces.
fn undo(
    cluster: &Cluster,
    standing: &Standing,
    (old, mode): (&Secret, Mode),
) -> Result<Vec<Op>, Unmet> {
    let back = flips(cluster, old, mode);
    if !standing.is_rotated() {
        return Ok(back.into_iter().chain(forget(cluster)).collect());
    }
    let is_certain = cluster.is_witnessed(standing);
    let rotator = standing.rotator.as_ref();
    let rotator = rotator
        .and_then(|host| cluster.server(host))
        .ok_or_else(no_rotator)?;
    let mut ops = put_back(rotator, old, is_certain)?;
    let saved = put_right_and_saved(cluster, rotator, standing, old);
    let back = back.into_iter().map(|op| op.at_once(super::WINDOW));
    let back = back.chain(forget(cluster));
    // Where it is not certain that there is anything to take back the configurations wait until that is shown.
    if is_certain {
        ops.extend(back.chain(saved));
    } else {
        ops.extend(saved.into_iter().chain(back));
    }
    Ok(ops)
}

/// What a rotate back that was answered well has written is in the datastore. Where nobody knows whether the datastore had NEW
/// at all, or somebody has sent the same rotate to other servers too, files are put right, and the last of them is saved: it is
/// shown that the datastore has OLD, and a later passwd would be fatal.
fn put_right_and_saved(
    cluster: &Cluster,
    rotator: &ServerSeen,
    standing: &Standing,
    old: &Secret,
) -> Vec<Op> {
    let is_moved = |server: &&ServerSeen| {
        let seen = &server.seen;
        let has_new = [seen.passwd().server, seen.on_disk()];
        seen.host != rotator.seen.host
            && server.memory.secret() == Some(old)
            && has_new.iter().all(|it| it.as_ref() == Some(&standing.new))
    };
    let moved: Vec<&ServerSeen> = cluster.servers.iter().filter(is_moved).collect();
    let right = |it: &&ServerSeen| put_right(&it.seen, old, RIGHT);
    let mut ops: Vec<Op> = moved.iter().map(right).collect();
    match moved.last() {
        None if cluster.is_witnessed(standing) => {
            ops.push(word_of_saved(&rotator.seen, Mark::OfThen));
        }
        last => ops.extend(save(&last.unwrap_or(&rotator).seen, old, Mark::OfThen)),
    }
    ops
}

/// A server that is away must not keep the others from being saved.
fn notes_of_absent(cluster: &Cluster) -> Vec<String> {
    let word = cluster.about.short();
    let away = |(host, why): &(HostName, Blind)| {
        format!(
            "{host} was not looked at ({why}): see that it is configured with the old {word} before it is restarted"
        )
    };
    cluster.blind.iter().map(away).collect()
}

/// Servers that keep OLD.
fn kept(cluster: &Cluster) -> impl Iterator<Item = &ServerSeen> {
    let servers = cluster.servers.iter();
    servers.filter(|server| server.seen.kept().is_some())
}

/// With the surfaces back nothing is left of a rotation of the agent token; what a server token's leaves is for
/// `k3s_rollback`, which proves that it is dead.
fn forget(cluster: &Cluster) -> Vec<Op> {
    let forget = |server: &ServerSeen| {
        let path = server.seen.kept_path();
        let why = "forget that another agent token was to come";
        Op::root(&server.seen.host, why, Act::Remove { path })
    };
    let is_agents = |_: &&ServerSeen| cluster.about == TokenKind::Agent;
    kept(cluster).filter(is_agents).map(forget).collect()
}

/// Whether a rotation of either token is unfinished and can be taken back: every server answers, and none has NEW in
/// memory.
pub async fn can_be_taken_back(scope: &Scope) -> bool {
    any_can(scope, TokenKind::Server).await || any_can(scope, TokenKind::Agent).await
}

async fn any_can(scope: &Scope, about: TokenKind) -> bool {
    let Some(probe) = scope.first_server() else {
        return false;
    };
    let cluster = Cluster::now(&probe, about).await;
    let Ok(standing) = &cluster.standing else {
        return false;
    };
    let is_begun = |(_, phase): &(HostName, Phase)| {
        matches!(
            phase,
            Phase::Staged | Phase::Rotated | Phase::Flipped | Phase::Ahead
        )
    };
    let is_nobodys = about == TokenKind::Agent && kept(&cluster).next().is_none();
    !is_nobodys
        && standing.phases.iter().any(is_begun)
        && cluster.silent().is_empty()
        && cluster.blind.is_empty()
        && too_late(about, standing).is_empty()
        && goes_on(&cluster, standing).is_empty()
        && not_known(&cluster, standing).is_none()
}

/// Servers that nobody can look at while the datastore has NEW: one that has started with it would be left behind. A run that
/// undoes what it has begun itself knows better, and saves the others.
pub(in crate::steps) fn unseen(cluster: &Cluster, standing: &Standing) -> Option<Unmet> {
    let blind: Vec<&HostName> = cluster.blind.iter().map(|(host, _)| host).collect();
    (standing.is_rotated() && !blind.is_empty()).then(|| {
        let names = names(blind.into_iter());
        Unmet::new(
            "server-unseen",
            format!(
                "{names} cannot be looked at, and the datastore has the new token: a server that has started with it would be left behind by a roll back"
            ),
            format!(
                "restart no server; get {names} to answer, then run the same command again, or finish the rotation: keyroll run @rotate-token -i INVENTORY"
            ),
        )
    })
}

fn put_back(rotator: &ServerSeen, old: &Secret, is_certain: bool) -> Result<Vec<Op>, Unmet> {
    let host = &rotator.seen.host;
    if rotator.memory.secret() != Some(old) {
        return Err(runs_with_another(host));
    }
    let path = rotator.seen.rotated_path();
    let why = "re-encrypt the datastore with the old token again";
    let back = if is_certain {
        Op::root(host, why, rotate(&rotator.seen, old, old))
    } else {
        let why = format!("{why}, where it has the new one: nothing shows that it has");
        put_right(&rotator.seen, old, &why)
    };
    Ok(vec![
        Op::root(
            host,
            "take the word back that the datastore has the new token",
            Act::Remove { path },
        ),
        back,
    ])
}

/// The rotator alone can be rolled back, and it alone shows that a rotate was done: while a server is away that might
/// be it, nobody knows. Nothing is encrypted with an agent token: a server that is away starts with either.
fn not_known(cluster: &Cluster, standing: &Standing) -> Option<Unmet> {
    if cluster.about == TokenKind::Agent {
        return None;
    }
    let silent: Vec<&HostName> = cluster.silent().into_iter().map(|(host, _)| host).collect();
    let away: Vec<&HostName> = cluster
        .blind
        .iter()
        .map(|(host, _)| host)
        .chain(silent)
        .collect();
    match &standing.rotator {
        Some(rotator) if away.contains(&rotator) => Some(Unmet::new(
            "rotator-away",
            format!(
                "the datastore has the new token, and {rotator}, which alone could take it back, is away"
            ),
            format!(
                "restart no other server; if {rotator} does not start: keyroll rescue {rotator} -i INVENTORY"
            ),
        )),
        None if !away.is_empty() => Some(Unmet::new(
            "rotation-not-known",
            format!(
                "while {} is away it is not known whether the datastore was rotated",
                names(away.into_iter())
            ),
            "restart no server; get it to answer, then run the same command again",
        )),
        _ => None,
    }
}

/// Servers that somebody starts with NEW just now. keyroll restarts none before it is past every roll back: whoever does goes
/// on with the rotation, or the machine came up again by itself. Beside a server that comes up with NEW a rotate to OLD is
/// fatal for that one.
fn goes_on(cluster: &Cluster, standing: &Standing) -> Vec<Unmet> {
    let is_starting = |server: &&ServerSeen| {
        let ServerSeen { seen, memory } = server;
        let unit = &seen.unit;
        let restarts = unit.is_first_start()
            || unit.active_state == "deactivating"
            || unit.is_active() && seen.started_after_change();
        let would_take_new = seen.surface() == Some(&standing.new);
        matches!(memory, Memory::Silent(_)) && would_take_new && restarts
    };
    let starting = cluster.servers.iter().filter(is_starting);
    let unmet = |server: &ServerSeen| {
        let host = &server.seen.host;
        Unmet::new(
            "started-meanwhile",
            format!(
                "{host} is being started with the new token: somebody else goes on with the rotation, and it is not taken back"
            ),
            format!(
                "{FORWARD}: see who restarts {host}; when that is over `keyroll run {} -i INVENTORY` finishes the rotation",
                cluster.about.playbook()
            ),
        )
    };
    starting.map(unmet).collect()
}

pub(in crate::steps) fn too_late(about: TokenKind, standing: &Standing) -> Vec<Unmet> {
    let running = standing
        .phases
        .iter()
        .filter(|(_, phase)| matches!(phase, Phase::New | Phase::Reverted));
    let unmet = |(host, _): &(HostName, Phase)| {
        Unmet::new(
            "too-late-to-roll-back",
            format!("{host} already runs with the new token"),
            format!(
                "{FORWARD}: `keyroll run {} -i INVENTORY` finishes the rotation",
                about.playbook()
            ),
        )
    };
    running.map(unmet).collect()
}

/// The old token that is kept is not the one of before this rotate: two rotations are mixed.
fn runs_with_another(host: &HostName) -> Unmet {
    Unmet::new(
        "no-rotator",
        format!(
            "{host}, where the rotate was done, runs with another token than the old one that is kept: it would refuse to take that one back"
        ),
        format!("{FORWARD}: `keyroll run @rotate-token -i INVENTORY` finishes the rotation"),
    )
}

fn no_rotator() -> Unmet {
    Unmet::new(
        "no-rotator",
        "the datastore holds the new token, and no server shows that it was rotated there",
        format!("{FORWARD}: `keyroll run @rotate-token -i INVENTORY` finishes the rotation"),
    )
}
