//! `k3s_token`

use serde::Deserialize;

use super::{Proposal, StepError};
use crate::facts::Probe;

/// `k3s_token`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct K3sToken {
    /// What should hold.
    pub state: State,
}

/// What can hold of a token on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// NEW waits beside the surface.
    Staged,
    /// The datastore is encrypted with NEW.
    Rotated,
    /// The surface holds NEW.
    Active,
    /// OLD holds again, everywhere.
    RolledBack,
    /// NEW is accepted and OLD is not.
    Proven,
}

impl K3sToken {
    pub(super) async fn propose(&self, probe: &Probe<'_>) -> Result<Proposal, StepError> {
        let _ = (self, probe);
        Ok(Proposal::default())
    }
}
