//! When nothing shows which token the datastore has, the datastore is asked, once a run: when only files say that it has NEW,
//! for the same rotate once more, on the server whose files they are; else for a rotate to the token that a server has.

use super::examine::examine;
use super::refusals::UNCERTAIN;
use crate::facts::Probe;
use crate::k3s::phase::{Standing, TWO};
use crate::k3s::token::{TokenKind, tag};
use crate::op::Op;
use crate::steps::datastore::{answer, ask, question};
use crate::steps::k3s_token::ONCE_MORE;
use crate::steps::look::{Cluster, Seen};
use crate::steps::{Proposal, StepError};

pub(super) async fn propose(probe: &Probe<'_>, seen: &Seen) -> Result<Proposal, StepError> {
    // What is known already, or wrong for another reason, is dealt with by the tasks that follow.
    let is_certain = match examine(probe, seen).await? {
        // What processes say counts more than what the operator says, and the datastore's answer more than both.
        Ok(found) => {
            let given = probe.options().words.datastore.as_ref();
            given.is_none_or(|given| *given == found.right)
        }
        Err(unmet) => !unmet.iter().any(|it| UNCERTAIN.contains(&it.name)),
    };
    let cluster = Cluster::now(probe, TokenKind::Server).await;
    let is_certain = is_certain && cluster.half_rolled_back().is_none();
    if answer(probe, &cluster).is_some() {
        return Ok(Proposal::default());
    }
    // That OLD was refused does not show that a rotate of which only files tell has ended well: there may have been another.
    let op = match once_more(probe, &cluster).await? {
        None if is_certain => None,
        None => match of_rotator(probe, &cluster).await? {
            None => ask(probe, &cluster).await?,
            op => op,
        },
        op => op,
    };
    Ok(Proposal::of(op.into_iter().collect()))
}

/// Of two rotates one that may have ended well.
async fn of_rotator(probe: &Probe<'_>, cluster: &Cluster) -> Result<Option<Op>, StepError> {
    let standing = cluster.standing_of_processes(probe);
    if !standing.is_err_and(|torn| torn.name == TWO) {
        return Ok(None);
    }
    for server in &cluster.servers {
        let (seen, held) = (&server.seen, server.memory.secret());
        let moved = seen
            .on_disk()
            .filter(|it| seen.passwd().server.as_ref() == Some(it));
        let moved = held.zip(moved).filter(|(held, moved)| *held != moved);
        let Some((held, moved)) = moved else { continue };
        if seen.denied().is_some_and(|(of, _)| of == tag(&moved)) {
            continue;
        }
        if cluster.is_well(probe, server).await? {
            return Ok(Some(question(probe, seen, (held, &moved), ONCE_MORE)));
        }
    }
    Ok(None)
}

/// The rotate of which only files tell.
async fn once_more(probe: &Probe<'_>, cluster: &Cluster) -> Result<Option<Op>, StepError> {
    let standing = cluster.standing_of_processes(probe).ok();
    let unsure = standing.filter(|it| it.is_rotated() && !cluster.is_witnessed(it));
    let Some(Standing { rotator, new, .. }) = unsure else {
        return Ok(None);
    };
    let rotator = rotator.and_then(|rotator| cluster.server(&rotator));
    let held = rotator.and_then(|rotator| rotator.memory.secret());
    Ok(match rotator.zip(held) {
        Some((rotator, held)) if cluster.is_well(probe, rotator).await? => {
            Some(question(probe, &rotator.seen, (held, &new), ONCE_MORE))
        }
        _ => None,
    })
}
