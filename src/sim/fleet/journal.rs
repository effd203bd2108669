//! `journalctl`, and a search of what one start of a unit has written.

use super::Host;
use super::perform::ran;
use crate::wire::Response;

/// How the script begins that searches.
const SEARCH: &str = "of=$1; shift\n{ journalctl \"$of\" ";
/// How many lines it lets through.
const FOUND: usize = 100;

/// What `journalctl` prints; `None` for words that are not known.
pub(super) fn read(host: &Host, words: &[&str]) -> Option<Response> {
    let (of, rest) = match words {
        ["-u", unit, rest @ ..] => (Of::Unit(unit), rest),
        [of, rest @ ..] => (
            Of::Invocation(of.strip_prefix("_SYSTEMD_INVOCATION_ID=")?),
            rest,
        ),
        [] => return None,
    };
    let last = match rest {
        ["-n", lines, "--no-pager", "-o", "cat"] => lines.parse().ok()?,
        ["--no-pager", "-o", "cat"] => usize::MAX,
        _ => return None,
    };
    let text = match lines(host, of) {
        Some(lines) => joined(&lines, last),
        None => "-- No entries --\n".to_owned(),
    };
    Some(ran(0, text, ""))
}

/// The latest lines of a start that have one of the parts behind `-e`, and how `journalctl` ended.
pub(super) fn search(host: &Host, argv: &[&str]) -> Option<Response> {
    let ["sh", "-c", script, "sh", of, parts @ ..] = argv else {
        return None;
    };
    let of = of.strip_prefix("_SYSTEMD_INVOCATION_ID=")?;
    let mut found = lines(host, Of::Invocation(of)).filter(|_| script.starts_with(SEARCH))?;
    let parts: Vec<&&str> = parts.iter().filter(|word| **word != "-e").collect();
    found.retain(|line| parts.iter().any(|part| line.contains(**part)));
    found.push("keyroll: ended 0");
    Some(ran(0, joined(&found, FOUND), ""))
}

/// Whose lines.
#[derive(Clone, Copy)]
enum Of<'a> {
    Unit(&'a str),
    Invocation(&'a str),
}

fn lines<'a>(host: &'a Host, of: Of<'_>) -> Option<Vec<&'a str>> {
    let all = host.journal.iter().map(String::as_str);
    match of {
        Of::Unit(unit) => {
            let is_known = [unit.to_owned(), format!("{unit}.service")].contains(&host.unit.name);
            is_known.then(|| all.collect())
        }
        Of::Invocation(id) => {
            let lines = all.zip(&host.journal_of).filter(|(_, of)| *of == id);
            Some(lines.map(|(line, _)| line).collect())
        }
    }
}

fn joined(lines: &[&str], last: usize) -> String {
    let skip = lines.len().saturating_sub(last);
    let lines = lines.iter().skip(skip);
    lines.flat_map(|line| [line, "\n"]).collect()
}
