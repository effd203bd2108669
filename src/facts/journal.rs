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
