//! What keeps a command from being done at all: what, what to do next, and the exit number.

use super::Desk;
use crate::event::Failure;
use crate::exit::Exit;
use crate::facts::FactError;
use crate::journal::JournalError;
use crate::report::Writer;
use crate::source::Problems;

/// Why a command was not done.
pub(super) enum Trouble {
    /// Mistakes in playbook or inventory, shown with carets.
    Problems(Problems),
    /// Anything else.
    Said {
        /// What is wrong, one sentence each.
        what: Vec<String>,
        /// What to do next.
        next: String,
        /// The exit number.
        exit: Exit,
    },
}

impl Trouble {
    pub(super) fn said(exit: Exit, what: impl Into<String>, next: impl Into<String>) -> Self {
        let (what, next) = (vec![what.into()], next.into());
        Self::Said { what, next, exit }
    }

    pub(super) fn usage(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self::said(Exit::Usage, what, next)
    }

    /// Tells it on stderr; the exit number.
    pub(super) fn tell(self, desk: &Desk) -> Exit {
        let mut writer = Writer::standard();
        // When stderr is gone there is nobody left to tell.
        match self {
            Self::Problems(problems) => {
                writer.talk_text(&problems.render(desk.look())).ok();
                Exit::BadInput
            }
            Self::Said { what, next, exit } => {
                for what in what {
                    // What follows the first line points at a part of what was given.
                    let mut lines = what.lines();
                    let first = lines.next().unwrap_or_default();
                    writer.talk(&format!("error: {first}")).ok();
                    for line in lines {
                        writer.talk(line).ok();
                    }
                }
                writer.talk(&format!("next: {next}")).ok();
                exit
            }
        }
    }
}

impl From<Problems> for Trouble {
    fn from(problems: Problems) -> Self {
        Self::Problems(problems)
    }
}

impl From<JournalError> for Trouble {
    fn from(error: JournalError) -> Self {
        let what = match std::error::Error::source(&error) {
            Some(why) => format!("{error}: {why}"),
            None => error.to_string(),
        };
        Self::said(Exit::Journal, what, error.next())
    }
}

/// What is told of a host that could not be asked.
pub(super) fn unasked(error: &FactError) -> Failure {
    let (exit, next) = match error {
        FactError::Transport(transport) => {
            let hint = transport
                .hint()
                .unwrap_or("see that the connection holds, then run the same command again");
            (Exit::Unreachable, hint.to_owned())
        }
        FactError::Unreadable { .. } => (
            Exit::TaskFailed,
            "see what that host answers, by hand".to_owned(),
        ),
    };
    Failure {
        what: vec![error.to_string()],
        next: vec![next],
        exit,
    }
}
