//! Turns what went wrong into what people read: what was seen, what to do next, which exit number.

use crate::event::Failure;
use crate::exit::Exit;
use crate::facts::FactError;
use crate::k3s::phase::names;
use crate::model::HostName;
use crate::steps::{StepError, Unmet};
use crate::wire::{Ran, TransportError};

/// How many lines of a host's own words are quoted.
const QUOTED: usize = 20;

/// Of how many hosts it is said in full why they could not be asked.
const TOLD: usize = 3;

impl Failure {
    /// A failed task with one sentence of what was seen and one of what to do.
    pub(super) fn task(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            what: vec![what.into()],
            next: vec![next.into()],
            exit: Exit::TaskFailed,
        }
    }
}

/// A step could not look.
pub(super) fn of_step(error: &StepError) -> Failure {
    match error {
        StepError::Fact(error) => of_fact(error),
        StepError::Unasked(all) => of_several(all),
        StepError::Argument(error) => Failure::task(
            error.to_string(),
            "correct the argument or the variable, then run the same command again",
        ),
    }
}

/// The first few in their own words, the others by name; what to do is said once.
fn of_several(all: &[(HostName, FactError)]) -> Failure {
    let failures: Vec<Failure> = all.iter().map(|(_, error)| of_fact(error)).collect();
    let (told, rest) = failures.split_at(failures.len().min(TOLD));
    let mut what: Vec<String> = told.iter().flat_map(|it| it.what.clone()).collect();
    if !rest.is_empty() {
        let others = names(all.iter().skip(TOLD).map(|(host, _)| host));
        what.push(format!("nor could {others} be asked"));
    }
    let mut next: Vec<String> = Vec::new();
    for said in told.iter().flat_map(|it| &it.next) {
        if !next.contains(said) {
            next.push(said.clone());
        }
    }
    Failure {
        what,
        next,
        exit: Exit::first_of(failures.iter().map(|it| it.exit)),
    }
}

/// A fact could not be had.
pub(super) fn of_fact(error: &FactError) -> Failure {
    match error {
        FactError::Transport(error) => of_transport(error),
        error @ FactError::Unreadable { .. } => Failure::task(
            error.to_string(),
            "nothing was changed by this look; see what the host answered with -v",
        ),
    }
}

/// A host could not be asked or changed.
pub(super) fn of_transport(error: &TransportError) -> Failure {
    let (exit, next) = match error {
        TransportError::Unreachable { hint, .. } | TransportError::Denied { hint, .. } => {
            (Exit::Unreachable, hint.clone())
        }
        TransportError::NotStarted { .. } | TransportError::Unknown { .. } => (
            Exit::Unreachable,
            "see that the connection holds, then run the same command again".to_owned(),
        ),
        TransportError::Unmodelled { .. } => (
            Exit::TaskFailed,
            "this step cannot be rehearsed on the simulated fleet".to_owned(),
        ),
    };
    Failure {
        what: vec![error.to_string()],
        next: vec![next],
        exit,
    }
}

/// Preconditions that do not hold.
pub(super) fn of_unmet(unmet: &[Unmet]) -> Failure {
    let red = unmet.iter().any(|unmet| unmet.red);
    Failure {
        what: unmet
            .iter()
            .map(|u| format!("{} ({})", u.what, u.name))
            .collect(),
        next: unmet.iter().map(|u| u.next.clone()).collect(),
        exit: if red { Exit::Red } else { Exit::TaskFailed },
    }
}

/// A command or a change that the host refused, in the host's own words.
pub(super) fn of_ran(doing: &str, ran: &Ran) -> Failure {
    let mut what = vec![if ran.timed_out {
        format!("{doing} did not end in time and was killed on the host")
    } else {
        format!("{doing} ended with status {}", ran.status)
    }];
    let said = if ran.stderr.text().trim().is_empty() {
        ran.stdout.text()
    } else {
        ran.stderr.text()
    };
    what.extend(tail(&said));
    Failure {
        what,
        next: vec!["see why on the host, then run the same command again".to_owned()],
        exit: Exit::TaskFailed,
    }
}

/// What was under way when the user wanted to leave at once.
pub(super) fn left(doing: Vec<String>) -> Failure {
    let mut what = vec!["left at once, as the user asked, before it was done".to_owned()];
    let goes_on = |op| format!("{op}: was begun, and goes on there until its deadline");
    what.extend(doing.into_iter().map(goes_on));
    Failure {
        what,
        next: vec!["run the same command to go on; keyroll looks first".to_owned()],
        exit: Exit::Stopped,
    }
}

/// The last lines of a text, without empty ones.
pub(super) fn tail(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let from = lines.len().saturating_sub(QUOTED);
    lines
        .into_iter()
        .skip(from)
        .map(|line| format!("| {line}"))
        .collect()
}
