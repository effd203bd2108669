//! What a server that may need help is like, and which token the datastore has.

use std::time::Duration;

use super::case::Case;
use super::refusals::{etcd_first, foreign, peers_first, refusal};
use crate::facts::{Journal, JournalSince, Probe};
use crate::k3s::journal;
use crate::k3s::phase::{BESIDE, Memory, TWO, Torn};
use crate::k3s::rescue::{Patient, Pulse, Remedy, Signs, Unclear};
use crate::k3s::token::{TokenKind, tag};
use crate::secret::Secret;
use crate::steps::k3s_restart::stale_pin;
use crate::steps::look::{Cluster, Seen};
use crate::steps::{StepError, Unmet};

/// How often the journal of one attempt is looked at, and how long after each look.
const LOOKS: usize = 3;
const BETWEEN: Duration = Duration::from_secs(4);
/// Lines of its journal that are read: some attempts to start.
const LINES: u32 = 2000;

/// What was found out about a server.
pub(super) struct Findings {
    pub(super) cluster: Cluster,
    pub(super) right: Secret,
    pub(super) remedy: Remedy,
}

/// Looks at a server and all others.
pub(super) async fn examine(
    probe: &Probe<'_>,
    seen: &Seen,
) -> Result<Result<Findings, Vec<Unmet>>, StepError> {
    let faults = seen.install.faults.iter().map(Unmet::of_fault);
    // With a pin of another CA it would hang at its start, whatever its token.
    let faults: Vec<Unmet> = faults.chain(stale_pin(seen)).collect();
    if !faults.is_empty() {
        return Ok(Err(faults));
    }
    let cluster = Cluster::now(probe, TokenKind::Server).await;
    if let Some(unmet) = etcd_first(seen, &cluster) {
        return Ok(Err(vec![unmet]));
    }
    // What it runs with is not known to be the datastore's, and nothing keeps it from running.
    if let Some(unmet) = cluster.lacks_passwd(&seen.host) {
        return Ok(Err(vec![unmet]));
    }
    let patient = patient(probe, seen, &cluster).await?;
    let standing = cluster.standing_of_processes(probe);
    let own = cluster.server(&seen.host).map(|it| &it.memory);
    if own == Some(&Memory::Foreign) && probe.options().words.datastore.is_none() {
        return Ok(Err(vec![foreign(&seen.host)]));
    }
    let torn = standing.as_ref().err();
    let is_contradiction = |torn: &Torn| [TWO, BESIDE].contains(&torn.name);
    if let Some(torn) = torn.filter(|it| !is_contradiction(it) && it.name != "no-server-answers") {
        return Ok(Err(vec![Unmet::of_torn(torn)]));
    }
    let mut case = Case {
        probe,
        seen,
        cluster: &cluster,
        patient,
        standing: standing.as_ref().ok(),
    };
    Ok(match case.remedy(torn.is_some_and(is_contradiction)) {
        Ok((right, remedy)) => Ok(Findings {
            cluster,
            right,
            remedy,
        }),
        Err(Unclear::PeersFirst) if case.is_shown() => Err(vec![peers_first(&case)]),
        Err(Unclear::PeersFirst | Unclear::Token) => Err(vec![case.uncertain(torn)]),
        Err(unclear) => Err(vec![refusal(seen, &case.patient, unclear)]),
    })
}

/// What the datastore has: as what was done was judged, else as all servers say, since its journal tells less once it runs.
pub(super) async fn decided(
    probe: &Probe<'_>,
    seen: &Seen,
) -> Result<Result<(Cluster, Secret), Vec<Unmet>>, StepError> {
    if let Ok(found) = examine(probe, seen).await? {
        return Ok(Ok((found.cluster, found.right)));
    }
    let cluster = Cluster::now(probe, TokenKind::Server).await;
    let standing = cluster.standing_beside(probe)?;
    Ok(standing.map(|standing| (cluster, standing.datastore)))
}

async fn patient(probe: &Probe<'_>, seen: &Seen, cluster: &Cluster) -> Result<Patient, StepError> {
    let unit = &seen.unit;
    let pulse = match unit.active_state.as_str() {
        "active" => Pulse::Runs,
        "activating" if unit.n_restarts == 0 && unit.sub_state == "start" => Pulse::Starts,
        "inactive" => Pulse::Rests,
        _ => Pulse::Fails,
    };
    let signs = if pulse == Pulse::Runs {
        Signs::default()
    } else {
        let (unit, lines) = (unit.text.id.clone(), LINES);
        Signs::read(&probe.get(Journal { unit, lines }).await?)
    };
    let mark = seen.rescue();
    let tried = seen.is_tried();
    let is_judged = mark.is_some() && tried && pulse != Pulse::Runs;
    let refused_now = is_judged && is_refused_now(probe, seen).await;
    let is_decided = |secret: &Secret| {
        mark.as_ref()
            .is_some_and(|mark| *mark == begun_with(secret))
            && !seen
                .rescue_left()
                .is_some_and(|left| cluster.is_overtaken(secret, left))
    };
    Ok(Patient {
        decided: seen.surface().cloned().filter(is_decided),
        refused_now,
        pulse,
        surface: seen.surface().cloned(),
        on_disk: seen.on_disk(),
        passwd: seen.passwd().server,
        joins: seen.asks_before_start(),
        tried,
        signs,
        newer: false,
        begun: mark.is_some(),
    })
}

/// Whether the attempt that goes on, or was the last, was refused for its token. One that follows others needs some seconds
/// until it says so.
async fn is_refused_now(probe: &Probe<'_>, seen: &Seen) -> bool {
    let looks = if seen.unit.n_restarts > 0 { LOOKS } else { 1 };
    for look in 1..=looks {
        let invocation = seen.unit.invocation.clone();
        // Without a journal nothing speaks against what was found out.
        let lines = probe
            .get_now(probe.host(), JournalSince { invocation })
            .await;
        let lines = lines.ok().flatten();
        if lines
            .iter()
            .flatten()
            .any(|line| journal::wants_other_token(line))
        {
            return true;
        }
        if look < looks {
            probe.pause(BETWEEN).await;
        }
    }
    false
}

/// The mark of a rescue that has found this token to be the datastore's.
pub(super) fn begun_with(secret: &Secret) -> String {
    format!("begun {}", tag(secret))
}
