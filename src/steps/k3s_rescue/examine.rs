//! What a server that may need help is like, and which token the datastore has.

use std::time::Duration;

use super::refusals::{down_first, foreign, not_certain, peers_first, refusal};
use crate::facts::{Journal, JournalSince, Probe};
use crate::k3s::journal;
use crate::k3s::phase::{BESIDE, Memory, Standing, TWO};
use crate::k3s::rescue::{Evidence, Patient, Pulse, Remedy, Signs, Unclear};
use crate::k3s::token::{TokenKind, tag};
use crate::model::HostName;
use crate::secret::Secret;
use crate::steps::datastore::answer;
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
    let mut patient = patient(probe, seen, &cluster).await?;
    let standing = cluster.standing_of_processes(probe);
    let is_told = probe.options().words.datastore.is_some();
    let own = cluster.server(&seen.host).map(|it| &it.memory);
    if own == Some(&Memory::Foreign) && !is_told {
        return Ok(Err(vec![foreign(&seen.host)]));
    }
    match &standing {
        // The datastore is asked, unless the operator says what it has, or nobody can be asked.
        Err(torn)
            if [TWO, BESIDE].contains(&torn.name) && (is_told || is_trial(probe, &cluster)) => {}
        Err(torn) if [TWO, BESIDE].contains(&torn.name) => {
            let what = format!("{}; nothing is touched", torn.what);
            let unclear = not_certain(&seen.host, &cluster, what);
            return Ok(Err(vec![down_first(seen, &cluster).unwrap_or(unclear)]));
        }
        Err(torn) if torn.name != "no-server-answers" => {
            return Ok(Err(vec![Unmet::of_torn(torn)]));
        }
        _ => {}
    }
    if let Ok(standing) = &standing {
        patient.newer = cluster.is_passwd_newer(seen, &standing.datastore);
    }
    let right = judged(probe, seen, &patient, &cluster, standing.as_ref().ok());
    let remedy = right.and_then(|right| {
        // What a process that has the right token has written at its start is saved while it runs.
        let held = cluster.server(&seen.host).and_then(|it| it.memory.secret());
        patient.newer = held != Some(&right) && cluster.is_passwd_newer(seen, &right);
        let lacking = lacking(&cluster, &seen.host, &right);
        let remedy = patient.remedy(&right, lacking.is_empty());
        remedy.map(|remedy| (right, remedy))
    });
    Ok(match remedy {
        Ok((right, remedy)) => Ok(Findings {
            cluster,
            right,
            remedy,
        }),
        Err(Unclear::PeersFirst) if is_shown(probe, &cluster, seen) => {
            Err(vec![peers_first(probe, seen, &patient, &cluster)])
        }
        Err(Unclear::PeersFirst) => Err(vec![refusal(seen, &patient, &cluster, Unclear::Token)]),
        Err(unclear) => {
            let first = down_first(seen, &cluster).filter(|_| unclear == Unclear::Token);
            let refused = || refusal(seen, &patient, &cluster, unclear);
            Err(vec![first.unwrap_or_else(refused)])
        }
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

/// Whether more than files show that the datastore has what this server is configured with: only then another one may be
/// restarted with it.
fn is_shown(probe: &Probe<'_>, cluster: &Cluster, seen: &Seen) -> bool {
    let right = seen.surface();
    let mut servers = cluster.servers.iter();
    let asked = answer(probe, cluster).filter(|asked| asked.has_it);
    let is_answered = asked
        .zip(right)
        .is_some_and(|(asked, right)| asked.tag == tag(right));
    is_answered
        || probe.options().words.datastore.as_ref() == right && right.is_some()
        || servers.any(|it| right.is_some() && it.memory.secret() == right)
}

/// Whether a token that only files tell of may be tried: nobody can be asked without a quorum, and the operator has agreed.
fn is_trial(probe: &Probe<'_>, cluster: &Cluster) -> bool {
    let words = &probe.options().words;
    words.quorum_loss && words.datastore.is_none() && cluster.lacks_quorum()
}

/// Which token the datastore has, from all that is seen.
fn judged(
    probe: &Probe<'_>,
    seen: &Seen,
    patient: &Patient,
    cluster: &Cluster,
    standing: Option<&Standing>,
) -> Result<Secret, Unclear> {
    let given = probe.options().words.datastore.as_ref();
    let known = cluster.tokens();
    let asked = answer(probe, cluster).and_then(|asked| {
        let mut known = known.iter().chain(given);
        let token = known.find(|token| tag(token) == asked.tag)?;
        Some((token, asked.has_it))
    });
    let others = cluster
        .servers
        .iter()
        .filter(|it| it.seen.host != seen.host);
    let both = others.filter_map(|it| {
        let on_disk = it.seen.on_disk();
        on_disk.filter(|on_disk| it.seen.passwd().server.as_ref() == Some(on_disk))
    });
    // What waits on a server may have been put in its time, by a run that was cut right then.
    let both = both.chain(cluster.servers.iter().filter_map(|it| it.seen.staged()));
    let is_denied = |it: &Secret| cluster.is_denied(it);
    let denied: Vec<Secret> = known.iter().filter(|it| is_denied(it)).cloned().collect();
    let mut others: Vec<Secret> = both.filter(|it| !is_denied(it)).collect();
    others.sort_by(|a, b| a.expose().cmp(b.expose()));
    others.dedup();
    patient.right(&Evidence {
        standing,
        witnessed: standing.is_some_and(|standing| cluster.is_witnessed(standing)),
        unseen: cluster.hides_beside(&seen.host),
        asked,
        resting: is_resting(seen, cluster),
        third: is_third(standing, patient, known.iter().filter(|it| !is_denied(it))),
        others: &others,
        denied: &denied,
        trial: is_trial(probe, cluster),
        given,
    })
}

/// Whether all servers were stopped, or started again by a rescue with it, and there is no other token than this in any place.
/// What only waits beside it has been nobody's yet: a rotate writes the files of its server before all else.
fn is_resting(seen: &Seen, cluster: &Cluster) -> bool {
    let tokens = cluster.tokens_in_use();
    let [one] = tokens.as_slice() else {
        return false;
    };
    let mark = begun_with(one);
    let mut others = cluster.servers.iter().map(|it| &it.seen);
    cluster.blind.is_empty()
        && others.all(|it| {
            let is_started = it.rescue().as_ref() == Some(&mark);
            it.host == seen.host || it.unit.active_state == "inactive" || is_started
        })
}

/// Whether there is a token that is neither OLD nor NEW, where both are known, nor what this server was rotated to.
fn is_third<'a>(
    standing: Option<&Standing>,
    patient: &Patient,
    mut known: impl Iterator<Item = &'a Secret>,
) -> bool {
    let moved = patient.moved();
    standing.is_some_and(|standing| {
        let both = [standing.old.as_ref(), Some(&standing.new)];
        let is_known = |it: &&Secret| both.contains(&Some(*it)) || moved == Some(*it);
        standing.is_rotated() && !known.all(|it| is_known(&it))
    })
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

/// Servers that run and do not accept this token.
pub(super) fn lacking(cluster: &Cluster, host: &HostName, right: &Secret) -> Vec<HostName> {
    let others = cluster
        .servers
        .iter()
        .filter(|other| other.seen.host != *host);
    let lacks =
        others.filter(|other| matches!(&other.memory, Memory::Holds(held) if held != right));
    lacks.map(|other| other.seen.host.clone()).collect()
}
