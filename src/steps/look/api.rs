//! What an API server tells is asked of the first one that answers.

use super::{Seen, ServerSeen};
use crate::facts::{Fact, FactError, Probe};

/// Asks server after server; `what` is what is asked for, for errors.
///
/// # Errors
/// When no server's API answers.
pub(super) async fn ask_api<F: Fact>(
    probe: &Probe<'_>,
    servers: &[ServerSeen],
    what: &str,
    fact: impl Fn(&Seen) -> F,
) -> Result<F::Value, FactError> {
    let mut last = None;
    for server in servers.iter().filter(|server| server.has_live_api()) {
        match probe.get_on(&server.seen.host, fact(&server.seen)).await {
            Ok(value) => return Ok(value),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| FactError::Unreadable {
        what: what.to_owned(),
        why: "no server with an API server is running".to_owned(),
    }))
}

impl ServerSeen {
    /// Whether a kube-apiserver should answer here.
    #[must_use]
    pub fn has_live_api(&self) -> bool {
        self.seen.install.has_api && self.seen.unit.is_active()
    }
}
