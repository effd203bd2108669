//! The last lines of a unit's journal, and single ones of all that a start of it has written.

use std::time::Duration;

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

/// The last lines that a unit wrote since its process started. May hold secrets: redact before showing.
#[derive(Debug, Clone)]
pub struct JournalSince {
    /// The `InvocationID` of that start.
    pub invocation: String,
}

/// So many of the last lines are read; a start of K3s writes some hundreds.
const LINES: &str = "1000";

/// Lines with one of these parts, wherever they stand in what a unit has written since its process started: the latest of
/// them. A K3s that has run for months has written millions of others. May hold secrets: redact before showing.
#[derive(Debug, Clone)]
pub struct JournalHas {
    /// The `InvocationID` of that start.
    pub invocation: String,
    /// Parts of lines.
    pub parts: &'static [&'static str],
}

/// How long a host may search its journal.
const SEARCH: Duration = Duration::from_mins(2);

/// Lets the lines through that count, on the host, and says behind them how `journalctl` ended.
const HAS: &str = r#"of=$1; shift
{ journalctl "$of" --no-pager -o cat; printf '\n%s\n' "keyroll: ended $?"; } | grep -aF "$@" -e 'keyroll: ended ' | tail -n 100"#;

impl Fact for JournalHas {
    /// `None` when there is no journal to read, or it was not searched to its end.
    type Value = Option<Vec<String>>;

    fn queries(&self) -> Vec<Query> {
        let of = format!("_SYSTEMD_INVOCATION_ID={}", self.invocation);
        let words = ["sh", "-c", HAS, "sh", &of].into_iter();
        let parts = self.parts.iter().flat_map(|part| ["-e", part]);
        vec![Query::Run(Command::new(words.chain(parts)).within(SEARCH))]
    }

    fn parse(&self, responses: &[Response]) -> Result<Self::Value, FactError> {
        let ran = ran(responses, 0, "the journal")?;
        let text = ran.stdout.text();
        let has = |line: &&str| self.parts.iter().any(|part| line.contains(part));
        let lines = || text.lines().filter(has).map(str::to_owned).collect();
        let is_whole = !ran.timed_out && text.lines().last() == Some("keyroll: ended 0");
        Ok(is_whole.then(lines))
    }
}

impl Fact for JournalSince {
    /// `None` when there is no journal to read, or nothing of that start is in it: K3s says something at each.
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
        let text = ran.stdout.text();
        let lines = text.lines().filter(|line| *line != "-- No entries --");
        let lines: Vec<String> = lines.map(str::to_owned).collect();
        Ok(Some(lines).filter(|lines| ran.status == 0 && !lines.is_empty()))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::answer;

    fn has(status: i32, said: &str) -> Option<Vec<String>> {
        let fact = JournalHas {
            invocation: "45d4".to_owned(),
            parts: &["passwd newer", "weary 'o"],
        };
        fact.parse(&[answer(status, said, "")]).unwrap()
    }

    #[test]
    fn a_journal_that_has_nothing_of_a_start_says_nothing() {
        let since = |status, said: &str| {
            let invocation = "45d4".to_owned();
            let answers = [answer(status, said, "")];
            JournalSince { invocation }.parse(&answers).unwrap()
        };
        assert_eq!(
            since(0, "Starting k3s\n"),
            Some(vec!["Starting k3s".to_owned()])
        );
        for (status, said) in [(0, ""), (0, "-- No entries --\n"), (1, "a line\n")] {
            assert_eq!(since(status, said), None);
        }
    }

    #[test]
    fn a_journal_that_was_not_read_to_its_end_says_nothing() {
        let line = "passwd newer than datastore".to_owned();
        let whole = "passwd newer than datastore\nit ended 0\nkeyroll: ended 0\n";
        assert_eq!(has(0, whole), Some(vec![line]));
        assert_eq!(has(0, "keyroll: ended 0\n"), Some(Vec::new()));
        // Neither the program nor the journal is there.
        assert_eq!(has(0, "keyroll: ended 127\n"), None);
        assert_eq!(
            has(0, "passwd newer than datastore\nkeyroll: ended 1\n"),
            None
        );
        assert_eq!(has(1, ""), None);
        assert_eq!(has(124, "passwd newer than datastore\n"), None);
    }
}
