//! What an API server tells is asked of the first one that answers.

use super::{Freshness, Seen, ServerSeen};
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
    ask(probe, servers, (what, Freshness::Lately), fact).await
}

/// The same, now, whatever was answered lately.
///
/// # Errors
/// As for [`ask_api`].
pub(in crate::steps) async fn ask_api_now<F: Fact>(
    probe: &Probe<'_>,
    servers: &[ServerSeen],
    what: &str,
    fact: impl Fn(&Seen) -> F,
) -> Result<F::Value, FactError> {
    ask(probe, servers, (what, Freshness::Now), fact).await
}

async fn ask<F: Fact>(
    probe: &Probe<'_>,
    servers: &[ServerSeen],
    (what, freshness): (&str, Freshness),
    fact: impl Fn(&Seen) -> F,
) -> Result<F::Value, FactError> {
    let mut last = None;
    for server in servers.iter().filter(|server| server.has_live_api()) {
        let (host, fact) = (&server.seen.host, fact(&server.seen));
        let answer = match freshness {
            Freshness::Now => probe.get_now(host, fact).await,
            Freshness::Lately => probe.get_on(host, fact).await,
        };
        match answer {
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
