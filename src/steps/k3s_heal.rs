//! `k3s_heal`: saves to the datastore what servers were started with, where their next restart would be fatal.
//!
//! A PUT of the *same* server token does it while the server runs; every later restart is then fine (measured:
//! sqlite-agent-token-cure, ha-agent-token). One is enough for all when it is sent to the server with the latest passwd.
//! Of a server that was not seen nobody knows it: what can be saved is saved, then that is said.

use serde::Deserialize;

use super::datastore::{RIGHT, put_right, question};
use super::k3s_preflight::{differ, to_come};
use super::k3s_token::{STOPPED, put, stopped};
use super::look::{AgentStanding, Blind, Cluster, Seen, ServerSeen};
use super::{Proposal, StepError, Unmet};
use crate::facts::{Journal, Probe};
use crate::k3s::phase::{Standing, names};
use crate::k3s::rescue::Signs;
use crate::k3s::token::{TokenKind, tag};
use crate::k3s::unsaved::Mark;
use crate::model::HostName;
use crate::op::{Act, Op};
use crate::secret::{Content, Secret};
use crate::wire::WriteFile;

/// `k3s_heal`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct K3sHeal {
    /// Whether every server must have been seen. Default: true. Without it the task's own host is enough.
    #[serde(default = "yes")]
    pub all: bool,
    /// Whether it is all that the run does: then it ends with what is left of a rotation, or of an agent token that is to
    /// come. Default: false.
    #[serde(default)]
    pub alone: bool,
    /// Only asks the datastore, where a server that runs has another token in its passwd, whether it has that one. Default:
    /// false.
    #[serde(default)]
    pub ask: bool,
}

/// Lines of a journal that tell why the last start ended.
const LINES: u32 = 100;

fn yes() -> bool {
    true
}

impl K3sHeal {
    pub(super) async fn propose(&self, probe: &Probe<'_>) -> Result<Proposal, StepError> {
        let cluster = Cluster::now(probe, TokenKind::Server).await;
        if self.ask {
            let odd = cluster.odd_passwds().filter(|it| !is_denied(it));
            return Ok(Proposal::of(odd.filter_map(|it| ask(probe, it)).collect()));
        }
        let mut proposal = save_all(&cluster);
        proposal.notes.extend(unseen(&cluster));
        if proposal.ops.is_empty() && proposal.unmet.is_empty() {
            proposal.unmet = self.not_known(probe, &cluster)?;
            if let (true, true, Err(torn)) =
                (self.all, proposal.unmet.is_empty(), &cluster.standing)
            {
                proposal.unmet.push(Unmet::of_torn(torn));
            }
            if self.alone {
                proposal.unmet.extend(to_come(&cluster));
                let without = cluster.without_passwd();
                proposal.unmet.extend(without.map(|(_, unmet)| unmet));
            }
            if self.all {
                proposal.unmet.extend(misplaced(probe).await);
            }
        }
        if self.all && !proposal.ops.is_empty() {
            proposal.unmet.extend(kept_down(probe, &cluster).await?);
        }
        if let Ok(standing) = &cluster.standing
            && self.alone
        {
            proposal.left = cluster.left(standing);
        }
        let is_said = |unmet: &Unmet| unmet.name == STOPPED;
        if !proposal.unmet.iter().any(is_said) {
            proposal.notes.extend(asleep(&cluster).map(is_asleep));
        }
        Ok(proposal)
    }

    /// Why nobody can say that every server would start again. Whoever could not be asked is an error of its own.
    fn not_known(&self, probe: &Probe<'_>, cluster: &Cluster) -> Result<Vec<Unmet>, StepError> {
        let counts = |(host, _): &&(HostName, Blind)| self.all || host == probe.host();
        let (mut faulty, mut unasked) = (Vec::new(), Vec::new());
        for (host, blind) in cluster.blind.iter().filter(counts) {
            match blind {
                Blind::Faulty(fault) => faulty.push(Unmet::of_fault(fault)),
                Blind::Unasked(error) => unasked.push((host.clone(), error.clone())),
            }
        }
        if !faulty.is_empty() {
            return Ok(faulty);
        }
        if !unasked.is_empty() {
            return Err(StepError::Unasked(unasked));
        }
        let runs = |server: &ServerSeen| server.seen.unit.is_active();
        let is_one_up = cluster.servers.iter().any(runs);
        Ok(match (self.all, is_one_up) {
            (true, true) => asleep(cluster).map(not_active).collect(),
            (true, false) => vec![nothing_runs(cluster)],
            (false, _) => Vec::new(),
        })
    }
}

/// Servers that the inventory calls agents: nobody has looked whether they would start again.
async fn misplaced(probe: &Probe<'_>) -> Vec<Unmet> {
    let agents = probe.fleet().agents.iter();
    let looks = agents.map(|member| AgentStanding::seen(probe, &member.name));
    let seen = probe.each(looks).await.into_iter().flatten();
    let faults = seen.filter_map(|seen| seen.misplaced(probe.fleet()));
    faults.map(|fault| Unmet::of_fault(&fault)).collect()
}

/// Servers whose last start was refused for a token: the datastore may have another one than those that run.
async fn kept_down(probe: &Probe<'_>, cluster: &Cluster) -> Result<Vec<Unmet>, StepError> {
    let mut unmet = Vec::new();
    for seen in asleep(cluster) {
        let (unit, lines) = (seen.unit.text.id.clone(), LINES);
        let journal = Journal { unit, lines };
        let lines = probe.get_now(&seen.host, journal).await?;
        if Signs::read(&lines).last.is_some() {
            unmet.push(refused(seen));
        }
    }
    Ok(unmet)
}

fn refused(seen: &Seen) -> Unmet {
    let host = &seen.host;
    Unmet::new(
        STOPPED,
        format!(
            "{host} is down, and its last start was refused for a token: the datastore may have another one than the servers that run"
        ),
        format!("first: keyroll rescue {host} -i INVENTORY; then run the same command again"),
    )
}

/// What the servers that were seen need.
fn save_all(cluster: &Cluster) -> Proposal {
    // What is put right is the latest, and overtakes the rest.
    let odd: Vec<&ServerSeen> = cluster.odd_passwds().collect();
    if !odd.is_empty() {
        return put_all_right(&odd);
    }
    let found = cluster.unsaved();
    let Some((server, passwd)) = found.first() else {
        return Proposal::default();
    };
    let standing = match &cluster.standing {
        Ok(standing) => standing,
        Err(torn) => return Proposal::refuse(vec![Unmet::of_torn(torn)]),
    };
    if let Some(unmet) = differ(cluster).or_else(|| cluster.half_rolled_back()) {
        return Proposal::refuse(vec![unmet]);
    }
    let Some(secret) = common(server, standing) else {
        return Proposal::refuse(vec![unfinished(server)]);
    };
    let hosts = found.iter().map(|(server, _)| &server.seen.host);
    let note = format!(
        "the next restart of {} would be fatal: server/cred/passwd, as it is there, is saved to the datastore",
        names(hosts)
    );
    Proposal {
        ops: save(&server.seen, secret, Mark::Of(*passwd)),
        notes: vec![note],
        ..Proposal::default()
    }
}

/// Whether the datastore is known not to have what this server's passwd says: a rotate to another token would else take a
/// rotation back.
fn is_denied(server: &ServerSeen) -> bool {
    let denied = server.seen.denied().zip(server.seen.passwd_written());
    let denied = denied.filter(|((_, at), written)| at >= written);
    let passwd = server.seen.passwd().server;
    denied
        .zip(passwd)
        .is_some_and(|(((of, _), _), passwd)| of == tag(&passwd))
}

fn ask(probe: &Probe<'_>, server: &ServerSeen) -> Option<Op> {
    let held = server.memory.secret()?;
    let passwd = server.seen.passwd().server?;
    let why =
        "ask the datastore whether it has the token of server/cred/passwd: a rotate to that one";
    Some(question(probe, &server.seen, (held, &passwd), why))
}

/// A rotate to the token that a server runs with writes it to its files; the next one saves it.
fn put_all_right(odd: &[&ServerSeen]) -> Proposal {
    let mut proposal = Proposal::default();
    for server in odd {
        let (seen, host) = (&server.seen, &server.seen.host);
        match server.memory.secret() {
            Some(held) if is_denied(server) => {
                proposal.ops.push(put_right(seen, held, RIGHT));
                proposal.ops.extend(save(seen, held, Mark::OfThen));
                proposal.notes.push(format!(
                    "server/cred/passwd on {host} has another token than its process, which the datastore has: K3s writes it anew and saves it"
                ));
            }
            _ => proposal.unmet.push(unfinished(server)),
        }
    }
    proposal
}

/// Servers whose K3s does not run: what their next start will find is not told by times.
fn asleep(cluster: &Cluster) -> impl Iterator<Item = &Seen> {
    let seen = cluster.servers.iter().map(|server| &server.seen);
    seen.filter(|seen| !seen.unit.is_active())
}

fn is_asleep(seen: &Seen) -> String {
    let (unit, host) = (&seen.unit.text.id, &seen.host);
    format!(
        "{unit} on {host} is {}: whether it would start is not known",
        seen.unit.words()
    )
}

fn not_active(seen: &Seen) -> Unmet {
    let unmet = stopped(&seen.host, &seen.unit);
    Unmet {
        red: false,
        ..unmet
    }
}

fn unseen(cluster: &Cluster) -> Vec<String> {
    let note = |(host, why): &(HostName, Blind)| {
        format!("{host} was not seen, and may need it too: {why}")
    };
    cluster.blind.iter().map(note).collect()
}

fn nothing_runs(cluster: &Cluster) -> Unmet {
    let what = "K3s runs on no server of the inventory: whether one would start again is not known";
    let next = match cluster.servers.first() {
        Some(first) => format!(
            "get one server to run first: keyroll rescue {} -i INVENTORY",
            first.seen.host
        ),
        None => "get one server to run first".to_owned(),
    };
    Unmet::new("no-server-answers", what, next)
}

/// The server token, when surface, memory, files and datastore all have the same.
pub(super) fn common<'a>(server: &ServerSeen, standing: &'a Standing) -> Option<&'a Secret> {
    let secret = &standing.datastore;
    let seen = &server.seen;
    let is_same = server.memory.secret() == Some(secret)
        && seen.surface() == Some(secret)
        && seen.on_disk().as_ref() == Some(secret)
        && seen.passwd().server.as_ref() == Some(secret);
    is_same.then_some(secret)
}

pub(super) fn unfinished(server: &ServerSeen) -> Unmet {
    let host = &server.seen.host;
    Unmet::new(
        "not-one-token",
        format!(
            "{host} does not have one and the same token in its configuration, its files, its memory and the datastore"
        ),
        "finish the rotation first: `keyroll run @rotate-token -i INVENTORY` saves it too; restart no server before",
    )
}

/// The PUT, and the word that it was answered well: without a change of a row K3s leaves passwd's time as it is.
pub(super) fn save(seen: &Seen, secret: &Secret, mark: Mark) -> Vec<Op> {
    let host = &seen.host;
    let act = Act::Run {
        command: put(&seen.door(), secret, secret),
        leaves: Vec::new(),
    };
    let why = "save passwd to the datastore: rotate to the same server token";
    vec![Op::root(host, why, act), word_of_saved(seen, mark)]
}

/// The word that a rotate here, which was answered well, has saved this passwd.
pub(super) fn word_of_saved(seen: &Seen, mark: Mark) -> Op {
    let word = WriteFile::private(seen.saved_path(), Content::new(mark.text()));
    let why = "leave word of which passwd was saved";
    Op::root(&seen.host, why, Act::WriteFile(word))
}
