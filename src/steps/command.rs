//! `command`: runs a program without a shell, as Ansible's module of that name.

use camino::Utf8PathBuf;
use serde::Deserialize;

use super::{Proposal, StepError};
use crate::facts::{Fact, FactError, Probe};
use crate::op::{Act, Op};
use crate::template::{TemplateError, Templated};
use crate::wire::{self, Query, Response};

/// `command`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Program and arguments.
    pub argv: Vec<Templated<String>>,
    /// A path: nothing is done when it exists.
    #[serde(default)]
    pub creates: Option<Templated<String>>,
}

impl Command {
    pub(super) async fn propose(&self, probe: &Probe<'_>) -> Result<Proposal, StepError> {
        if let Some(path) = &self.creates {
            let path = path.render(probe.vars())?.into();
            if probe.get_as_play(Exists(path)).await? {
                return Ok(Proposal::default());
            }
        }
        let argv: Vec<String> = self
            .argv
            .iter()
            .map(|word| word.render(probe.vars()))
            .collect::<Result<_, TemplateError>>()?;
        let op = Op {
            on: probe.host().clone(),
            r#become: probe.r#become().clone(),
            why: format!("run `{}`", argv.join(" ")),
            act: Act::Run {
                command: wire::Command::new(argv),
                leaves: Vec::new(),
            },
            reload: false,
            guards: Vec::new(),
            at_once: None,
        };
        Ok(Proposal {
            ops: vec![op],
            ..Proposal::default()
        })
    }
}

/// Whether a path leads to anything.
struct Exists(Utf8PathBuf);

impl Fact for Exists {
    type Value = bool;

    fn queries(&self) -> Vec<Query> {
        vec![Query::stat(self.0.clone())]
    }

    fn parse(&self, responses: &[Response]) -> Result<bool, FactError> {
        match responses {
            [Response::Stat(stat)] => Ok(stat.is_some()),
            other => Err(FactError::Unreadable {
                what: format!("whether {} exists", self.0),
                why: format!("the answer is {other:?}"),
            }),
        }
    }
}
