//! `k3s_restart`

use serde::Deserialize;

use super::{Proposal, StepError};
use crate::facts::Probe;

/// `k3s_restart`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct K3sRestart {}

impl K3sRestart {
    pub(super) async fn propose(&self, probe: &Probe<'_>) -> Result<Proposal, StepError> {
        let _ = (self, probe);
        Ok(Proposal::default())
    }
}
