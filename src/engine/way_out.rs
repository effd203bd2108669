//! After a failed run: whether the rotation that it left unfinished can still be taken back, and with which command.

use std::time::Duration;

use super::Shared;
use crate::steps::Step;
use crate::steps::k3s_token::{State, can_be_taken_back};

/// How long the look may take: a run that has failed must still end.
const LOOK: Duration = Duration::from_secs(45);

/// The command that takes it back; `None` when the plan rotates nothing, or the servers do not show that it can be.
pub(super) async fn roll_back(shared: &Shared, inventory: &str) -> Option<String> {
    let tasks = shared.plan.plays.iter().flat_map(|play| play.tasks.iter());
    let rotates =
        |step: &Step| matches!(step, Step::K3sToken(token) if token.state == State::Rotated);
    if !tasks.map(|task| &task.step).any(rotates) {
        return None;
    }
    let look = can_be_taken_back(&shared.scope);
    let can = shared.scope.clock.within(LOOK, look).await.unwrap_or(false);
    let words = ["keyroll", "rollback", "-i", inventory];
    shlex::try_join(words).ok().filter(|_| can)
}
