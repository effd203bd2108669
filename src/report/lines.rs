//! Plain lines, one below the other: what a person reads, and what stays in a pipe or a log.
//!
//! A task has a line only when it changed something, failed or with `-v`; the rest is counted once a batch.

use std::collections::{HashMap, HashSet};
use std::io;

use super::bars::Bars;
use super::{Paint, Verbosity, Writer};
use crate::event::{Event, EventKind, Failure, Sink};
use crate::model::{HostName, TaskKey, count};

/// So many names stand in a line; the rest is counted.
pub(super) const NAMES: usize = 8;

/// So many reasons of a gate are shown; the rest is counted.
const REASONS: usize = 4;

/// Lines for people.
pub struct Lines {
    pub(super) writer: Writer,
    pub(super) paint: Paint,
    pub(super) verbosity: Verbosity,
    pub(super) check: bool,
    pub(super) names: HashMap<TaskKey, String>,
    pub(super) noted: HashSet<String>,
    pub(super) shown: HashSet<String>,
    pub(super) unknown: usize,
    pub(super) satisfied: usize,
    pub(super) skipped: usize,
    bars: Option<Bars>,
}

impl Lines {
    /// Lines on this writer, with bars below them when `moving`.
    #[must_use]
    pub fn new(writer: Writer, paint: Paint, verbosity: Verbosity, moving: bool) -> Self {
        Self {
            writer,
            paint,
            verbosity,
            check: false,
            names: HashMap::new(),
            noted: HashSet::new(),
            shown: HashSet::new(),
            unknown: 0,
            satisfied: 0,
            skipped: 0,
            bars: moving.then(Bars::new),
        }
    }

    fn write(&mut self, events: &[Event]) -> io::Result<()> {
        for event in events {
            self.show(&event.kind)?;
        }
        self.writer.flush()
    }

    fn show(&mut self, kind: &EventKind) -> io::Result<()> {
        match kind {
            EventKind::RunStarted {
                run,
                playbook,
                inventory,
                check,
                ..
            } => {
                self.check = *check;
                let how = if *check {
                    " (looking only, nothing is changed)"
                } else {
                    ""
                };
                self.writer
                    .talk(&format!("run {run}: {playbook} on {inventory}{how}"))
            }
            EventKind::BatchStarted {
                play,
                batch,
                of,
                hosts,
            } => self.batch(play, (*batch, *of), hosts),
            EventKind::GateStarted { key, hosts } => {
                self.uneventful()?;
                self.writer
                    .talk(&format!("    {key} watches {}", names(hosts)))
            }
            EventKind::GateWaiting { because, .. } => self.waiting(because),
            EventKind::GateEnded { key, failure: None } => {
                let open = self.paint.green("open");
                self.writer.result(&format!("  {key} is {open}"))
            }
            EventKind::GateEnded {
                key,
                failure: Some(failure),
            } => {
                let closed = self.paint.red("closed");
                self.writer.result(&format!("  {key} stays {closed}"))?;
                self.failure(failure)
            }
            EventKind::Stopping { text } => {
                let text = self.paint.yellow(text);
                self.writer.talk(&text)
            }
            EventKind::RunEnded { exit, summary } => {
                self.uneventful()?;
                self.end(*exit, summary)
            }
            task => self.task(task),
        }
    }

    fn batch(
        &mut self,
        play: &str,
        (batch, of): (usize, usize),
        hosts: &[HostName],
    ) -> io::Result<()> {
        self.uneventful()?;
        self.shown.clear();
        let count = if of > 1 {
            format!(" ({batch} of {of})")
        } else {
            String::new()
        };
        let title = self.paint.bold(play);
        self.writer
            .result(&format!("{title}{count}: {}", names(hosts)))
    }

    fn waiting(&mut self, because: &[String]) -> io::Result<()> {
        for why in because.iter().take(REASONS) {
            self.writer.talk(&format!("    waiting: {why}"))?;
        }
        match because.len().saturating_sub(REASONS) {
            0 => Ok(()),
            more => self.writer.talk(&format!("    waiting: and {more} more")),
        }
    }

    /// One line for all tasks since the last that had none of their own.
    fn uneventful(&mut self) -> io::Result<()> {
        let satisfied = std::mem::take(&mut self.satisfied);
        let skipped = std::mem::take(&mut self.skipped);
        let unknown = std::mem::take(&mut self.unknown);
        let mut parts = Vec::new();
        if satisfied > 0 {
            parts.push(format!(
                "{} nothing to do",
                count(satisfied, "task had", "tasks had")
            ));
        }
        if skipped > 0 {
            parts.push(format!(
                "{} skipped",
                count(skipped, "task was", "tasks were")
            ));
        }
        if unknown > 0 {
            let answers = count(unknown, "more answer is", "more answers are");
            parts.push(format!("{answers} known only after the changes above"));
        }
        if parts.is_empty() {
            return Ok(());
        }
        self.writer.result(&format!("  {}", parts.join(", ")))
    }

    pub(super) fn failure(&mut self, failure: &Failure) -> io::Result<()> {
        for what in &failure.what {
            self.writer.result(&format!("      {what}"))?;
        }
        let mut advice = failure.next.clone();
        advice.dedup();
        for next in &advice {
            self.writer.result(&format!("      next: {next}"))?;
        }
        Ok(())
    }
}

impl Sink for Lines {
    fn on_events(&mut self, events: &[Event]) -> io::Result<()> {
        let Some(mut bars) = self.bars.take() else {
            return self.write(events);
        };
        for event in events {
            bars.follow(&event.kind);
        }
        let written = bars.above(|| self.write(events));
        self.bars = Some(bars);
        written
    }
}

/// The first few names, and how many more.
pub(super) fn names(hosts: &[HostName]) -> String {
    let shown: Vec<&str> = hosts.iter().take(NAMES).map(HostName::as_str).collect();
    match hosts.len().saturating_sub(NAMES) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
