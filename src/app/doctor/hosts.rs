//! Every host: what the preflight says of it, what bad runbooks left there, and why K3s does not run.

use super::Found;
use crate::app::Desk;
use crate::app::glance::glance;
use crate::app::trouble::Trouble;
use crate::cli;
use crate::engine::Redactor;
use crate::facts::{FactError, Probe};
use crate::findings::Weight;
use crate::secret::Secret;
use crate::steps::findings::{Finding, leftovers, of_host, why_down};
use crate::steps::k3s_preflight::K3sPreflight;
use crate::steps::look::{Blind, Cluster, Freshness, Seen};
use crate::steps::{Step, StepError};

pub(super) fn look(
    desk: &Desk,
    asked: &cli::Glance,
    found: &mut Found,
) -> Result<Redactor, Trouble> {
    let (seen, redactor) = glance(desk, asked, async |sight| {
        sight.each(|probe| async move { one(&probe).await }).await
    })?;
    for (host, result) in seen {
        match result {
            Ok(findings) => {
                found.looked_at.push(host.to_string());
                let named = findings.into_iter().map(|it| (host.to_string(), it));
                found.findings.extend(named);
            }
            Err(error) => found
                .unreachable
                .push((host.to_string(), error.to_string())),
        }
    }
    Ok(redactor)
}

async fn one(probe: &Probe<'_>) -> Result<Vec<Finding>, FactError> {
    let seen = match Seen::look(probe, probe.host(), Freshness::Now).await {
        Ok(seen) => seen,
        Err(Blind::Unasked(error)) => return Err(error),
        Err(Blind::Faulty(fault)) => {
            return Ok(vec![Finding {
                name: fault.name,
                what: fault.what,
                next: fault.next,
            }]);
        }
    };
    let cluster = Cluster::around(probe).await;
    let standing = cluster.standing.as_ref().ok();
    let mut found: Vec<Finding> = why_down(probe, &seen).await.into_iter().collect();
    let own = of_host(probe, &seen, standing).await?;
    found.extend(preflight(probe, &own).await?);
    found.extend(own);
    let known = standing.map(|it| it.old.iter().chain([&it.datastore]));
    let mut secrets: Vec<Secret> = known.into_iter().flatten().cloned().collect();
    secrets.extend(seen.surface().cloned());
    secrets.dedup();
    found.extend(leftovers(probe, &seen, &secrets).await);
    Ok(found)
}

/// What would keep a rotation from beginning here, beside what is already known. Another host that cannot be asked is
/// that host's own finding.
async fn preflight(probe: &Probe<'_>, known: &[Finding]) -> Result<Vec<Finding>, FactError> {
    let step = Step::K3sPreflight(K3sPreflight {});
    let proposal = match step.propose(probe).await {
        Ok(proposal) => proposal,
        Err(StepError::Fact(error)) if is_own(probe, &error) => return Err(error),
        Err(_) => return Ok(Vec::new()),
    };
    let refused = proposal.unmet.into_iter().map(|unmet| Finding {
        name: unmet.name,
        what: unmet.what,
        next: unmet.next,
    });
    let is_new = |finding: &Finding| {
        let same = |other: &Finding| other.weight() == Weight::Refuse && other == finding;
        !known.iter().any(same)
    };
    Ok(refused.filter(is_new).collect())
}

fn is_own(probe: &Probe<'_>, error: &FactError) -> bool {
    match error {
        FactError::Transport(error) => error.to_string().starts_with(probe.host().as_str()),
        FactError::Unreadable { .. } => false,
    }
}
