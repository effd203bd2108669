//! The only ways to look at a host: a fact is a few read-only queries and the parser of their answers.

pub mod probe;

pub use probe::{Fleet, Member, Probe, RunOptions, Scope};

use crate::secret::Secret;
use crate::wire::{Query, Response, TransportError};

/// One thing to know about a host. Tuples of facts are facts: one round trip.
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
    #[error("{what} is not readable: {why}")]
    Unreadable {
        /// Which fact, such as "the state of k3s.service".
        what: String,
        /// What was wrong with the answer.
        why: String,
    },
}
