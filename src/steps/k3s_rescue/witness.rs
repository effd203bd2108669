//! When only files say that the datastore has NEW, the same rotate is asked for once more, on the server whose files
//! they are: it is answered well when the datastore has NEW, and with 500 when it has not (measured: v1.32.4-sqlite).

use super::server::examine;
use crate::facts::Probe;
use crate::k3s::token::TokenKind;
use crate::op::Op;
use crate::steps::k3s_token::{again, word};
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
    Ok(Proposal::of(once_more(probe).await.unwrap_or_default()))
}

async fn once_more(probe: &Probe<'_>) -> Option<Vec<Op>> {
    let cluster = Cluster::now(probe, TokenKind::Server).await;
    let standing = cluster.standing_of_processes(probe).ok()?;
    let unsure = standing.is_rotated() && !cluster.is_witnessed(&standing);
    let rotator = cluster.server(standing.rotator.as_ref().filter(|_| unsure)?)?;
    let authority = rotator.memory.secret()?;
    Some(vec![
        again(&rotator.seen, authority, &standing.new),
        word(&rotator.seen, &standing.new),
    ])
}
