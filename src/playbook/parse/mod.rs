//! A tree of YAML becomes a playbook, or all that is wrong with it.

mod command;
mod health;
mod play;
mod serial;
mod task;

use super::reader::Reader;
use super::{Play, Playbook};
use crate::source::{Node, Problem, Problems, Source, tree};

/// Reads a playbook from its text.
///
/// # Errors
/// With every mistake that the text alone shows; a syntax error stands alone.
pub fn parse(source: &Source) -> Result<Playbook, Problems> {
    let mut problems = Problems::default();
    let Some(root) = tree(source, &mut problems) else {
        return Err(if problems.is_empty() {
            empty(source)
        } else {
            problems
        });
    };
    let mut reader = Reader { source, problems };
    let plays = plays(&root, &mut reader);
    reader.problems.unless_errors(Playbook {
        plays,
        text: source.shown.clone(),
    })
}

fn empty(source: &Source) -> Problems {
    Problem::new("playbook::empty", "the playbook is empty")
        .at(&source.shown, (0, 0))
        .help("a playbook is a list of plays: `- hosts: all` and its `tasks`")
        .into()
}

fn plays(root: &Node, reader: &mut Reader<'_>) -> Vec<Play> {
    let items = root.items().unwrap_or_default();
    if items.is_empty() {
        let found = if root.items().is_some() {
            "an empty list"
        } else {
            root.noun()
        };
        let what = format!("a playbook is a list of plays, not {found}");
        let help = "begin each play with `- hosts: …`";
        reader.problem("playbook::empty", what, root.at, help);
    }
    let mut plays: Vec<Play> = Vec::new();
    for item in items {
        if let Some(play) = play::read(item, &plays, reader) {
            plays.push(play);
        }
    }
    plays
}
