//! Copies of tokens in files that K3s does not read, found by value.

use std::time::Duration;

use camino::Utf8PathBuf;

use super::{Fact, FactError, ran};
use crate::k3s::leftovers::{Found, argv};
use crate::secret::{Content, Secret};
use crate::wire::{Command, Query, Response};

/// Searches a host for these secrets, under a deadline. The secrets go over standard input.
#[derive(Debug, Clone)]
pub struct Leftovers {
    /// What is searched for.
    pub secrets: Vec<Secret>,
    /// Left out of the search.
    pub data_dir: Utf8PathBuf,
}

impl Fact for Leftovers {
    type Value = Found;

    fn queries(&self) -> Vec<Query> {
        let lines: String = self
            .secrets
            .iter()
            .flat_map(|secret| [secret.expose(), "\n"])
            .collect();
        let command = Command::new(argv(&self.data_dir))
            .stdin(Content::new(lines))
            .within(Duration::from_mins(1));
        vec![Query::Run(command)]
    }

    fn parse(&self, responses: &[Response]) -> Result<Found, FactError> {
        let ran = ran(responses, 0, "the search for copies of the token")?;
        let found = Found::parse(&ran.stdout.text());
        Ok(Found {
            complete: found.complete && !ran.timed_out,
            ..found
        })
    }
}
