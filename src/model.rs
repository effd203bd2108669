//! Newtypes that cannot be wrong: names, keys and percentages that every layer shares.
//!
//! Knows no other module. A value of these types was checked when it was made.

mod same;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use same::SameHosts;

/// A text that cannot serve as a name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` cannot be a {kind} name: {why}")]
pub struct NameError {
    kind: &'static str,
    text: String,
    why: &'static str,
}

fn checked(kind: &'static str, text: &str) -> Result<Arc<str>, NameError> {
    let why = if text.is_empty() {
        "it is empty"
    } else if text.starts_with('-') {
        "it starts with `-`, which ssh would take for an option"
    } else if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        "it contains white space"
    } else if text.contains(['/', '\'', '"', '`', '$', ';', '|', '<', '>', '\\', '@']) {
        "it contains a character that shells or paths read"
    } else {
        return Ok(Arc::from(text));
    };
    Err(NameError {
        kind,
        text: text.to_owned(),
        why,
    })
}

/// A number with its noun: `1 host`, `2 hosts`.
pub fn count<N>(number: N, one: &str, many: &str) -> String
where
    N: Copy + fmt::Display + PartialEq + From<u8>,
{
    let word = if number == N::from(1) { one } else { many };
    format!("{number} {word}")
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(Arc<str>);

        impl $type {
            /// Checks a name.
            ///
            /// # Errors
            /// When it is empty, begins with `-`, or contains white space or a character that a shell reads.
            pub fn new(text: &str) -> Result<Self, NameError> {
                checked($kind, text).map(Self)
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(&text)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

name!(
    /// A host as the inventory calls it.
    HostName,
    "host"
);
name!(
    /// A group as the inventory calls it.
    GroupName,
    "group"
);

/// Names one task on one host, or a gate, the same in every run: `certs@agent-3`, `gate:agents#1`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskKey(pub String);

impl fmt::Display for TaskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Names one run; sorts by its start: `20261122-041505-3f2a`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub String);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A whole percentage from 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Percent(u8);

impl Percent {
    /// Checks a percentage; `None` above 100.
    #[must_use]
    pub fn new(value: u64) -> Option<Self> {
        u8::try_from(value).ok().filter(|v| *v <= 100).map(Self)
    }

    /// The number, 0 to 100.
    #[must_use]
    pub fn get(self) -> u8 {
        self.0
    }
}

/// A moment on one host's own clock, in microseconds since 1970 UTC.
///
/// Only moments of the same host may be compared.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct HostTime(pub i64);

impl HostTime {
    /// The grain of a process's start time, in microseconds: a kernel tick and a little more.
    pub const GRAIN: i64 = 20_000;

    /// Time since `earlier`; zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> std::time::Duration {
        std::time::Duration::from_micros(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }
}
