//! `assert`: expressions that must be true, as Ansible's module of that name.

use serde::Deserialize;

use super::{Proposal, StepError};
use crate::facts::Probe;

/// `assert`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assert {
    /// Jinja expressions, without braces.
    pub that: Vec<String>,
    /// Said when one is false.
    #[serde(default)]
    pub fail_msg: Option<String>,
}

impl Assert {
    pub(super) async fn propose(&self, probe: &Probe<'_>) -> Result<Proposal, StepError> {
        let _ = (self, probe);
        Ok(Proposal::default())
    }
}
