//! `k3s_preflight`

use serde::Deserialize;

use super::{Proposal, StepError};
use crate::facts::Probe;

/// `k3s_preflight`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct K3sPreflight {}

impl K3sPreflight {
    pub(super) async fn propose(&self, probe: &Probe<'_>) -> Result<Proposal, StepError> {
        let _ = (self, probe);
        Ok(Proposal::default())
    }
}
