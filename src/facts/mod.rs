//! The only ways to look at a host: a fact is a few read-only queries and the parser of their answers.

pub mod probe;

mod active;
mod apiservers;
mod etcd;
mod files;
mod join_tokens;
mod journal;
mod knocked;
mod kubectl;
mod leftovers;
mod login;
mod nodes;
mod others;
mod piece;
mod program;
mod replaceable;
mod started;
mod survey;
mod unit;

pub use active::ActiveUnits;
pub use apiservers::Apiservers;
pub use etcd::{EtcdMember, EtcdMembers, Member as EtcdState};
pub use files::{CertificateEnd, Contents, NodeName, Paths, RealPath};
pub use join_tokens::{HeldToken, JoinToken, JoinTokenFile, JoinTokens};
pub use journal::{Journal, JournalHas, JournalSince};
pub use knocked::Knocked;
pub use kubectl::Admin;
pub use leftovers::Leftovers;
pub use login::{Login, LoginUser, SudoUid};
pub use nodes::{Annotation, Leases, Node, Nodes};
pub use others::{Hold, Plan, Plans, Workload, Workloads};
pub use piece::{Digest, Piece};
pub use probe::{
    Fleet, Member, NewAgentToken, Overlay, Probe, RunOptions, Scope, Settled, Tried, Words,
};
pub use program::{ApiVersion, FreeSpace, K3sVersion, Programs};
pub use replaceable::{Obstacle, Replaceable};
pub use survey::{Environment, Environments, Survey, Surveyed};
pub use unit::{HostClock, Unit, UnitState, Units, Unmanaged};

use crate::secret::Secret;
use crate::wire::{Query, Ran, Response, TransportError};

/// One thing to know about a host. Tuples and lists of facts are facts: one round trip.
pub trait Fact: Send + Sync {
    /// What is known afterwards.
    type Value: Send;

    /// The questions, all in one batch.
    fn queries(&self) -> Vec<Query>;

    /// Reads the answers, which come in the order of the questions.
    ///
    /// # Errors
    /// When the answers do not have the shape that they should have.
    fn parse(&self, responses: &[Response]) -> Result<Self::Value, FactError>;

    /// Secrets in the value, so that they are redacted wherever they turn up.
    fn secrets(_value: &Self::Value) -> Vec<Secret> {
        Vec::new()
    }
}

/// A fact that could not be had.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FactError {
    /// The host could not be asked.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The host answered in a way that was not foreseen.
    #[error("{what} cannot be read: {why}")]
    Unreadable {
        /// Which fact, such as "the state of k3s.service".
        what: String,
        /// What was wrong with the answer.
        why: String,
    },
}

/// The end of a program that was asked for at this place of the answers.
fn ran<'a>(responses: &'a [Response], at: usize, what: &str) -> Result<&'a Ran, FactError> {
    match responses.get(at) {
        Some(Response::Ran(ran)) => Ok(ran),
        other => Err(unreadable(what, format!("the answer is {other:?}"))),
    }
}

/// The same, of a program that ended well.
fn succeeded<'a>(responses: &'a [Response], at: usize, what: &str) -> Result<&'a Ran, FactError> {
    let ran = ran(responses, at, what)?;
    if ran.status == 0 {
        Ok(ran)
    } else {
        Err(unreadable(what, said(ran)))
    }
}

fn unreadable(what: impl Into<String>, why: impl Into<String>) -> FactError {
    FactError::Unreadable {
        what: what.into(),
        why: why.into(),
    }
}

/// What a failed program said, for an error.
fn said(ran: &Ran) -> String {
    let text = ran.stderr.text();
    let text = if text.trim().is_empty() {
        ran.stdout.text()
    } else {
        text
    };
    if ran.timed_out {
        format!("it took too long; {}", text.trim())
    } else {
        format!("status {}: {}", ran.status, text.trim())
    }
}

/// How a program ended, for tests.
#[cfg(test)]
fn answer(status: i32, stdout: &str, stderr: &str) -> Response {
    Response::Ran(Ran {
        status,
        stdout: stdout.into(),
        stderr: stderr.into(),
        timed_out: status == 124,
    })
}
