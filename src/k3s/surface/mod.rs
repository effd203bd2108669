//! Places on a host from which K3s takes its token, and the exact edit of one.
//!
//! An edit replaces the token's own bytes and nothing else: every other byte of the file stays.

pub mod envfile;
pub mod yaml;

use std::ops::Range;

use camino::{Utf8Path, Utf8PathBuf};

use super::token::Token;
use crate::secret::{Content, Secret};

/// What kind of place it is, in the order in which K3s lets them win.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// The file that `token-file` names, from wherever: beats every literal (measured: agent-precedence).
    TokenFile,
    /// `--token` in the unit's `ExecStart`.
    Argument,
    /// `token:` in config.yaml or config.yaml.d.
    Config,
    /// `K3S_TOKEN` in a file that the unit's `EnvironmentFile=` names.
    EnvFile,
    /// `K3S_TOKEN` in the unit's own `Environment=`.
    UnitEnvironment,
    /// `server/token` of a server for which nothing is configured.
    ServerToken,
}

impl Place {
    /// Whether the file is unit text, which systemd reads only at `daemon-reload`.
    #[must_use]
    pub fn is_unit_text(self) -> bool {
        matches!(self, Self::Argument | Self::UnitEnvironment)
    }
}

/// One place with the token that stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surface {
    /// What kind.
    pub place: Place,
    /// Which file.
    pub file: Utf8PathBuf,
    /// The token's bytes in it, quotes included.
    pub slot: Slot,
    /// What it says.
    pub token: Token,
}

/// Where in a file the token stands, and how it is quoted there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Bytes, quotes included.
    pub range: Range<usize>,
    /// Written before the new token.
    pub open: &'static str,
    /// Written after it.
    pub close: &'static str,
}

impl Surface {
    /// The file with another secret in the same form; `None` when the slot lies outside the file.
    #[must_use]
    pub fn edited(&self, file: &Content, secret: &Secret) -> Option<Content> {
        let bytes = file.bytes();
        let (head, tail) = (
            bytes.get(..self.slot.range.start)?,
            bytes.get(self.slot.range.end..)?,
        );
        let written = self.token.respell(secret);
        Some(Content::new(
            [
                head,
                self.slot.open.as_bytes(),
                written.as_bytes(),
                self.slot.close.as_bytes(),
                tail,
            ]
            .concat(),
        ))
    }

    /// Where the new file waits for the flip: the same directory, a name that neither K3s nor systemd reads.
    #[must_use]
    pub fn staged(&self) -> Utf8PathBuf {
        beside(&self.file, "keyroll-new")
    }
}

/// A hidden name in the same directory.
#[must_use]
pub fn beside(file: &Utf8Path, suffix: &str) -> Utf8PathBuf {
    file.with_file_name(format!(".{}.{suffix}", file.file_name().unwrap_or("token")))
}

/// The slot of a file that holds the token and nothing else but white space.
#[must_use]
pub fn whole(text: &str) -> Slot {
    let start = text.len() - text.trim_start().len();
    Slot {
        range: start..start + text.trim().len(),
        open: "",
        close: "",
    }
}

/// The slot of a token in unit text, found by its value; `None` unless it stands there exactly once.
#[must_use]
pub fn by_value(text: &str, token: &str) -> Option<Slot> {
    let mut found = text.match_indices(token);
    let (start, _) = found.next()?;
    found.next().is_none().then(|| Slot {
        range: start..start + token.len(),
        open: "",
        close: "",
    })
}
