//! After a failed run: whether the rotation that it left unfinished can still be taken back.

use std::time::Duration;

use super::Shared;
use crate::steps::Step;
use crate::steps::k3s_token::{State, can_be_taken_back};

/// How long the look may take: a run that has failed must still end.
const LOOK: Duration = Duration::from_secs(45);

/// Whether it can; `false` when the plan rotates nothing, or the servers do not show it.
pub(super) async fn is_open(shared: &Shared) -> bool {
    let tasks = shared.plan.plays.iter().flat_map(|play| play.tasks.iter());
    let rotates =
        |step: &Step| matches!(step, Step::K3sToken(token) if token.state == State::Rotated);
    if !tasks.map(|task| &task.step).any(rotates) {
        return false;
    }
    let look = can_be_taken_back(&shared.scope);
    shared.scope.clock.within(LOOK, look).await.unwrap_or(false)
}
