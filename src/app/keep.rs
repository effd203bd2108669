//! Whether the old token is kept off the hosts, which must be chosen before a rotation.

use super::books::Books;
use crate::cli;
use crate::plan::Plan;
use crate::report::Writer;
use crate::steps::Step;
use crate::steps::k3s_token::State;

const LOST: &str = "note: a restore of a snapshot from before the rotation needs the old token, which keyroll forgets after the \
proof; keep it yourself, and say so with --no-escrow";

/// Says what is lost where nobody has chosen.
pub(super) fn remind(asked: &cli::Run, books: &Books, plan: &Plan) {
    let chosen = asked.keep.no_escrow || asked.only.check || books.sim.is_some();
    if !chosen && rotates(plan) {
        Writer::standard().talk(LOST).ok();
    }
}

/// Whether a datastore would be re-encrypted.
fn rotates(plan: &Plan) -> bool {
    let mut plays = plan
        .plays
        .iter()
        .filter(|play| !play.batches.iter().all(Vec::is_empty));
    plays.any(|play| {
        let mut steps = play.tasks.iter().map(|task| &task.step);
        steps.any(|step| matches!(step, Step::K3sToken(token) if token.state == State::Rotated))
    })
}
