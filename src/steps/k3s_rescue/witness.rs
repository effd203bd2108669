//! When nothing shows which token the datastore has, the datastore is asked, once a run: when only files say that it has NEW,
//! for the same rotate once more, on the server whose files they are; else for a rotate to the token that a server has.

use super::server::examine;
use crate::facts::Probe;
use crate::k3s::phase::Standing;
use crate::k3s::token::TokenKind;
use crate::op::Op;
use crate::steps::datastore::{answer, ask, question};
use crate::steps::k3s_token::ONCE_MORE;
use crate::steps::look::{Cluster, Seen};
use crate::steps::{Proposal, StepError};

pub(super) async fn propose(probe: &Probe<'_>, seen: &Seen) -> Result<Proposal, StepError> {
    // What is known already, or wrong for another reason, is dealt with by the tasks that follow.
    let is_certain = match examine(probe, seen).await? {
        Ok(_) => true,
        Err(unmet) => unmet.iter().all(|unmet| unmet.name != "token-not-certain"),
    };
    if is_certain {
        return Ok(Proposal::default());
    }
    let cluster = Cluster::now(probe, TokenKind::Server).await;
    if answer(probe, &cluster).is_some() {
        return Ok(Proposal::default());
    }
    let op = match once_more(probe, &cluster).await? {
        None => ask(probe, &cluster).await?,
        op => op,
    };
    Ok(Proposal::of(op.into_iter().collect()))
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
