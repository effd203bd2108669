//! Places on a host from which K3s takes its token, and the exact edit of one.
//!
//! An edit replaces the token's own bytes and nothing else: every other byte of the file stays.

pub mod envfile;
pub mod unit;
pub mod yaml;

use std::ops::Range;

use camino::{Utf8Path, Utf8PathBuf};
use zeroize::Zeroizing;

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
    /// How a token is written there so that it can be edited: after its flag, or in its variable.
    #[must_use]
    pub fn advice(self, file: &Utf8Path, flag: &str, variable: &str) -> String {
        match self {
            Self::Config => {
                format!("write it on one line in {file}, in double quotes: {flag}: \"…\"")
            }
            Self::EnvFile => format!("write it on one line in {file}: {variable}='…'"),
            Self::Argument | Self::UnitEnvironment => format!(
                "run systemctl daemon-reload there if {file} was changed since systemd read it; else write it once and whole in it, or better: move it to /etc/rancher/k3s/config.yaml and run systemctl daemon-reload"
            ),
            Self::TokenFile | Self::ServerToken => {
                format!("let {file} hold the token and nothing else")
            }
        }
    }

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
    /// How a token is written there.
    pub quote: Quote,
}

/// Quotes around a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quote {
    /// None.
    Bare,
    /// `'…'` in YAML.
    YamlSingle,
    /// `"…"` in YAML.
    YamlDouble,
    /// `'…'` in an environment file.
    EnvSingle,
    /// `"…"` in an environment file.
    EnvDouble,
}

impl Quote {
    /// A token as it is written in these quotes.
    #[must_use]
    pub fn write(self, token: &str) -> Zeroizing<String> {
        let escaped = |marks: &[char]| {
            let mut text = String::with_capacity(token.len() * 2 + 2);
            text.push('"');
            for c in token.chars() {
                if marks.contains(&c) {
                    text.push('\\');
                }
                text.push(c);
            }
            text.push('"');
            text
        };
        Zeroizing::new(match self {
            Self::Bare => token.to_owned(),
            Self::YamlSingle => format!("'{}'", token.replace('\'', "''")),
            Self::EnvSingle => format!("'{token}'"),
            Self::YamlDouble => escaped(&['"', '\\']),
            Self::EnvDouble => escaped(&['"', '\\', '`', '$']),
        })
    }
}

/// A place in a file, both counted from 1; columns are characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

impl Position {
    /// The place of a byte in a text; its end when there is no such byte.
    #[must_use]
    pub fn of_byte(bytes: &[u8], at: usize) -> Self {
        let before = bytes.get(..at).unwrap_or(bytes);
        let line_start = before
            .iter()
            .rposition(|b| *b == b'\n')
            .map_or(0, |at| at + 1);
        let in_line = before.get(line_start..).unwrap_or_default();
        Self {
            line: before.split(|b| *b == b'\n').count(),
            column: 1 + String::from_utf8_lossy(in_line).chars().count(),
        }
    }
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
        let written = self.slot.quote.write(&self.token.respell(secret));
        Some(Content::new([head, written.as_bytes(), tail].concat()))
    }

    /// Where the new file waits for the flip: the same directory, a name that neither K3s nor systemd reads.
    #[must_use]
    pub fn staged(&self) -> Utf8PathBuf {
        beside(&self.file, "keyroll-new")
    }
}

/// Why a value that is empty has no place that could be edited.
pub(in crate::k3s) const EMPTY: &str = "empty";

/// Why a value with white space at its ends is not edited.
const BLANK_ENDS: &str =
    "a text that begins or ends with white space, which may count to the token";

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
        quote: Quote::Bare,
    }
}

#[cfg(test)]
mod fuzz;
