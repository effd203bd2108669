//! NEW is accepted and OLD is not, asked of the very process that runs.

use std::time::Duration;

use crate::facts::{Knocked, Probe, Unit, UnitState};
use crate::k3s::install::is_of_owner;
use crate::k3s::knock::{Heard, Knock, Role};
use crate::k3s::phase::{Phase, Standing};
use crate::k3s::token::{self, Form, TokenKind};
use crate::model::HostName;
use crate::op::{Op, Until};
use crate::secret::Secret;
use crate::steps::look::{
    AgentStanding, Cluster, Seen, is_to_restart, no_token, rescue_of_agent, words,
};
use crate::steps::{Proposal, StepError, Unmet};

pub(super) async fn on_server(probe: &Probe<'_>, seen: &Seen) -> Result<Proposal, StepError> {
    let cluster = Cluster::around(probe, seen.about).await;
    match cluster.standing()? {
        Ok(standing) => proof_of_server(probe, seen, standing).await,
        Err(unmet) => Ok(Proposal::refuse(unmet)),
    }
}

pub(super) async fn on_agent(probe: &Probe<'_>, seen: &Seen) -> Result<Proposal, StepError> {
    let cluster = Cluster::around(probe, seen.about).await;
    match cluster.standing()? {
        Ok(standing) => proof_of_agent(probe, seen, &cluster, standing).await,
        Err(unmet) => Ok(Proposal::refuse(unmet)),
    }
}

/// A server's proof: NEW answers 405, and then OLD answers 401 as `server` and as `node`. Of an agent token: as `node`
/// NEW answers 200, and then OLD 401; whether OLD is the server token too is another question.
///
/// # Errors
/// When it cannot be asked.
pub async fn proof_of_server(
    probe: &Probe<'_>,
    seen: &Seen,
    standing: &Standing,
) -> Result<Proposal, StepError> {
    let host = &seen.host;
    let mut proposal = Proposal::default();
    let knock = |role, secret: &Secret| Knock {
        door: seen.door(),
        role,
        secret: secret.clone(),
    };
    let (own, olds): (Vec<_>, Vec<_>) = olds(probe, seen, standing)
        .into_iter()
        .partition(|old| *old == standing.new);
    let roles = roles_of_old(seen.about);
    let mut knocks = vec![knock(seen.about.role(), &standing.new)];
    for old in &olds {
        knocks.extend(roles.iter().map(|role| knock(*role, old)));
    }
    let first = knocks.first().cloned();
    let unit = Unit {
        name: seen.unit.text.id.clone(),
    };
    let (heard, unit) = probe.get_now(host, (Knocked(knocks), unit)).await?;
    if unit.invocation != seen.unit.invocation {
        // A 401 counts only from the process that has accepted NEW.
        proposal.ops.extend(first.map(|knock| wait(host, knock)));
        return Ok(proposal);
    }
    let mut heard = heard.into_iter();
    let new = heard.next();
    let new = new.unwrap_or_else(|| Heard::Odd("there was no answer".to_owned()));
    match new {
        Heard::Accepted => {}
        Heard::NotYet(_) if !unit.is_active() && !unit.is_first_start() => {
            return Ok(Proposal::refuse(vec![stopped(host, &unit)]));
        }
        Heard::NotYet(_) => {
            proposal.ops.extend(first.map(|knock| wait(host, knock)));
            return Ok(proposal);
        }
        new => return Ok(not_accepted(seen, &new)),
    }
    let heard = roles.iter().copied().cycle().zip(heard);
    old_is_dead(host, first.as_ref(), heard, &mut proposal);
    if !own.is_empty() {
        proposal.unmet.push(is_back(host));
    } else if olds.is_empty() && !is_proven_by_this_run(probe, seen, standing) {
        proposal.doubt(unprobed(seen, standing));
    }
    if is_named_wrongly(probe, seen, standing) {
        proposal.doubt("the token that was given as the old one is not the token that was old in the last proven rotation: that it is refused says nothing of that one");
    }
    if is_untried(seen, standing) {
        proposal.doubt(format!(
            "the configuration of {host} was changed after its process started, which has the same token: its next start will be the first to try it"
        ));
    } else {
        proposal.unmet.extend(not_yet_new(seen, standing));
    }
    Ok(proposal)
}

/// What to do where the datastore may have another token than a server.
const UNFINISHED: &str = "see `keyroll where -i INVENTORY`; a rotation that was begun is finished by `keyroll run @rotate-token -i INVENTORY`; \
restart no server before";

fn not_accepted(seen: &Seen, new: &Heard) -> Proposal {
    let (host, word) = (&seen.host, seen.about.short());
    let what = format!("{host} does not accept the new {word}: {}", said(new));
    Proposal::refuse(vec![Unmet::red("new-not-accepted", what, UNFINISHED)])
}

/// The name of a server whose K3s does not run.
pub const STOPPED: &str = "server-not-active";

/// A server whose K3s does not run.
#[must_use]
pub fn stopped(host: &HostName, unit: &UnitState) -> Unmet {
    let unit_name = &unit.text.id;
    let what = format!("{unit_name} on {host} is {}", unit.words());
    let next = format!(
        "see why: journalctl -u {unit_name} on {host}; where a token keeps it from starting: keyroll rescue {host} -i INVENTORY"
    );
    Unmet::red(STOPPED, what, next)
}

/// A server that accepts the very token that it is configured with, as after a roll back: nothing is known to have been
/// rotated, so that no restart is due.
fn is_untried(seen: &Seen, standing: &Standing) -> bool {
    seen.about == TokenKind::Server
        && standing.old.is_none()
        && standing.phase(&seen.host) == Some(Phase::New)
        && !seen.started_after_change()
}

/// What the configuration has that the running process does not prove.
fn not_yet_new(seen: &Seen, standing: &Standing) -> Option<Unmet> {
    let host = &seen.host;
    match standing.phase(host) {
        Some(Phase::New) if seen.started_after_change() => None,
        // The same file was changed for the server token, whose own proof wants a start after it.
        Some(Phase::New) if seen.about == TokenKind::Agent && standing.old.is_none() => None,
        Some(Phase::New) => Some(Unmet::red(
            "changed-since-start",
            format!("the configuration of {host} was changed after its process started"),
            format!(
                "systemctl restart {} on {host} while every other server is well, then run the same command again",
                seen.unit.text.id
            ),
        )),
        // What cannot be read there is said by its own name.
        _ if !seen.install.faults.iter().all(is_of_owner) => None,
        _ if seen.about == TokenKind::Server && seen.install.surfaces.is_empty() => Some(Unmet {
            red: true,
            ..no_token(seen)
        }),
        phase => Some(Unmet::red(
            "surface-not-new",
            format!("{host}: {}", words(phase)),
            "see `keyroll where -i INVENTORY`; `keyroll run @rotate-token -i INVENTORY` finishes what was begun",
        )),
    }
}

/// As whom OLD must be refused.
fn roles_of_old(kind: TokenKind) -> &'static [Role] {
    match kind {
        TokenKind::Server => &[Role::Server, Role::Node],
        TokenKind::Agent => &[Role::Node],
    }
}

/// Every token that must be dead: what is kept or was seen, and what the operator named.
#[must_use]
pub fn olds(probe: &Probe<'_>, seen: &Seen, standing: &Standing) -> Vec<Secret> {
    let named = probe.options().words.old.as_ref();
    let named = named
        .filter(|named| seen.about == TokenKind::Server && !standing.dead().any(|it| it == *named));
    standing.dead().chain(named).cloned().collect()
}

/// Whether the operator names as old what was not old in the rotation whose proof left its word here.
fn is_named_wrongly(probe: &Probe<'_>, seen: &Seen, standing: &Standing) -> bool {
    let named = probe.options().words.old.as_ref();
    let tag = token::tag(&standing.new);
    let proven = seen.proven().filter(|proven| proven.tag == tag);
    let pairing = proven.and_then(|proven| proven.pairing);
    seen.about == TokenKind::Server
        && named.zip(pairing).is_some_and(|(named, pairing)| {
            *named != standing.new && token::pairing(named, &standing.new) != pairing
        })
}

/// The token that was to be dead is the cluster's own.
fn is_back(host: &HostName) -> Unmet {
    Unmet::red(
        "old-not-dead",
        format!(
            "{host} runs with the old token, as after the restore of a snapshot from before a rotation, or the wrong token was given as the old one"
        ),
        "rotate again: keyroll run @rotate-token -i INVENTORY",
    )
}

/// Whether this run has probed OLD and forgotten it since.
fn is_proven_by_this_run(probe: &Probe<'_>, seen: &Seen, standing: &Standing) -> bool {
    let tag = token::tag(&standing.new);
    seen.proven()
        .is_some_and(|proven| proven.run == probe.options().run && proven.tag == tag)
}

fn old_is_dead(
    host: &HostName,
    first: Option<&Knock>,
    heard: impl Iterator<Item = (Role, Heard)>,
    proposal: &mut Proposal,
) {
    for (role, answer) in heard {
        match answer {
            Heard::Rejected => {}
            Heard::NotYet(_) => proposal
                .ops
                .extend(first.map(|knock| wait(host, knock.clone()))),
            answer => {
                let what = format!(
                    "{host} does not refuse the old token as `{}`: {}",
                    role.user(),
                    said(&answer)
                );
                let next = format!(
                    "see as what {host} still takes it, such as its agent token: keyroll where -i INVENTORY; then run the same command again"
                );
                proposal.unmet.push(Unmet::red("old-not-dead", what, next));
            }
        }
    }
}

/// An agent's proof: its own configured secret is accepted without its certificate, by a process that was started
/// after the secret was written. Ready proves nothing: an agent with a wrong token is Ready (measured: agent-wrong-token).
///
/// # Errors
/// When it cannot be asked.
pub async fn proof_of_agent(
    probe: &Probe<'_>,
    seen: &Seen,
    cluster: &Cluster,
    standing: &Standing,
) -> Result<Proposal, StepError> {
    let host = &seen.host;
    let mut proposal = Proposal::default();
    let agent = AgentStanding::look(probe, seen, standing).await?;
    if let AgentStanding::Foreign(why) = agent {
        if has_proven_agent_token(probe, seen, cluster) {
            let word = "keeps the agent token, which this run has rotated and proven";
            proposal.notes.push(format!("{host} {word}"));
        } else {
            proposal.doubt(format!("{host} is not proven by the new token: {why}"));
        }
    }
    if agent == AgentStanding::Old {
        proposal.unmet.push(dead(probe, seen, cluster, standing));
        return Ok(proposal);
    }
    // A bootstrap token is no password to knock with, and has mostly run out since its agent joined.
    let winner = seen.install.winner();
    if winner.is_some_and(|it| !matches!(it.token.form, Form::Bootstrap { .. })) {
        of_its_secret(probe, seen, &mut proposal).await?;
    }
    if !seen.unit.is_active() {
        let what = format!("{} on {host} is {}", seen.unit.text.id, seen.unit.words());
        let unit = &seen.unit.text.id;
        let next = if seen.unit.active_state == "activating" {
            format!("wait until it is up; when it goes on: on {host}, journalctl -u {unit} -n 50")
        } else {
            seen.to_start_it()
        };
        proposal
            .unmet
            .push(Unmet::red("agent-not-active", what, next));
    } else if !seen.started_after_change() {
        let what = format!("{host} was not restarted since the file with its token was changed");
        if !is_to_restart(probe)? {
            proposal.doubt(format!("{what}, as `agents: {{ restart: false }}` says"));
            proposal.left = Some(
                "restart K3s on the agents that were not restarted, when they may: their next start is the first with the new token".to_owned(),
            );
            return Ok(proposal);
        }
        let unit = &seen.unit.text.id;
        let next = format!("systemctl restart {unit} on {host}, then run the same command again");
        proposal
            .unmet
            .push(Unmet::red("changed-since-start", what, next));
    }
    Ok(proposal)
}

/// What an agent is configured with opens nothing any more: it is OLD, or a token that is nobody's.
fn dead(probe: &Probe<'_>, seen: &Seen, cluster: &Cluster, standing: &Standing) -> Unmet {
    let host = &seen.host;
    let is_old = |secret: &Secret| olds(probe, seen, standing).contains(secret);
    if seen.surface().is_some_and(is_old) {
        let what = format!("{host} is still configured with the old token");
        let next = format!(
            "keyroll run @rotate-token -i INVENTORY, where a rotation is not finished; else {}",
            rescue_of_agent(host)
        );
        return Unmet::red("agent-has-old", what, next);
    }
    let what = format!(
        "the token that {host} is configured with is not accepted: it is refused (401), and is none that is known here"
    );
    let next = cluster.cure_of_agent(standing, host);
    Unmet::red("agent-token-refused", what, next)
}

/// Whether the agent's configured secret is accepted.
async fn of_its_secret(
    probe: &Probe<'_>,
    seen: &Seen,
    proposal: &mut Proposal,
) -> Result<(), StepError> {
    let host = &seen.host;
    match AgentStanding::knock(probe, seen).await? {
        (_, Heard::Accepted) => {}
        (knock, Heard::NotYet(_)) if seen.unit.is_active() => proposal.ops.push(wait(host, knock)),
        (_, heard) => {
            let what = format!(
                "the token that {host} is configured with is not accepted: {}",
                said(&heard)
            );
            proposal.unmet.push(Unmet::red(
                "agent-token-refused",
                what,
                rescue_of_agent(host),
            ));
        }
    }
    Ok(())
}

/// Whether an agent has the agent token that this very run has rotated to and proven: nothing of it is in doubt then.
fn has_proven_agent_token(probe: &Probe<'_>, seen: &Seen, cluster: &Cluster) -> bool {
    let Some(tag) = seen.surface().map(token::tag) else {
        return false;
    };
    let marks = cluster
        .servers
        .iter()
        .filter_map(|server| server.seen.proven_of(TokenKind::Agent));
    let run = &probe.options().run;
    marks
        .into_iter()
        .any(|proven| proven.run == *run && proven.tag == tag)
}

fn unprobed(seen: &Seen, standing: &Standing) -> String {
    let tag = token::tag(&standing.new);
    match seen.proven().filter(|proven| proven.tag == tag) {
        Some(proven) => format!(
            "the old token is kept no more: run {} proved it dead",
            proven.run
        ),
        None => "the old token was not probed, since nothing keeps it".to_owned(),
    }
}

/// A supervisor that is busy (429) or starting (503) is asked again for a while.
fn wait(host: &HostName, knock: Knock) -> Op {
    let (why, until) = ("wait until the supervisor answers", Until::Accepts(knock));
    Op::wait(host, why, until, Duration::from_mins(1))
}

/// An answer in words.
pub(in crate::steps) fn said(heard: &Heard) -> String {
    match heard {
        Heard::Accepted => "it is accepted".to_owned(),
        Heard::Rejected => "it is refused (401)".to_owned(),
        Heard::WrongRole => "it is the right secret of the other role (403)".to_owned(),
        Heard::NotYet(said) => format!("no answer yet ({said})"),
        Heard::Odd(said) => said.clone(),
    }
}
