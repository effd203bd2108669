//! `command`: runs a program without a shell, as Ansible's module of that name.

use serde::Deserialize;

use super::{Proposal, StepError};
use crate::facts::Probe;
use crate::template::Templated;

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
        let _ = (self, probe);
        Ok(Proposal::default())
    }
}
