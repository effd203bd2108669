//! Where a rotation stands, found by looking and never by remembering.
//!
//! A server holds its token in three places: the surface that it will start with, the memory of its process, and
//! the datastore that all share. Each is OLD or NEW; which of the eight cases holds says what is right.

mod agents;
mod held;
mod judge;

pub use agents::judge_agents;
pub use judge::{BESIDE, CLEARLY_LATER, TWO, judge, names, rescues};

use crate::model::{HostName, HostTime, RunId};
use crate::secret::Secret;

/// What was seen of one server, of either token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerView {
    /// Which.
    pub host: HostName,
    /// The secret on its winning surface; `None` when it has no readable one.
    pub surface: Option<Secret>,
    /// The secret in K3s's own file, such as `server/token`.
    pub on_disk: Option<Secret>,
    /// The secret in its row of `server/cred/passwd`.
    pub passwd: Option<Secret>,
    /// What its running process accepts.
    pub memory: Memory,
    /// OLD, as keyroll kept it in `server/.keyroll`.
    pub kept: Option<Secret>,
    /// The secret in the file that waits beside the surface.
    pub staged: Option<Secret>,
    /// What a roll back or a rescue has put aside until it is shown to be refused.
    pub aside: Option<Secret>,
    /// The run and the token's tag in `server/.keyroll/proven`, left by a green proof.
    pub proven: Option<Proven>,
    /// Whether its first start goes on: it may answer in a moment.
    pub is_starting: bool,
    /// When its process started, on its own clock.
    pub started: Option<HostTime>,
    /// When a rotate that this process took last changed `server/cred/passwd`, on its own clock; `None` when it took none.
    pub put: Option<HostTime>,
    /// When `server/cred/passwd` was written, on its own clock.
    pub written: Option<HostTime>,
    /// When a rotate here was answered so that the datastore has the token of its passwd, on its own clock.
    pub told: Option<HostTime>,
    /// Tag of a token that the datastore did not have when it was asked here, and when that was.
    pub denied: Option<(String, HostTime)>,
}

/// What a green proof leaves on every server: which run proved which token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// The run.
    pub run: RunId,
    /// [`token::tag`](super::token::tag) of the token.
    pub tag: String,
    /// [`token::pairing`](super::token::pairing) of OLD with it; one that an earlier keyroll left has none.
    pub pairing: Option<String>,
}

impl Proven {
    /// Reads `<run> <tag>` and, where there is one, the pairing.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_whitespace().map(str::to_owned);
        Some(Self {
            run: RunId(words.next()?),
            tag: words.next()?,
            pairing: words.next(),
        })
    }

    /// As a line of text.
    #[must_use]
    pub fn text(&self) -> String {
        let pairing = self.pairing.as_ref();
        let pairing = pairing.map_or_else(String::new, |pairing| format!(" {pairing}"));
        format!("{} {}{pairing}\n", self.run, self.tag)
    }
}

/// What the operator wants of a rotation.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// The token that was given.
    pub given: Option<&'a Secret>,
    /// The token that was made for this run.
    pub generated: &'a Secret,
    /// This run.
    pub run: &'a RunId,
    /// Nothing is to be rotated: NEW is what the datastore holds.
    pub proof_only: bool,
}

/// What a server's running process accepts as the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Memory {
    /// This secret was accepted.
    Holds(Secret),
    /// It does not run, or does not answer: why.
    Silent(String),
    /// It answers, and accepts none of the secrets that were tried.
    Foreign,
}

impl Memory {
    /// The secret, when it is known.
    #[must_use]
    pub fn secret(&self) -> Option<&Secret> {
        match self {
            Self::Holds(secret) => Some(secret),
            Self::Silent(_) | Self::Foreign => None,
        }
    }

    /// The secret, or the case of a server of which it is not known.
    fn known(&self) -> Result<&Secret, Phase> {
        match self {
            Self::Holds(secret) => Ok(secret),
            Self::Silent(_) => Err(Phase::Silent),
            Self::Foreign => Err(Phase::Foreign),
        }
    }
}

/// One of the cases of (surface, memory, datastore).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// O O O
    Old,
    /// O O O with NEW waiting beside the surface.
    Staged,
    /// O O N: a restart now is fatal for ever (the two-stage trap).
    Rotated,
    /// N O N: restart.
    Flipped,
    /// N N N
    New,
    /// N O O: rotate or flip back, never restart.
    Ahead,
    /// O N N: something wrote OLD back.
    Reverted,
    /// It does not answer.
    Silent,
    /// It holds a secret that is neither OLD nor NEW.
    Foreign,
}

/// What a cluster's servers say together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The token that must die; `None` when nobody knows it any more.
    pub old: Option<Secret>,
    /// The token that must live.
    pub new: Secret,
    /// What a roll back or a rescue has put aside: it must be as dead as OLD.
    pub aside: Vec<Secret>,
    /// The token that the datastore is encrypted with; of agent tokens the one that any server has taken, else OLD.
    pub datastore: Secret,
    /// Whether the datastore itself was asked, and has answered that it has that token.
    pub is_told: bool,
    /// The server on which the datastore was re-encrypted, while that can be seen.
    pub rotator: Option<HostName>,
    /// Whether a given token was passed over, since another rotation has to be finished first.
    pub given_passed_over: bool,
    /// Whether NEW is the token that the rotation was to take out of use: somebody has taken it back, and some servers run
    /// with what it had been rotated to.
    pub is_back: bool,
    /// Each server's case.
    pub phases: Vec<(HostName, Phase)>,
}

impl Standing {
    /// Whether the datastore holds NEW.
    #[must_use]
    pub fn is_rotated(&self) -> bool {
        self.datastore == self.new
    }

    /// Every token that must be dead in the end.
    pub fn dead(&self) -> impl Iterator<Item = &Secret> {
        self.old.iter().chain(&self.aside)
    }

    /// A server's case.
    #[must_use]
    pub fn phase(&self, host: &HostName) -> Option<Phase> {
        self.phases
            .iter()
            .find(|(name, _)| name == host)
            .map(|(_, phase)| *phase)
    }
}

/// A state that keyroll will not touch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Torn {
    /// A stable name.
    pub name: &'static str,
    /// What was seen.
    pub what: String,
    /// What to do next.
    pub next: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_of_a_proof_is_read_with_and_without_a_pairing() {
        for text in ["r1 0a1b2c3d\n", "r1 0a1b2c3d ffff\n"] {
            let word = Proven::parse(text).unwrap();
            assert_eq!(word.text(), text);
            assert_eq!(word.pairing.is_some(), text.contains("ffff"));
        }
        assert_eq!(Proven::parse("r1\n"), None);
    }
}
