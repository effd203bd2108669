//! `debug`: says something, as Ansible's module of that name.

use serde::Deserialize;

use super::{Proposal, StepError};
use crate::facts::Probe;
use crate::template::Templated;

/// `debug`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Debug {
    /// What to say.
    pub msg: Templated<String>,
}

impl Debug {
    #[expect(clippy::unused_async, reason = "every step has this shape")]
    pub(super) async fn propose(&self, probe: &Probe<'_>) -> Result<Proposal, StepError> {
        let text = self.msg.render(probe.vars())?;
        Ok(Proposal {
            notes: vec![text],
            ..Proposal::default()
        })
    }
}
