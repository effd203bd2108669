//! OLD holds again everywhere: a PUT of OLD at the rotator and the surfaces back.
//!
//! It works without a restart while no running server has NEW in memory (measured: sqlite-rotate,
//! ha-rollback-restart). Later the way is forward, and that is said.

use super::active::flip;
use super::{leaves, put};
use crate::facts::Probe;
use crate::k3s::phase::{Phase, Standing, names};
use crate::model::HostName;
use crate::op::{Act, Op};
use crate::steps::look::{Blind, Cluster};
use crate::steps::{Proposal, StepError, Unmet};

pub(super) async fn propose(probe: &Probe<'_>) -> Result<Proposal, StepError> {
    let cluster = Cluster::now(probe).await;
    let standing = match &cluster.standing {
        Ok(standing) => standing,
        Err(torn) => return Ok(Proposal::refuse(vec![Unmet::of_torn(torn)])),
    };
    let Some(old) = &standing.old else {
        return Ok(Proposal::default());
    };
    let refusals: Vec<Unmet> = too_late(standing)
        .into_iter()
        .chain(not_known(&cluster, standing))
        .collect();
    if !refusals.is_empty() {
        return Ok(Proposal::refuse(refusals));
    }
    let mut ops = Vec::new();
    if standing.is_rotated() {
        let Some(rotator) = standing
            .rotator
            .as_ref()
            .and_then(|host| cluster.server(host))
        else {
            return Ok(Proposal::refuse(vec![no_rotator()]));
        };
        let act = Act::Run {
            command: put(&rotator.seen.door(), old, old),
            leaves: leaves(&rotator.seen, old),
        };
        ops.push(Op::root(
            &rotator.seen.host,
            "re-encrypt the datastore with the old token again",
            act,
        ));
    }
    ops.extend(
        cluster
            .servers
            .iter()
            .flat_map(|server| flip(&server.seen, old)),
    );
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

/// The rotator alone shows that a rotate was done: while a server is away that might be it, nobody knows.
fn not_known(cluster: &Cluster, standing: &Standing) -> Option<Unmet> {
    let rotator = standing.rotator.as_ref();
    let silent: Vec<&HostName> = cluster.silent().into_iter().map(|(host, _)| host).collect();
    let away: Vec<&HostName> = cluster
        .blind
        .iter()
        .map(|(host, _)| host)
        .chain(silent)
        .collect();
    let hidden = rotator.is_none_or(|host| away.contains(&host));
    (hidden && !away.is_empty()).then(|| {
        Unmet::new(
            "rotation-not-known",
            format!(
                "while {} is away it is not known whether the datastore was rotated",
                names(away.into_iter())
            ),
            "restart no server; get it to answer, then run the same command again",
        )
    })
}

fn too_late(standing: &Standing) -> Vec<Unmet> {
    let running = standing
        .phases
        .iter()
        .filter(|(_, phase)| matches!(phase, Phase::New | Phase::Reverted));
    let unmet = |(host, _): &(HostName, Phase)| {
        Unmet::new(
            "too-late-to-roll-back",
            format!("{host} already runs with the new token"),
            "go on: run the same command again, which finishes the rotation",
        )
    };
    running.map(unmet).collect()
}

fn no_rotator() -> Unmet {
    Unmet::new(
        "no-rotator",
        "the datastore holds the new token, and no server shows that it was rotated there",
        "go on: run the same command again, which finishes the rotation",
    )
}
