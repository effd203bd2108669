//! `lint`: says all that is wrong with a playbook and its inventory.

use super::trouble::Trouble;
use super::{Desk, books, print};
use crate::cli;
use crate::exit::Exit;
use crate::model::count;
use crate::playbook;
use crate::report::Writer;

pub(super) fn lint(desk: &Desk, asked: &cli::Books) -> Result<Exit, Trouble> {
    let books = books::read(asked)?;
    let mut problems = playbook::lint(&books.playbook, &books.inventory);
    problems.extend(books.inventory.warnings.clone());
    if problems.errors() > 0 {
        return Err(problems.into());
    }
    if !problems.is_empty() {
        Writer::standard()
            .talk_text(&problems.render(desk.look()))
            .ok();
    }
    let hosts = books.inventory.hosts.len();
    print(&format!(
        "{} and {} are fine ({})\n",
        asked.playbook,
        asked.hosts.inventory,
        count(hosts, "host", "hosts")
    ))
}
