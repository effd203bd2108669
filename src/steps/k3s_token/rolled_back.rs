//! OLD holds again everywhere: a PUT of OLD at the rotator and the surfaces back.
//!
//! It works without a restart while no running server has NEW in memory (measured: sqlite-rotate,
//! ha-rollback-restart). Later the way is forward, and that is said.

use super::active::flip;
use super::{leaves, put};
use crate::facts::Probe;
use crate::k3s::phase::{Phase, Standing};
use crate::op::{Act, Op};
use crate::steps::look::{Cluster, Seen};
use crate::steps::{Proposal, StepError, Unmet};

pub(super) async fn propose(probe: &Probe<'_>, seen: &Seen) -> Result<Proposal, StepError> {
    let cluster = Cluster::now(probe).await;
    let standing = match cluster.standing()? {
        Ok(standing) => standing,
        Err(unmet) => return Ok(Proposal::refuse(unmet)),
    };
    let Some(old) = &standing.old else {
        return Ok(Proposal::default());
    };
    let too_late = too_late(standing);
    if !too_late.is_empty() {
        return Ok(Proposal::refuse(too_late));
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
    ops.extend(flip(seen, old));
    Ok(Proposal::of(ops))
}

fn too_late(standing: &Standing) -> Vec<Unmet> {
    let running = standing
        .phases
        .iter()
        .filter(|(_, phase)| matches!(phase, Phase::New | Phase::Reverted));
    let unmet = |(host, _): &(crate::model::HostName, Phase)| {
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
