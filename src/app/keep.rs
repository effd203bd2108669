//! What is kept off the hosts: whether the old token is, which must be chosen before a rotation, and where.

use std::io::IsTerminal as _;

use camino::Utf8Path;

use super::books::Books;
use super::trouble::Trouble;
use crate::cli;
use crate::escrow::{Identity, Recipients, Vault};
use crate::model::RunId;
use crate::op::custody::CustodyError;
use crate::plan::Plan;
use crate::steps::Step;
use crate::steps::k3s_token::State;

const LOST: &str = "a restore of a snapshot from before the rotation needs the old token, which keyroll forgets after the proof";

const CHOOSE: &str = "choose: --escrow-to age1… keeps it, encrypted; --no-escrow says that you have it, or will restore no older snapshot";

impl From<CustodyError> for Trouble {
    fn from(error: CustodyError) -> Self {
        Self::usage(error.what, error.next)
    }
}

/// The place off the hosts, as the command line names it; an identity that does not fit is found out here.
pub(super) fn vault(asked: &cli::Run, state: &Utf8Path, run: &RunId) -> Result<Vault, Trouble> {
    let recipients = Recipients::read(&asked.keep.escrow_to)?;
    let identity = asked.keep.escrow_identity.as_deref();
    let identity = identity.map(Identity::read).transpose()?;
    if let Some(identity) = &identity {
        identity.fits(&recipients)?;
    }
    Ok(Vault {
        run: run.clone(),
        place: state.join("escrow"),
        recipients,
        identity,
        snapshots: asked.keep.fetch_snapshot.clone(),
    })
}

/// Whether it was chosen what becomes of the old token: on the command line, or now on a terminal.
pub(super) fn chosen(asked: &cli::Run, books: &Books, plan: &Plan) -> Result<bool, Trouble> {
    let wanted = !asked.keep.escrow_to.is_empty();
    if wanted
        && !has(
            plan,
            |step| matches!(step, Step::K3sSnapshot(step) if step.escrow.is_some()),
        )
    {
        return Err(Trouble::usage(
            "--escrow-to: no task of this playbook keeps the old token",
            "give a `k3s_snapshot` before the rotate the key `escrow`, as @rotate-token does",
        ));
    }
    if asked.keep.fetch_snapshot.is_some()
        && !has(plan, |step| matches!(step, Step::K3sSnapshot(_)))
    {
        return Err(Trouble::usage(
            "--fetch-snapshot: no task of this playbook takes a snapshot",
            "add a `k3s_snapshot`, as @rotate-token does",
        ));
    }
    let free = wanted || asked.keep.no_escrow || asked.only.check || books.sim.is_some();
    let rotates =
        |step: &Step| matches!(step, Step::K3sToken(token) if token.state == State::Rotated);
    if free || !has(plan, rotates) {
        return Ok(true);
    }
    let silent = asked.perform.yes || asked.perform.json;
    if silent || !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(Trouble::usage(LOST, CHOOSE));
    }
    super::run::ask(&format!(
        "{LOST}; --escrow-to age1… would keep it. Rotate without? [y/N] "
    ))
}

/// Whether a task that would be performed somewhere has such a step.
fn has(plan: &Plan, step: impl Fn(&Step) -> bool) -> bool {
    let mut plays = plan
        .plays
        .iter()
        .filter(|play| !play.batches.iter().all(Vec::is_empty));
    plays.any(|play| play.tasks.iter().any(|task| step(&task.step)))
}
