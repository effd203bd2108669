//! `verify`: the proof alone. It changes nothing, takes no lock and keeps no journal.

use std::sync::Arc;

use super::session::{Manner, Session};
use super::trouble::Trouble;
use super::{Desk, books, fleet, places, run};
use crate::cli;
use crate::event::Verdict;
use crate::exit::Exit;
use crate::facts::Words;
use crate::op::custody::Nowhere;

pub(super) fn verify(desk: &Desk, asked: &cli::Verify) -> Result<Exit, Trouble> {
    let as_run = asked.run();
    let mut books = books::read(&as_run.books)?;
    let mut options = run::options(&as_run)?;
    options.words = Words {
        proof_only: true,
        max_age: asked.max_age.map(|age| age.0),
        strict: asked.strict,
        ..options.words
    };
    fleet::lay_over(&mut books.inventory, &asked.perform.reach)?;
    let state = places::state(desk, asked.perform.state_dir.as_ref())?;
    let session = Session {
        desk,
        asked: &as_run,
        books,
        options,
        state,
        custody: Arc::new(Nowhere),
        manner: Manner::Look { short: asked.quiet },
    };
    let ended = run::runtime(session.is_virtual())?.block_on(session.perform())?;
    Ok(match (ended.exit, ended.summary.verdict) {
        (Exit::Fine, Some(Verdict::Green | Verdict::Yellow)) => Exit::Fine,
        (Exit::Fine, _) => Exit::Red,
        (exit, _) => exit,
    })
}
