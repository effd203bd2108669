//! The last lines of a unit's journal.

use super::{Fact, FactError, ran};
use crate::wire::{Command, Query, Response};

/// The last `lines` lines of a unit. May hold secrets: redact before showing.
#[derive(Debug, Clone)]
pub struct Journal {
    /// Such as `k3s.service`.
    pub unit: String,
    /// How many.
    pub lines: u32,
}

/// What a unit said since its process started. May hold secrets: redact before showing.
#[derive(Debug, Clone)]
pub struct JournalSince {
    /// The `InvocationID` of that start.
    pub invocation: String,
}

/// So many of the last lines are read; a start of K3s writes some hundreds.
const LINES: &str = "1000";

impl Fact for JournalSince {
    /// `None` when there is no journal to read.
    type Value = Option<Vec<String>>;

    fn queries(&self) -> Vec<Query> {
        let of = format!("_SYSTEMD_INVOCATION_ID={}", self.invocation);
        vec![Query::Run(Command::new([
            "journalctl",
            &of,
            "-n",
            LINES,
            "--no-pager",
            "-o",
            "cat",
        ]))]
    }

    fn parse(&self, responses: &[Response]) -> Result<Self::Value, FactError> {
        let ran = ran(responses, 0, "the journal")?;
        let lines = || ran.stdout.text().lines().map(str::to_owned).collect();
        Ok((ran.status == 0).then(lines))
    }
}

impl Fact for Journal {
    type Value = Vec<String>;

    fn queries(&self) -> Vec<Query> {
        let lines = self.lines.to_string();
        vec![Query::Run(Command::new([
            "journalctl",
            "-u",
            &self.unit,
            "-n",
            &lines,
            "--no-pager",
            "-o",
            "cat",
        ]))]
    }

    fn parse(&self, responses: &[Response]) -> Result<Vec<String>, FactError> {
        let ran = ran(responses, 0, "the journal")?;
        Ok(ran.stdout.text().lines().map(str::to_owned).collect())
    }
}
