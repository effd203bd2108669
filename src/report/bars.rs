//! On a terminal: one line for the whole run and one for each host at work, below the lines that stay.

use std::collections::HashMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::event::EventKind;
use crate::model::{HostName, count};

/// So many hosts have a line of their own; the rest is counted.
const ROWS: usize = 12;

/// The moving part of the screen.
pub(super) struct Bars {
    all: MultiProgress,
    whole: ProgressBar,
    hosts: HashMap<HostName, ProgressBar>,
    at_work: usize,
    done: u64,
}

impl Bars {
    pub(super) fn new() -> Self {
        let all = MultiProgress::new();
        let whole = all.add(ProgressBar::new(0));
        if let Ok(style) =
            ProgressStyle::with_template("{bar:20} batch {pos}/{len} {elapsed} {msg}")
        {
            whole.set_style(style);
        }
        whole.enable_steady_tick(Duration::from_millis(500));
        Self {
            all,
            whole,
            hosts: HashMap::new(),
            at_work: 0,
            done: 0,
        }
    }

    /// Writes lines above the bars.
    pub(super) fn above<T>(&self, write: impl FnOnce() -> T) -> T {
        self.all.suspend(write)
    }

    /// Follows one event.
    pub(super) fn follow(&mut self, kind: &EventKind) {
        match kind {
            EventKind::RunStarted { plays, .. } => {
                let batches: usize = plays.iter().map(|(_, batches)| batches.len()).sum();
                self.whole.set_length(batches as u64);
            }
            EventKind::BatchStarted { play, .. } => {
                self.whole.inc(1);
                self.whole.set_message(play.clone());
            }
            EventKind::TaskStarted { host, name, .. } => {
                self.at_work += 1;
                self.row(host, name.clone());
            }
            EventKind::OpStarted { op, .. } => self.row(&op.on, op.why.clone()),
            EventKind::TaskEnded { host, outcome, .. } => {
                let skipped = matches!(outcome, crate::event::TaskOutcome::Skipped { .. });
                self.at_work = self.at_work.saturating_sub(usize::from(!skipped));
                self.done += 1;
                if let Some(row) = self.hosts.remove(host) {
                    self.all.remove(&row);
                }
                self.whole.set_message(format!(
                    "{} ended, {} at work",
                    count(self.done, "task", "tasks"),
                    self.at_work
                ));
            }
            EventKind::GateWaiting { because, .. } => {
                let first = because.first().cloned().unwrap_or_default();
                self.whole.set_message(format!("waiting: {first}"));
            }
            EventKind::RunEnded { .. } => self.whole.finish_and_clear(),
            _ => {}
        }
    }

    fn row(&mut self, host: &HostName, text: String) {
        if let Some(row) = self.hosts.get(host) {
            row.set_message(text);
        } else if self.hosts.len() < ROWS {
            let row = self.all.add(ProgressBar::new_spinner());
            row.set_prefix(host.to_string());
            if let Ok(style) = ProgressStyle::with_template("  {prefix} {msg}") {
                row.set_style(style);
            }
            row.set_message(text);
            self.hosts.insert(host.clone(), row);
        }
    }
}
