//! A server that does not start: which token is right, what is to be done, and the operations.

use std::time::Duration;

use super::again::mark;
use crate::facts::{Journal, JournalSince, Probe};
use crate::k3s::journal;
use crate::k3s::knock::{Knock, Role};
use crate::k3s::order::join_target;
use crate::k3s::phase::{BESIDE, Memory, Standing, TWO};
use crate::k3s::rescue::{Evidence, Patient, Pulse, Remedy, Signs, Unclear};
use crate::k3s::token::{TokenKind, full, tag};
use crate::model::HostName;
use crate::op::{Act, Op, Until};
use crate::secret::{Content, Secret};
use crate::steps::datastore::answer;
use crate::steps::k3s_restart::stale_pin;
use crate::steps::k3s_token::{Mode, flip};
use crate::steps::look::{Cluster, Seen};
use crate::steps::{Proposal, StepError, Unmet};
use crate::wire::{Command, WriteFile};

/// How long it may take to be active again.
const START: Duration = Duration::from_mins(5);
/// A stop takes up to 90 s when K3s is stuck in its start (measured: ha-cure2); killed first, it is over at once.
const STOP: Duration = Duration::from_mins(2);
/// How often the journal of one attempt is looked at, and how long after each look.
const LOOKS: usize = 3;
const BETWEEN: Duration = Duration::from_secs(4);
/// Lines of its journal that are read: some attempts to start.
const LINES: u32 = 2000;

/// Ends the main process, then the unit. Containers outlive both, as at every stop of K3s.
const END: &str =
    "systemctl kill --kill-who=main --signal=KILL \"$1\" 2>/dev/null; exec systemctl stop \"$1\"";

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
    let mut patient = patient(probe, seen).await?;
    let standing = cluster.standing_of_processes(probe);
    let is_told = probe.options().words.datastore.is_some();
    let own = cluster.server(&seen.host).map(|it| &it.memory);
    if own == Some(&Memory::Foreign) && !is_told {
        return Ok(Err(vec![foreign(&seen.host)]));
    }
    match &standing {
        // The datastore is asked, unless the operator says what it has.
        Err(torn) if [TWO, BESIDE].contains(&torn.name) && is_told => {}
        Err(torn) if [TWO, BESIDE].contains(&torn.name) => {
            let what = format!("{}; nothing is touched", torn.what);
            return Ok(Err(vec![not_certain(&seen.host, what)]));
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
        Err(Unclear::PeersFirst) => Err(vec![refusal(seen, &patient, Unclear::Token)]),
        Err(unclear) => Err(vec![refusal(seen, &patient, unclear)]),
    })
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

/// What it runs with is on no file, and would be lost.
fn foreign(host: &HostName) -> Unmet {
    Unmet::new(
        "foreign-server",
        format!(
            "{host} runs, and accepts none of the tokens found on any server: nothing is touched there"
        ),
        format!(
            "see whether {host} belongs to this cluster; where somebody has rotated it by hand, say with --old-token-from file:PATH which token it was started with, or with --token-from file:PATH which one the datastore has"
        ),
    )
}

/// Which token the datastore has, from all that is seen.
fn judged(
    probe: &Probe<'_>,
    seen: &Seen,
    patient: &Patient,
    cluster: &Cluster,
    standing: Option<&Standing>,
) -> Result<Secret, Unclear> {
    let options = probe.options();
    let given = options.words.datastore.as_ref();
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
    // Nor what the datastore did not have when an earlier run asked.
    let denied = cluster.servers.iter().filter_map(|it| it.seen.denied());
    let denied: Vec<String> = denied.map(|(tag, _)| tag).collect();
    let mut others: Vec<Secret> = both.filter(|it| !denied.contains(&tag(it))).collect();
    others.sort_by(|a, b| a.expose().cmp(b.expose()));
    others.dedup();
    patient.right(&Evidence {
        standing,
        witnessed: standing.is_some_and(|standing| cluster.is_witnessed(standing)),
        unseen: cluster.hides_beside(&seen.host),
        asked,
        resting: is_resting(seen, cluster),
        third: is_third(
            standing,
            patient,
            known.iter().filter(|it| !denied.contains(&tag(it))),
        ),
        others: &others,
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

async fn patient(probe: &Probe<'_>, seen: &Seen) -> Result<Patient, StepError> {
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
    let tried = seen.started_after_change();
    let is_judged = mark.is_some() && tried && pulse != Pulse::Runs;
    let refused_now = is_judged && is_refused_now(probe, seen).await;
    let is_decided = |secret: &Secret| {
        mark.as_ref()
            .is_some_and(|mark| *mark == begun_with(secret))
    };
    Ok(Patient {
        decided: seen.surface().cloned().filter(is_decided),
        refused_now,
        pulse,
        surface: seen.surface().cloned(),
        on_disk: seen.on_disk(),
        passwd: seen.passwd().server,
        joins: seen.install.url.is_some(),
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
fn begun_with(secret: &Secret) -> String {
    format!("begun {}", tag(secret))
}

/// Servers that run and do not accept this token.
fn lacking(cluster: &Cluster, host: &HostName, right: &Secret) -> Vec<HostName> {
    let others = cluster
        .servers
        .iter()
        .filter(|other| other.seen.host != *host);
    let lacks =
        others.filter(|other| matches!(&other.memory, Memory::Holds(held) if held != right));
    lacks.map(|other| other.seen.host.clone()).collect()
}

pub(super) async fn propose(probe: &Probe<'_>, seen: &Seen) -> Result<Proposal, StepError> {
    let Findings {
        cluster,
        right,
        remedy,
    } = match examine(probe, seen).await? {
        Ok(findings) => findings,
        Err(unmet) => return Ok(Proposal::refuse(unmet)),
    };
    let surfaces = flip(seen, &right, Mode::default());
    if seen.unit.is_active() && remedy != Remedy::Passwd {
        // It goes on with what it was started with; a restart now would be with what is written here.
        return Ok(Proposal::of(if remedy == Remedy::Surface {
            let aside = put_aside(seen, &cluster, &right).into_iter();
            aside.chain(surfaces).collect()
        } else {
            Vec::new()
        }));
    }
    let lacks_quorum = cluster.lacks_quorum_with(&seen.host);
    if lacks_quorum && remedy == Remedy::Start && seen.unit.active_state == "activating" {
        let is_told = probe.options().words.datastore.is_some();
        let wait = waits_for_others(seen, &cluster, is_told);
        return Ok(Proposal::refuse(vec![wait]));
    }
    let mut proposal = Proposal::of(vec![mark(seen, &begun_with(&right))]);
    proposal.ops.extend(surfaces);
    if remedy == Remedy::Passwd {
        proposal.unmet = unwell(probe, seen, &cluster).await?;
        proposal.ops.push(end(seen));
        proposal.ops.extend(recreate(seen));
    }
    proposal.ops.extend(own_file(seen, &right));
    let mut start = start(seen, &right);
    // Its start goes on until others have joined it: what to do is said at once.
    start.truncate(if lacks_quorum { 1 } else { start.len() });
    proposal.ops.extend(start);
    Ok(proposal)
}

/// Why nothing may be removed there now. Where members of etcd that are down hold each other up, the operator may go on with
/// one after the other.
async fn unwell(
    probe: &Probe<'_>,
    seen: &Seen,
    cluster: &Cluster,
) -> Result<Vec<Unmet>, StepError> {
    let mut unwell = cluster.unwell_beside(probe, &seen.host).await?;
    if !cluster.members().any(|it| it.seen.host == seen.host) {
        return Ok(unwell);
    }
    if probe.options().words.quorum_loss {
        return Ok(Vec::new());
    }
    if let Some(last) = unwell.last_mut() {
        let host = &seen.host;
        let next = format!(
            "; where that wants {host} first: keyroll rescue {host} -i INVENTORY --accept-quorum-loss goes on beside it, and copies first what it removes"
        );
        last.next.push_str(&next);
    }
    Ok(unwell)
}

/// Started with the right token, and alone. `is_told` is whether the operator has said which token that is.
fn waits_for_others(seen: &Seen, cluster: &Cluster, is_told: bool) -> Unmet {
    let (host, (up, all)) = (&seen.host, cluster.members_up());
    let rest = cluster
        .members()
        .filter(|it| !it.seen.unit.is_active() && it.seen.rescue().is_none());
    let rest = rest.map(|it| &it.seen.host).filter(|it| *it != host);
    let told = if is_told {
        " --token-from file:PATH"
    } else {
        ""
    };
    let commands: Vec<String> = rest
        .map(|host| format!("keyroll rescue {host} -i INVENTORY{told}"))
        .collect();
    Unmet::new(
        "waits-for-quorum",
        format!(
            "{host} is started with the datastore's token, and comes up when more than half of the {all} members of etcd run; now {up} do"
        ),
        format!("the others now: {}", commands.join("; then ")),
    )
}

/// What a server runs with is asked for by name until its restart: it must be on some file, also when no surface has it.
fn put_aside(seen: &Seen, cluster: &Cluster, right: &Secret) -> Option<Op> {
    let held = cluster.server(&seen.host)?.memory.secret()?;
    let is_known = held == right || [seen.kept(), seen.withdrawn()].contains(&Some(held.clone()));
    let content = Content::new(format!("{}\n", held.expose()));
    let file = WriteFile::private(seen.withdrawn_path(), content);
    let why = "put aside the token that it runs with, until it is shown to be refused";
    (!is_known).then(|| Op::root(&seen.host, why, Act::WriteFile(file)))
}

fn end(seen: &Seen) -> Op {
    let unit = seen.unit.text.id.as_str();
    let command = Command::new(["sh", "-c", END, "sh", unit]).within(STOP);
    let act = Act::Run {
        command,
        leaves: Vec::new(),
    };
    Op::root(
        &seen.host,
        format!("end {unit}, which fails at every start"),
        act,
    )
}

/// Exactly these two files; `server/token` stays where it is all that is configured.
fn recreate(seen: &Seen) -> Vec<Op> {
    let is_surface = |path| {
        seen.install
            .surfaces
            .iter()
            .any(|surface| surface.file == path)
    };
    let paths = ["server/cred/passwd", "server/token"].map(|path| seen.install.data(path));
    let remove = |path: camino::Utf8PathBuf| {
        let why = format!("remove {path}, which is recreated from the datastore");
        Op::root(&seen.host, why, Act::Remove { path })
    };
    let kept = paths.into_iter().filter(|path| !is_surface(path.clone()));
    kept.filter(|path| seen.file(path).is_some())
        .map(remove)
        .collect()
}

/// Where nothing is configured K3s starts with what `server/token` says, in its K10 form (measured:
/// ha-first-server-and-unconfigured); without that file it would make itself another token.
fn own_file(seen: &Seen, right: &Secret) -> Option<Op> {
    let hash = seen
        .ca_hash()
        .filter(|_| seen.install.surfaces.is_empty())?;
    let path = seen.install.data(TokenKind::Server.own_file());
    let why = format!("write {path} anew, which is all that this server starts with");
    let text = format!("{}\n", full(&hash, "server", right));
    let file = WriteFile::private(path, Content::new(text));
    Some(Op::root(&seen.host, why, Act::WriteFile(file)))
}

/// `--no-block`: a start with a wrong token can block for ever.
fn start(seen: &Seen, right: &Secret) -> Vec<Op> {
    let unit = seen.unit.text.id.clone();
    let command =
        Command::new(["systemctl", "start", "--no-block", &unit]).within(Duration::from_mins(1));
    let act = Act::Run {
        command,
        leaves: Vec::new(),
    };
    let restarted = Until::Restarted {
        unit: unit.clone(),
        before: String::new(),
    };
    let accepts = Until::Accepts(Knock {
        door: seen.door(),
        role: Role::Server,
        secret: right.clone(),
    });
    let host = &seen.host;
    let why = format!("wait until {unit} is active");
    vec![
        Op::root(
            host,
            format!("start {unit} with the datastore's token"),
            act,
        ),
        Op::wait(host, why, restarted, START),
        Op::wait(
            host,
            "wait until it accepts that token",
            accepts,
            Duration::from_mins(2),
        ),
    ]
}

/// What was seen of a server that does not run.
fn saw(seen: &Seen, patient: &Patient) -> String {
    let said = patient.signs.line.as_deref();
    let said = said.map_or_else(String::new, |line| format!("; its last words: {line}"));
    let (host, unit) = (&seen.host, &seen.unit);
    format!("{} on {host} is {}{said}", unit.text.id, unit.words())
}

fn not_certain(host: &HostName, what: String) -> Unmet {
    let next = format!(
        "say which it is, as from whoever has rotated by hand: keyroll rescue {host} -i INVENTORY --token-from file:PATH; or get the other servers to run first (`keyroll where -i INVENTORY` shows all of them)"
    );
    Unmet::new("token-not-certain", what, next)
}

fn refusal(seen: &Seen, patient: &Patient, unclear: Unclear) -> Unmet {
    let (host, unit) = (&seen.host, &seen.unit.text.id);
    let saw = saw(seen, patient);
    match unclear {
        Unclear::Token => {
            let places = places(seen);
            let what = format!(
                "{saw}; {places}; which token the datastore has is not certain, so nothing is touched"
            );
            not_certain(host, what)
        }
        Unclear::Starting => Unmet::new(
            "still-starting",
            saw,
            "wait until it is up or has failed, then run the same command again",
        ),
        Unclear::OwnCopy => Unmet::new(
            "own-copy-behind",
            format!(
                "{saw}; it is configured with the datastore's token; it was away during the rotate, and starts from its own copy of the datastore, which is of before"
            ),
            format!(
                "let it ask a server that runs with that token: on {host} `server: https://ADDRESS:6443` in the configuration of K3s; then run the same command again"
            ),
        ),
        Unclear::PeersFirst | Unclear::Unknown => Unmet::new(
            "not-a-token",
            format!(
                "{saw}; {}; that is no trouble of a token that is known",
                places(seen)
            ),
            format!(
                "see `journalctl -u {unit}` on {host}; when what it tells of is over: systemctl start {unit} there"
            ),
        ),
    }
}

/// Of the servers that lack the token of this one's configuration the one that this one joins takes it first. It is restarted
/// with that token on its surface, and never without.
fn peers_first(probe: &Probe<'_>, seen: &Seen, patient: &Patient, cluster: &Cluster) -> Unmet {
    let right = seen.surface();
    let lacking = right.map_or_else(Vec::new, |right| lacking(cluster, &seen.host, right));
    let joiners = cluster.joiners(probe.fleet(), &[]);
    let target = join_target(&seen.host, &joiners).filter(|target| lacking.contains(target));
    let peer = target.or(lacking.first());
    let next = match peer.and_then(|peer| cluster.server(peer)) {
        Some(peer) => {
            let (host, unit) = (&peer.seen.host, &peer.seen.unit.text.id);
            let restart = format!(
                "on {host}, as root: systemctl restart {unit}; then run the same command again"
            );
            if peer.seen.surface() == right {
                restart
            } else {
                format!(
                    "let {host} have that token first: keyroll rescue {host} -i INVENTORY; then {restart}"
                )
            }
        }
        None => "run the same command again".to_owned(),
    };
    let saw = saw(seen, patient);
    let what = format!(
        "{saw}; it was away during the rotate, and the servers that it joins do not accept the new token yet"
    );
    Unmet::new("peers-first", what, next)
}

/// Which places of a server hold the same token, without naming it.
fn places(seen: &Seen) -> String {
    let same = |a: Option<&Secret>, b: Option<&Secret>| match (a, b) {
        (Some(a), Some(b)) if a == b => "the configured token",
        (_, Some(_)) => "another token",
        (_, None) => "no token",
    };
    format!(
        "server/token has {}, server/cred/passwd {}",
        same(seen.surface(), seen.on_disk().as_ref()),
        same(seen.surface(), seen.passwd().server.as_ref())
    )
}
