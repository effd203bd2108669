//! The end of a run on the screen: counts, roots, the next command, the exit number.

use std::collections::HashMap;
use std::io;

use super::Lines;
use super::lines::names;
use crate::event::{Failure, Summary, Verdict};
use crate::exit::Exit;
use crate::model::{TaskKey, count};

/// So many roots are shown in full; the journal has all.
const ROOTS: usize = 20;

impl Lines {
    /// Shows the last event.
    pub(super) fn end(&mut self, exit: Exit, summary: &Summary) -> io::Result<()> {
        self.counts(summary)?;
        self.hosts(summary)?;
        self.notes(summary)?;
        self.roots(summary)?;
        self.verdict(summary)?;
        self.writer.result(&format!("next: {}", summary.next))?;
        let meaning = Exit::TABLE
            .iter()
            .find(|(end, _)| *end == exit)
            .map_or("", |(_, meaning)| meaning);
        let words = format!("exit {}: {meaning}", exit.number());
        let fine = matches!(exit, Exit::Fine | Exit::WorkFound);
        let words = if fine {
            self.paint.green(&words)
        } else {
            self.paint.red(&words)
        };
        self.writer.result(&words)
    }

    fn counts(&mut self, summary: &Summary) -> io::Result<()> {
        let Summary {
            satisfied,
            changed,
            failed,
            ignored,
            skipped,
            stopped,
            ..
        } = summary;
        let stopped = match stopped {
            0 => String::new(),
            stopped => format!(", {stopped} stopped"),
        };
        let ignored = match ignored {
            0 => String::new(),
            ignored => format!(", {ignored} ignored"),
        };
        let did = if self.check {
            "would change something"
        } else {
            "changed something"
        };
        self.writer.result("")?;
        self.writer.result(&format!(
            "{} {did}, {satisfied} had nothing to do, {failed} failed, {skipped} skipped{stopped}{ignored}",
            count(*changed, "task", "tasks")
        ))
    }

    fn hosts(&mut self, summary: &Summary) -> io::Result<()> {
        if summary.changed_hosts.is_empty() {
            return Ok(());
        }
        let number = summary.changed_hosts.len();
        let did = if self.check {
            "would be changed"
        } else {
            "changed"
        };
        let hosts = names(&summary.changed_hosts);
        self.writer.result(&format!(
            "{} {did}: {hosts}",
            count(number, "host", "hosts")
        ))
    }

    /// The colour of the proof, in words too.
    fn verdict(&mut self, summary: &Summary) -> io::Result<()> {
        let Some(verdict) = summary.verdict else {
            return Ok(());
        };
        let words = match verdict {
            Verdict::Green => self.paint.green(verdict.name()),
            Verdict::Yellow => self.paint.yellow(verdict.name()),
            Verdict::Red => self.paint.red(verdict.name()),
        };
        let why = match (verdict, summary.doubts.len()) {
            (Verdict::Green, _) => {
                ": every host was looked at, and the old token is dead".to_owned()
            }
            (Verdict::Yellow, _) => format!(
                ": nothing speaks against it, but not all could be shown: {}",
                few(&summary.doubts)
            ),
            (Verdict::Red, _) => ": what went wrong is named above".to_owned(),
        };
        self.writer.result(&format!("proof: {words}{why}"))
    }

    fn notes(&mut self, summary: &Summary) -> io::Result<()> {
        for note in &summary.notes {
            self.writer.result(&format!("note: {note}"))?;
        }
        Ok(())
    }

    /// Tasks that failed with the same words are one trouble: it is told once, with their number.
    fn roots(&mut self, summary: &Summary) -> io::Result<()> {
        let mut groups: Vec<(&TaskKey, &Failure, usize)> = Vec::new();
        let mut places: HashMap<&[String], usize> = HashMap::new();
        for (key, failure) in &summary.roots {
            let place = *places.entry(&failure.what).or_insert(groups.len());
            match groups.get_mut(place) {
                Some((_, _, more)) => *more += 1,
                None => groups.push((key, failure, 0)),
            }
        }
        for (key, failure, more) in groups.iter().take(ROOTS) {
            let word = if failure.exit == Exit::Stopped {
                "stopped"
            } else {
                "went wrong"
            };
            let wrong = self.paint.red(word);
            let same = match more {
                0 => String::new(),
                more => format!(
                    " (and {}, for the same reason)",
                    count(*more, "more task", "more tasks")
                ),
            };
            self.writer.result(&format!("{wrong}: {key}{same}"))?;
            self.failure(failure)?;
        }
        match groups.len().saturating_sub(ROOTS) {
            0 => Ok(()),
            more => self
                .writer
                .result(&format!("and {more} more; the journal has all of them")),
        }
    }
}

/// The first of several sentences, and how many more there are.
pub(super) fn few(sentences: &[String]) -> String {
    let shown: Vec<&str> = sentences.iter().take(FEW).map(String::as_str).collect();
    let more = match sentences.len().saturating_sub(FEW) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    shown.join("; ") + &more
}

/// So many doubts stand in the line of the verdict.
const FEW: usize = 3;
