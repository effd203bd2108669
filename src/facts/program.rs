//! Programs: where k3s is, its version, and free space.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use serde::Deserialize;

use super::nodes::json;
use super::{Admin, Fact, FactError, ran, said, unreadable};
use crate::k3s::program::Program;
use crate::k3s::version::Version;
use crate::wire::{Command, FileKind, Query, Response};

/// Which of these paths are files that can be executed.
#[derive(Debug, Clone)]
pub struct Programs(pub Vec<Utf8PathBuf>);

impl Fact for Programs {
    type Value = BTreeMap<Utf8PathBuf, bool>;

    fn queries(&self) -> Vec<Query> {
        self.0.iter().map(Query::stat).collect()
    }

    fn parse(&self, responses: &[Response]) -> Result<Self::Value, FactError> {
        let runs = |answer: &Response| matches!(answer, Response::Stat(Some(stat)) if stat.kind == FileKind::File && stat.mode & 0o111 != 0);
        let each = self.0.iter().zip(responses);
        Ok(each
            .map(|(path, answer)| (path.clone(), runs(answer)))
            .collect())
    }
}

/// `k3s --version`.
#[derive(Debug, Clone)]
pub struct K3sVersion {
    /// The k3s binary.
    pub k3s: Program,
}

impl Fact for K3sVersion {
    type Value = Version;

    fn queries(&self) -> Vec<Query> {
        vec![Query::Run(Command::new([
            self.k3s.path.as_str(),
            "--version",
        ]))]
    }

    fn parse(&self, responses: &[Response]) -> Result<Version, FactError> {
        let ran = ran(responses, 0, "the version of k3s")?;
        Version::parse(&ran.stdout.text())
            .ok_or_else(|| unreadable("the version of k3s", said(ran)))
    }
}

/// The version that the kube-apiserver of a server runs with, which is that of its K3s: `kubectl get --raw /version`.
#[derive(Debug, Clone)]
pub struct ApiVersion(pub Admin);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawVersion {
    git_version: String,
}

impl Fact for ApiVersion {
    type Value = String;

    fn queries(&self) -> Vec<Query> {
        self.0.ask(&["get", "--raw", "/version"])
    }

    fn parse(&self, responses: &[Response]) -> Result<String, FactError> {
        let raw: RawVersion = json(responses, "the version of the kube-apiserver")?;
        Ok(raw.git_version)
    }
}

/// Free KiB for root in the file system of a path.
#[derive(Debug, Clone)]
pub struct FreeSpace(pub Utf8PathBuf);

impl Fact for FreeSpace {
    type Value = u64;

    fn queries(&self) -> Vec<Query> {
        vec![Query::Run(Command::new(["df", "-Pk", self.0.as_str()]))]
    }

    fn parse(&self, responses: &[Response]) -> Result<u64, FactError> {
        let ran = ran(responses, 0, "the free space")?;
        let text = ran.stdout.text();
        let number = text
            .lines()
            .nth(1)
            .and_then(|line| line.split_whitespace().nth(3))
            .and_then(|n| n.parse().ok());
        number.ok_or_else(|| unreadable("the free space", said(ran)))
    }
}
