//! Many files in one question: those of a usual set-up, with what `stat` says of each, and what runs from them.

use std::collections::{BTreeMap, HashMap};

use camino::Utf8PathBuf;

use super::{Fact, FactError, unreadable};
use crate::k3s::install::Known;
use crate::secret::Secret;
use crate::wire::{FileStat, Folder, FoundFile, Query, Response};

/// Bytes of a file or environment that are read.
const LIMIT: u64 = 1 << 20;

/// Reads all of these files that are there. What is not there is known to be absent.
#[derive(Debug, Clone)]
pub struct Survey {
    /// Absolute paths.
    pub paths: Vec<Utf8PathBuf>,
    /// Folders with the endings of the files in them that count.
    pub folders: Vec<Folder>,
}

/// What a survey found.
#[derive(Debug, Clone, Default)]
pub struct Surveyed {
    /// Files.
    pub known: Known,
    /// What `stat` says, links not followed; `None` for what is not there.
    pub stats: HashMap<Utf8PathBuf, Option<FileStat>>,
}

impl Fact for Survey {
    type Value = Surveyed;

    fn queries(&self) -> Vec<Query> {
        vec![Query::Files {
            paths: self.paths.clone(),
            folders: self.folders.clone(),
            limit: LIMIT,
        }]
    }

    fn parse(&self, responses: &[Response]) -> Result<Surveyed, FactError> {
        let mut surveyed = Surveyed::default();
        for path in &self.paths {
            surveyed.known.files.insert(path.clone(), None);
            surveyed.stats.insert(path.clone(), None);
        }
        for file in files(responses, "the files of a usual set-up")? {
            surveyed.take(file);
        }
        Ok(surveyed)
    }
}

impl Surveyed {
    fn take(&mut self, file: &FoundFile) {
        let path = file.path.clone();
        match &file.content {
            Some(content) => {
                self.known.files.insert(path.clone(), Some(content.clone()));
            }
            // A look of its own says what is wrong with it.
            None => {
                self.known.files.remove(&path);
            }
        }
        match &file.stat {
            Some(stat) => self.stats.insert(path, Some(stat.clone())),
            None => self.stats.remove(&path),
        };
    }
}

/// The environment that the main process of each unit was started with, by process id.
#[derive(Debug, Clone)]
pub struct Environments(pub Vec<String>);

/// Variables of a process, in order.
pub type Environment = Vec<(String, String)>;

impl Fact for Environments {
    type Value = BTreeMap<u32, Environment>;

    fn queries(&self) -> Vec<Query> {
        vec![Query::Environments {
            units: self.0.clone(),
            limit: LIMIT,
        }]
    }

    fn parse(&self, responses: &[Response]) -> Result<Self::Value, FactError> {
        let files = files(responses, "the environment of the K3s process")?;
        Ok(files.iter().filter_map(environment).collect())
    }

    fn secrets(value: &Self::Value) -> Vec<Secret> {
        let all = value.values().flatten();
        all.filter(|(name, value)| is_secret(name) && !value.is_empty())
            .flat_map(|(_, value)| {
                let bare = crate::k3s::token::Token::parse(value).ok();
                bare.map(|token| token.secret)
                    .into_iter()
                    .chain([Secret::new(value.as_str())])
            })
            .collect()
    }
}

fn is_secret(name: &str) -> bool {
    matches!(
        name,
        "K3S_TOKEN" | "K3S_AGENT_TOKEN" | "K3S_CLUSTER_SECRET" | "K3S_DATASTORE_ENDPOINT"
    )
}

fn environment(file: &FoundFile) -> Option<(u32, Environment)> {
    let pid = file.path.parent()?.file_name()?.parse().ok()?;
    let text = file.content.as_ref()?.text();
    let variables = text.split('\0').filter_map(|line| line.split_once('='));
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Some((pid, variables.collect()))
}

fn files<'a>(responses: &'a [Response], what: &str) -> Result<&'a [FoundFile], FactError> {
    match responses.first() {
        Some(Response::Files(files)) => Ok(files),
        Some(Response::Failed(ran)) => Err(unreadable(what, super::said(ran))),
        other => Err(unreadable(what, format!("the answer is {other:?}"))),
    }
}
