//! Every host: what the preflight says of it, what bad runbooks left there, and why K3s does not run.

use super::Found;
use crate::app::Desk;
use crate::app::glance::{Editor, glance};
use crate::app::trouble::Trouble;
use crate::cli;
use crate::facts::{FactError, Probe};
use crate::k3s::install::Kind;
use crate::k3s::knock::Heard;
use crate::k3s::token::Form;
use crate::secret::Secret;
use crate::steps::StepError;
use crate::steps::findings::{Finding, leftovers, not_running, why_down};
use crate::steps::k3s_preflight::{Aim, Sight, look as look_at};
use crate::steps::k3s_token::can_be_taken_back;
use crate::steps::look::{AgentStanding, Blind, Cluster, Seen};

/// A rotation that stands half way.
const UNFINISHED: &str = "rotation-unfinished";
/// An agent's token that no server accepts.
const REFUSED: &str = "agent-token-refused";

pub(super) fn look(desk: &Desk, asked: &cli::Glance, found: &mut Found) -> Result<Editor, Trouble> {
    let ((seen, can_go_back), editor) = glance(desk, asked, async |sight| {
        let seen = sight.each(|probe| async move { one(&probe).await }).await;
        let mut all = seen
            .iter()
            .filter_map(|(_, found)| found.as_ref().ok())
            .flatten();
        let is_unfinished = all.any(|found| found.name == UNFINISHED);
        let can_go_back = is_unfinished && can_be_taken_back(&sight.scope).await;
        (seen, can_go_back)
    })?;
    for (host, result) in seen {
        match result {
            Ok(mut findings) => {
                for finding in &mut findings {
                    if can_go_back && finding.name == UNFINISHED {
                        finding
                            .next
                            .push_str("; keyroll rollback -i INVENTORY takes it back");
                    }
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
        let next = "keyroll run @rotate-token -i INVENTORY goes on with it";
        found.push(Finding::of(UNFINISHED, &left).next(next));
    }
    if !found.iter().any(|it| it.name == REFUSED) {
        found.extend(refused(probe, &seen, &cluster).await);
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

/// A running agent whose token no server accepts: it is Ready for as long as it has its certificate.
async fn refused(probe: &Probe<'_>, seen: &Seen, cluster: &Cluster) -> Option<Finding> {
    let form = &seen.install.winner()?.token.form;
    let is_mute = matches!(form, Form::Bootstrap { .. });
    if seen.install.kind != Kind::Agent || !seen.unit.is_active() || is_mute {
        return None;
    }
    // Where it cannot be asked that is said already.
    let (_, heard) = AgentStanding::knock(probe, seen).await.ok()?;
    let what = format!(
        "the token that {} is configured with is refused (401)",
        seen.host
    );
    let standing = cluster.standing.as_ref().ok();
    let left = standing.and_then(|standing| cluster.left(standing));
    let next = left.unwrap_or_else(|| {
        format!(
            "keyroll rescue {} -i INVENTORY gives it the cluster's token",
            seen.host
        )
    });
    (heard == Heard::Rejected).then(|| Finding::of(REFUSED, what).next(next))
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
