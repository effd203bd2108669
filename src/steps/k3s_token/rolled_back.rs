//! OLD holds again everywhere: a PUT of OLD at the rotator and the surfaces back.
//!
//! It works without a restart while no running server has NEW in memory (measured: sqlite-rotate,
//! ha-rollback-restart). Later the way is forward, and that is said.

use super::active::flip;
use super::{Mode, rotate};
use crate::facts::{Probe, Scope};
use crate::k3s::phase::{Phase, Standing, names};
use crate::model::HostName;
use crate::op::{Act, Op};
use crate::secret::Secret;
use crate::steps::look::{Blind, Cluster, ServerSeen};
use crate::steps::{Proposal, StepError, Unmet};

pub(super) async fn propose(probe: &Probe<'_>, mode: Mode) -> Result<Proposal, StepError> {
    let cluster = Cluster::now(probe).await;
    let standing = match &cluster.standing {
        Ok(standing) => standing,
        Err(torn) => return Ok(Proposal::refuse(vec![Unmet::of_torn(torn)])),
    };
    let Some(old) = &standing.old else {
        return Ok(Proposal::default());
    };
    let back = cluster
        .servers
        .iter()
        .flat_map(|server| flip(&server.seen, old, mode))
        .collect::<Vec<Op>>();
    let hidden = not_known(&cluster, standing);
    if back.is_empty() && !standing.is_rotated() {
        let notes = hidden.into_iter().map(|unmet| unmet.what).collect();
        return Ok(Proposal {
            notes,
            ..Proposal::default()
        });
    }
    let refusals: Vec<Unmet> = too_late(standing).into_iter().chain(hidden).collect();
    if !refusals.is_empty() {
        return Ok(Proposal::refuse(refusals));
    }
    let rotator = standing
        .rotator
        .as_ref()
        .and_then(|host| cluster.server(host));
    let mut ops = match (standing.is_rotated(), rotator) {
        (false, _) => Vec::new(),
        (true, Some(rotator)) => put_back(rotator, old),
        (true, None) => return Ok(Proposal::refuse(vec![no_rotator()])),
    };
    let is_part = !ops.is_empty();
    ops.extend(back.into_iter().map(|op| {
        if is_part {
            op.at_once(super::WINDOW)
        } else {
            op
        }
    }));
    // A server that is away must not keep the others from being saved.
    let away = |(host, why): &(HostName, Blind)| {
        format!(
            "{host} was not looked at ({why}): see that it is configured with the old token before it is restarted"
        )
    };
    let notes = cluster.blind.iter().map(away).collect();
    Ok(Proposal {
        ops,
        notes,
        ..Proposal::default()
    })
}

/// Whether a rotation is unfinished and can be taken back: every server answers, and none has NEW in memory.
pub async fn can_be_taken_back(scope: &Scope) -> bool {
    let Some(probe) = scope.first_server() else {
        return false;
    };
    let cluster = Cluster::now(&probe).await;
    let Ok(standing) = &cluster.standing else {
        return false;
    };
    let is_begun = |(_, phase): &(HostName, Phase)| {
        matches!(
            phase,
            Phase::Staged | Phase::Rotated | Phase::Flipped | Phase::Ahead
        )
    };
    standing.phases.iter().any(is_begun)
        && cluster.silent().is_empty()
        && too_late(standing).is_empty()
        && not_known(&cluster, standing).is_none()
}

fn put_back(rotator: &ServerSeen, old: &Secret) -> Vec<Op> {
    let host = &rotator.seen.host;
    let path = rotator.seen.rotated_path();
    let act = rotate(&rotator.seen, old, old);
    vec![
        Op::root(
            host,
            "take the word back that the datastore has the new token",
            Act::Remove { path },
        ),
        Op::root(
            host,
            "re-encrypt the datastore with the old token again",
            act,
        ),
    ]
}

/// The rotator alone can be rolled back, and it alone shows that a rotate was done: while a server is away that might
/// be it, nobody knows.
fn not_known(cluster: &Cluster, standing: &Standing) -> Option<Unmet> {
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
                "restart no other server; if {rotator} does not start: keyroll rescue {rotator}"
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

pub(in crate::steps) fn too_late(standing: &Standing) -> Vec<Unmet> {
    let running = standing
        .phases
        .iter()
        .filter(|(_, phase)| matches!(phase, Phase::New | Phase::Reverted));
    let unmet = |(host, _): &(HostName, Phase)| {
        Unmet::new(
            "too-late-to-roll-back",
            format!("{host} already runs with the new token"),
            "only forward works now: `keyroll run @rotate-token` on this inventory finishes the rotation",
        )
    };
    running.map(unmet).collect()
}

fn no_rotator() -> Unmet {
    Unmet::new(
        "no-rotator",
        "the datastore holds the new token, and no server shows that it was rotated there",
        "only forward works now: `keyroll run @rotate-token` on this inventory finishes the rotation",
    )
}
