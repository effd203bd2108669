//! One line at the end, for cron: the verdict and what is wrong.

use std::io;

use super::Writer;
use super::summary::few;
use crate::event::{Event, EventKind, Sink, Summary, Verdict};

/// The verdict alone.
pub struct Brief(pub Writer);

impl Sink for Brief {
    fn on_events(&mut self, events: &[Event]) -> io::Result<()> {
        for event in events {
            if let EventKind::RunEnded { summary, .. } = &event.kind {
                self.0.result(&line(summary))?;
            }
        }
        self.0.flush()
    }
}

fn line(summary: &Summary) -> String {
    let verdict = summary.verdict.map_or("not proven", Verdict::name);
    let roots = summary.roots.iter().map(|(_, failure)| failure);
    let mut wrong: Vec<String> = Vec::new();
    for what in roots.flat_map(|failure| failure.what.iter()) {
        if !wrong.contains(what) {
            wrong.push(what.clone());
        }
    }
    let why = if wrong.is_empty() {
        &summary.doubts
    } else {
        &wrong
    };
    if why.is_empty() {
        verdict.to_owned()
    } else {
        format!("{verdict}: {}", few(why))
    }
}
