//! `rollback`, `rescue` and `heal`: built-in playbooks under their own names.

use super::Desk;
use super::books;
use super::run::{perform, run};
use super::trouble::Trouble;
use crate::cli;
use crate::exit::Exit;
use crate::source::nearest;

/// Takes an unfinished rotation back; the last play, which restarts a server, only when asked for.
pub(super) fn rollback(desk: &Desk, asked: &cli::Rollback) -> Result<Exit, Trouble> {
    let run = asked.mend.run("@rollback", None);
    let mut books = books::read(&run.books)?;
    if !asked.try_restart {
        books.playbook.plays.truncate(1);
    }
    perform(desk, &run, books)
}

/// Brings one host back.
pub(super) fn rescue(desk: &Desk, asked: &cli::Rescue) -> Result<Exit, Trouble> {
    let mut run = asked.mend.run("@rescue", Some(&asked.host));
    run.token_from.clone_from(&asked.token_from);
    run.accepted.accept_quorum_loss = asked.accept_quorum_loss;
    let books = books::read(&run.books)?;
    let hosts = || {
        books
            .inventory
            .hosts
            .keys()
            .map(crate::model::HostName::as_str)
    };
    if !hosts().any(|host| host == asked.host) {
        let what = format!("`{}` is no host of {}", asked.host, asked.mend.inventory);
        let next = nearest(&asked.host, hosts()).map_or_else(
            || "name one host as the inventory calls it; one at a time is rescued".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        return Err(Trouble::usage(what, next));
    }
    perform(desk, &run, books)
}

/// Saves what the next restart of running servers needs.
pub(super) fn heal(desk: &Desk, asked: &cli::Heal) -> Result<Exit, Trouble> {
    run(desk, &asked.mend.run("@heal", None))
}
