//! Files that are too long for one answer: a piece of one, and the digest of all of it.

use camino::Utf8PathBuf;

use super::{Fact, FactError, ran, said, unreadable};
use crate::secret::Content;
use crate::wire::{Command, Query, Response};

use std::time::Duration;

/// One piece of a file; shorter, or empty, at the file's end.
#[derive(Debug, Clone)]
pub struct Piece {
    /// Absolute path.
    pub path: Utf8PathBuf,
    /// Bytes of each piece.
    pub size: u32,
    /// Which piece, from 0.
    pub at: u64,
}

impl Fact for Piece {
    type Value = Content;

    fn queries(&self) -> Vec<Query> {
        let Self { path, size, at } = self;
        let argv = [
            "dd".to_owned(),
            format!("if={path}"),
            format!("bs={size}"),
            format!("skip={at}"),
            "count=1".to_owned(),
        ];
        vec![Query::Run(
            Command::new(argv).within(Duration::from_mins(2)),
        )]
    }

    fn parse(&self, responses: &[Response]) -> Result<Content, FactError> {
        let ran = ran(responses, 0, self.path.as_str())?;
        if ran.status == 0 && !ran.timed_out {
            Ok(ran.stdout.clone())
        } else {
            Err(unreadable(self.path.as_str(), said(ran)))
        }
    }
}

/// SHA-256 of a file, as 64 hexadecimal digits.
#[derive(Debug, Clone)]
pub struct Digest(pub Utf8PathBuf);

impl Fact for Digest {
    type Value = String;

    fn queries(&self) -> Vec<Query> {
        let command = Command::new(["sha256sum", self.0.as_str()]);
        vec![Query::Run(command.within(Duration::from_mins(5)))]
    }

    fn parse(&self, responses: &[Response]) -> Result<String, FactError> {
        let ran = ran(responses, 0, self.0.as_str())?;
        let text = ran.stdout.text();
        // A backslash stands before it when the name holds odd characters.
        let digest = text.trim_start_matches('\\').get(..64).unwrap_or_default();
        if ran.status == 0
            && digest.bytes().all(|byte| byte.is_ascii_hexdigit())
            && !digest.is_empty()
        {
            return Ok(digest.to_owned());
        }
        Err(unreadable(format!("the digest of {}", self.0), said(ran)))
    }
}
