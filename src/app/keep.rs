//! What is kept off the hosts: whether the old token is, which must be chosen before a rotation, and where.

use std::io::IsTerminal as _;

use camino::Utf8Path;

use super::books::Books;
use super::run::ask;
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

/// The place off the hosts, as the command line and answers name it; `None` when the answer was not to rotate. What does
/// not fit is found out here, before any host is asked.
pub(super) fn vault(
    asked: &cli::Run,
    books: &Books,
    plan: &Plan,
    (state, run): (&Utf8Path, &RunId),
) -> Result<Option<Vault>, Trouble> {
    let recipients = Recipients::read(&asked.keep.escrow_to)?;
    let identity = asked.keep.escrow_identity.as_deref();
    let identity = identity.map(Identity::read).transpose()?;
    if let Some(identity) = &identity {
        identity.fits(&recipients)?;
    }
    fits(asked, plan)?;
    let mut vault = Vault {
        run: run.clone(),
        place: state.join("escrow"),
        recipients,
        identity,
        snapshots: asked.keep.fetch_snapshot.clone(),
        declined: false,
    };
    vault.check()?;
    if vault.recipients.is_empty() {
        match declined(asked, books, plan)? {
            Some(declined) => vault.declined = declined,
            None => return Ok(None),
        }
    }
    Ok(Some(vault))
}

/// Whether the playbook does what the options are for.
fn fits(asked: &cli::Run, plan: &Plan) -> Result<(), Trouble> {
    let keeps = |step: &Step| matches!(step, Step::K3sSnapshot(step) if step.escrow.is_some());
    if !asked.keep.escrow_to.is_empty() && !has(plan, keeps) {
        return Err(Trouble::usage(
            "--escrow-to: no task of this playbook keeps the old token",
            "give a `k3s_snapshot` before the rotate the key `escrow`, as @rotate-token does",
        ));
    }
    let takes = |step: &Step| matches!(step, Step::K3sSnapshot(_));
    if asked.keep.fetch_snapshot.is_some() && !has(plan, takes) {
        return Err(Trouble::usage(
            "--fetch-snapshot: no task of this playbook takes a snapshot",
            "add a `k3s_snapshot`, as @rotate-token does",
        ));
    }
    Ok(())
}

/// Whether it was said that the old token need not be kept: on the command line, or now on a terminal; `None` when the
/// answer there is no. Neither `--yes` nor that nobody can be asked is a choice.
fn declined(asked: &cli::Run, books: &Books, plan: &Plan) -> Result<Option<bool>, Trouble> {
    let rotates =
        |step: &Step| matches!(step, Step::K3sToken(token) if token.state == State::Rotated);
    if asked.keep.no_escrow || books.sim.is_some() || !has(plan, rotates) {
        return Ok(Some(true));
    }
    if asked.only.check {
        return Ok(Some(false));
    }
    let nobody = !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal();
    if asked.perform.yes || asked.perform.json || nobody {
        return Err(Trouble::usage(LOST, CHOOSE));
    }
    let question =
        format!("{LOST}; --escrow-to age1… would keep it. Rotate without keeping it? [y/N] ");
    Ok(ask(&question)?.then_some(true))
}

/// Whether a task that would be performed somewhere has such a step.
fn has(plan: &Plan, step: impl Fn(&Step) -> bool) -> bool {
    let mut plays = plan
        .plays
        .iter()
        .filter(|play| !play.batches.iter().all(Vec::is_empty));
    plays.any(|play| play.tasks.iter().any(|task| step(&task.step)))
}
