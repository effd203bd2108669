//! `k3s_snapshot`

use serde::Deserialize;

use super::{Proposal, StepError};
use crate::facts::Probe;
use crate::template::Templated;

/// `k3s_snapshot`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct K3sSnapshot {
    /// Begins the snapshot's name.
    pub name: Templated<String>,
    /// Where OLD is kept off the host; comes with a later release and is refused until then.
    #[serde(default)]
    pub escrow: Option<Templated<String>>,
}

impl K3sSnapshot {
    pub(super) async fn propose(&self, probe: &Probe<'_>) -> Result<Proposal, StepError> {
        let _ = (self, probe);
        Ok(Proposal::default())
    }
}
