//! Every host: what the preflight says of it, what bad runbooks left there, and why K3s does not run.

use super::Found;
use crate::app::Desk;
use crate::app::glance::{Editor, glance};
use crate::app::trouble::Trouble;
use crate::cli;
use crate::facts::{FactError, Probe};
use crate::secret::Secret;
use crate::steps::StepError;
use crate::steps::findings::{Finding, leftovers, not_running, why_down};
use crate::steps::k3s_preflight::{Aim, Sight, look as look_at};
use crate::steps::look::Blind;

pub(super) fn look(desk: &Desk, asked: &cli::Glance, found: &mut Found) -> Result<Editor, Trouble> {
    let (seen, editor) = glance(desk, asked, async |sight| {
        sight.each(|probe| async move { one(&probe).await }).await
    })?;
    for (host, result) in seen {
        match result {
            Ok(mut findings) => {
                for finding in &mut findings {
                    editor.name_hosts(&mut finding.next);
                }
                found.looked_at.push(host.to_string());
                let named = findings.into_iter().map(|it| (host.to_string(), it));
                found.findings.extend(named);
            }
            Err(error) => found.unreachable.push((host, Blind::Unasked(error))),
        }
    }
    Ok(editor)
}

async fn one(probe: &Probe<'_>) -> Result<Vec<Finding>, FactError> {
    let (seen, cluster) = match look_at(probe).await {
        (Ok(seen), cluster) => (seen, cluster),
        (Err(Blind::Unasked(error)), _) => return Err(error),
        (Err(Blind::Faulty(fault)), _) => return Ok(vec![Finding::of_fault(fault)]),
    };
    let mut found: Vec<Finding> = why_down(probe, &seen).await.into_iter().collect();
    let sight = Sight::take(probe, &seen, &cluster, Aim::Server).await?;
    found.extend(sight.findings());
    found.extend(judged(probe, &sight).await?);
    // The preflight only notes it, since a rotation mends it.
    found.extend(cluster.fatal(probe.host()).map(Finding::of_unmet));
    if probe.speaks_for_fleet()
        && let Ok(standing) = &cluster.standing
        && let Some(left) = cluster.unfinished(standing)
    {
        found.push(Finding::of("rotation-unfinished", &left));
    }
    // The preflight of a rotation that has begun waits for what starts, and only notes an agent that is down.
    if !found.iter().any(|it| it.name == "unit-not-active") {
        found.extend(not_running(probe, &seen).await);
    }
    let standing = cluster.standing.as_ref().ok();
    let known = standing.map(|it| it.old.iter().chain([&it.datastore]));
    let mut secrets: Vec<Secret> = known.into_iter().flatten().cloned().collect();
    secrets.extend(seen.surface().cloned());
    secrets.dedup();
    found.extend(leftovers(probe, &seen, &secrets).await);
    Ok(found)
}

/// What would keep a rotation from beginning here, and what was found of the cluster. Another host that cannot be asked is that host's own finding.
async fn judged(probe: &Probe<'_>, sight: &Sight<'_>) -> Result<Vec<Finding>, FactError> {
    match sight.judge(probe).await {
        Ok((proposal, found)) => {
            let refused = proposal.unmet.into_iter().map(Finding::of_unmet);
            Ok(refused.chain(found).collect())
        }
        Err(StepError::Fact(error)) if is_own(probe, &error) => Err(error),
        Err(_) => Ok(Vec::new()),
    }
}

fn is_own(probe: &Probe<'_>, error: &FactError) -> bool {
    match error {
        FactError::Transport(error) => error.to_string().starts_with(probe.host().as_str()),
        FactError::Unreadable { .. } => false,
    }
}
