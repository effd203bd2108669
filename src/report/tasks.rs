//! The lines of tasks and their operations.

use std::io;

use super::{Lines, Verbosity};
use crate::event::{EventKind, OpOutcome, TaskOutcome, window};
use crate::exit::Exit;
use crate::model::{HostName, TaskKey};
use crate::op::custody::Source;
use crate::op::{Act, Op};

impl Lines {
    /// Shows an event of a task.
    pub(super) fn task(&mut self, kind: &EventKind) -> io::Result<()> {
        match kind {
            EventKind::TaskStarted { key, name, .. } => {
                self.names.insert(key.clone(), name.clone());
                Ok(())
            }
            EventKind::Note { host, text, .. } => self.note(host, text),
            EventKind::Left { host, text, .. } => self.note(host, &format!("left to do: {text}")),
            EventKind::Proposed {
                key,
                host,
                ops,
                not_known,
            } => self.proposed(key, host, ops, not_known),
            EventKind::OpStarted { op, .. } if self.verbosity >= Verbosity::Each => {
                self.writer.result(&format!("    {}: {}", op.on, op.why))
            }
            EventKind::OpEnded {
                key,
                outcome: OpOutcome::Unknown(why),
                ..
            } => {
                let lost = self.paint.yellow("not known, looking again");
                self.writer.result(&format!("  {lost}: {key}: {why}"))
            }
            EventKind::OpEnded {
                key,
                outcome: OpOutcome::Moved(what),
                ..
            } => {
                let moved = self.paint.yellow("changed meanwhile, looking again");
                self.writer.result(&format!("  {moved}: {key}: {what}"))
            }
            EventKind::Window {
                name, hosts, open, ..
            } => self
                .writer
                .result(&format!("  window   {}", window(name, hosts, open))),
            EventKind::TaskEnded { key, host, outcome } => self.task_ended(key, host, outcome),
            _ => Ok(()),
        }
    }

    fn note(&mut self, host: &HostName, text: &str) -> io::Result<()> {
        if self.noted.insert(text.to_owned()) {
            self.writer.result(&format!("  note     {host}: {text}"))?;
        }
        Ok(())
    }

    /// What differs between hosts only by their names is shown once, then counted.
    fn proposed(
        &mut self,
        key: &TaskKey,
        host: &HostName,
        ops: &[Op],
        not_known: &[String],
    ) -> io::Result<()> {
        let name = self.names.get(key).cloned().unwrap_or_default();
        let lines: Vec<String> = ops.iter().map(|op| line(host, op)).collect();
        if !ops.is_empty() {
            let would = self.paint.yellow("would");
            let seen = !self.is_new(host, &format!("{name}\n{}", lines.join("\n")));
            let as_above = if seen { ", as above" } else { "" };
            self.writer
                .result(&format!("  {would}    {host}: {name}{as_above}"))?;
            for line in lines.iter().filter(|_| !seen) {
                self.writer.result(&format!("      {line}"))?;
            }
        }
        // What is seen now is of before those changes, and says nothing of what will be.
        for _ in not_known {
            if self.is_new(host, &format!("{name}\nunknown")) {
                let when = "known only after the changes above";
                self.writer
                    .result(&format!("  unknown  {host}: {name}: {when}"))?;
            } else {
                self.unknown += 1;
            }
        }
        Ok(())
    }

    /// Whether this was not shown yet of any host.
    fn is_new(&mut self, host: &HostName, text: &str) -> bool {
        self.verbosity >= Verbosity::Each || self.shown.insert(text.replace(host.as_str(), "\u{0}"))
    }

    fn task_ended(
        &mut self,
        key: &TaskKey,
        host: &HostName,
        outcome: &TaskOutcome,
    ) -> io::Result<()> {
        let name = self.names.remove(key).unwrap_or_default();
        let each = self.verbosity >= Verbosity::Each;
        match outcome {
            TaskOutcome::Changed if self.check => Ok(()),
            TaskOutcome::Changed => {
                let changed = self.paint.green("changed");
                self.writer.result(&format!("  {changed}  {host}: {name}"))
            }
            TaskOutcome::Failed(failure) => {
                let is_stopped = failure.exit == Exit::Stopped;
                let word = if is_stopped { "STOPPED" } else { "FAILED " };
                let word = self.paint.red(word);
                self.writer.result(&format!("  {word}  {host}: {name}"))?;
                self.failure(failure)
            }
            TaskOutcome::Ignored(failure) => {
                let ignored = self.paint.yellow("ignored");
                self.writer
                    .result(&format!("  {ignored}  {host}: {name}"))?;
                self.failure(failure)
            }
            TaskOutcome::Satisfied if each => {
                self.writer.result(&format!("  fine     {host}: {name}"))
            }
            TaskOutcome::NotApplicable if each => self
                .writer
                .result(&format!("  n/a      {host}: {name}: `when` is false")),
            TaskOutcome::Skipped { because } if each => self
                .writer
                .result(&format!("  skipped  {key}: because of {because}")),
            TaskOutcome::Satisfied | TaskOutcome::NotApplicable => {
                self.satisfied += 1;
                Ok(())
            }
            TaskOutcome::Skipped { .. } => {
                self.skipped += 1;
                Ok(())
            }
        }
    }
}

/// An operation that would be performed.
fn line(host: &HostName, op: &Op) -> String {
    let on = if op.on == *host {
        String::new()
    } else {
        format!("{}: ", op.on)
    };
    format!("{on}{}{}", op.why, how(&op.act))
}

/// What an operation touches, for a dry run.
fn how(act: &Act) -> String {
    match act {
        Act::Run { command, .. } | Act::Tell(command) => format!(" [{}]", command.argv.join(" ")),
        Act::WriteFile(file) => format!(" [writes {}, mode {:04o}]", file.path, file.mode),
        Act::Rename { from, to } => format!(" [renames {from} to {to}]"),
        Act::Remove { path } => format!(" [removes {path}]"),
        Act::Keep(_) => String::new(),
        Act::Fetch(parcel) => match &parcel.source {
            Source::File(path) => format!(" [reads {path}]"),
            Source::In(folder) => format!(" [reads it in {folder}]"),
        },
        Act::Wait(wait) => format!(" [waits at most {}s]", wait.timeout.as_secs()),
    }
}
