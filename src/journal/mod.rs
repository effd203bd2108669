//! The journal of a run: JSON lines on disk, written before what they announce, and a lock.
//!
//! `<state-dir>/runs/<run>/journal.jsonl`, owner only. Holds no secret: events are redacted before they come here.

mod lock;
mod write;

pub use lock::{Lock, lock};
pub use write::Journal;

use std::io;

use camino::{Utf8Path, Utf8PathBuf};

/// Why a journal cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// A directory or file cannot be made or written.
    #[error("{path} cannot be written")]
    Unwritable {
        /// Which.
        path: Utf8PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Another process works on the same fleet.
    #[error("another run works on these servers: {holder}")]
    Held {
        /// Process and run.
        holder: String,
    },
}

impl JournalError {
    /// What to do next.
    #[must_use]
    pub fn next(&self) -> &'static str {
        match self {
            Self::Unwritable { .. } => {
                "make room there, or name another place with --state-dir; nothing was changed"
            }
            Self::Held { .. } => {
                "wait until it has ended, or stop it; the lock ends with its process"
            }
        }
    }
}

/// Makes a directory and its parents for the owner alone.
fn make_private(path: &Utf8Path) -> Result<(), JournalError> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path);
    made.map_err(|source| unwritable(path, source))
}

fn unwritable(path: &Utf8Path, source: io::Error) -> JournalError {
    JournalError::Unwritable {
        path: path.to_owned(),
        source,
    }
}
