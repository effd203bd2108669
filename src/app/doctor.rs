//! `doctor`: what is wrong on this machine and on hosts, under the names of the catalogue. Changes nothing.

mod explain;
mod hosts;
mod screen;
mod workstation;

use super::glance::Unseen;
use super::trouble::Trouble;
use super::{Desk, books, print};
use crate::cli;
use crate::exit::Exit;
use crate::findings::Weight;
use crate::steps::findings::Finding;

/// Where this machine's findings are listed.
const HERE: &str = "this machine";

/// What was found.
#[derive(Default)]
struct Found {
    /// Each with the host that it was found on.
    findings: Vec<(String, Finding)>,
    /// What was looked at.
    looked_at: Vec<String>,
    /// Hosts that could not be looked at.
    unreachable: Vec<Unseen>,
}

impl Found {
    /// 4 before 7, as everywhere; warnings count for nothing.
    fn exit(&self) -> Exit {
        let stops = |(_, finding): &(String, Finding)| finding.weight() == Weight::Refuse;
        let stopped = self.findings.iter().any(stops).then_some(Exit::TaskFailed);
        let unseen = (!self.unreachable.is_empty()).then_some(Exit::Unreachable);
        Exit::first_of(stopped.into_iter().chain(unseen))
    }
}

pub(super) fn doctor(desk: &Desk, asked: &cli::Doctor) -> Result<Exit, Trouble> {
    if let Some(name) = &asked.explain {
        return print(&explain::explain(name)?);
    }
    let mut found = Found::default();
    workstation::look(desk, &asked.aim, &mut found)?;
    let glance = asked.glance();
    if let Some(glance) = &glance {
        books::hosts(&glance.hosts)?;
    }
    let mut editor = None;
    if let Some(glance) = glance.filter(|_| asked.on_hosts) {
        editor = Some(hosts::look(desk, &glance, &mut found)?);
    }
    let mut text = if asked.aim.view.json {
        screen::json(&found)
    } else {
        screen::text(&found)
    };
    if let Some(editor) = editor {
        editor.redact(&mut text);
    }
    print(&text)?;
    Ok(found.exit())
}
