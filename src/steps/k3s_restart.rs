//! `k3s_restart`: restarts K3s where its token was changed since it started, and waits, bounded, until it is back.

mod agent_token;

use std::time::Duration;

use serde::Deserialize;

use super::look::{AgentStanding, Cluster, Seen, ServerSeen, is_to_restart, words};
use super::{Proposal, StepError, Unmet};
use crate::facts::Probe;
use crate::k3s::install::{Datastore, Kind};
use crate::k3s::knock::{Knock, Role};
use crate::k3s::phase::Standing;
use crate::k3s::token::TokenKind;
use crate::op::{Act, Op, Until, Wait};
use crate::secret::Secret;
use crate::template::Templated;
use crate::wire::Command;

/// How long a server may take to come back: slow boards need minutes, and so does a copy of a large etcd, which K3s makes at
/// each start. A start that is refused ends the wait earlier.
pub(super) const SERVER: Duration = Duration::from_mins(10);
/// How long an agent may take to come back, which may import images first.
const AGENT: Duration = Duration::from_mins(4);

/// `k3s_restart`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct K3sRestart {
    /// Which token is to be taken. Default: the server token.
    #[serde(default)]
    pub kind: TokenKind,
    /// How long the unit may take to be active again, in seconds. Default: 600 for a server, 240 for an agent.
    #[serde(default)]
    pub timeout: Option<Templated<u64>>,
    /// Restarts it even where nothing is to be taken: some traps close at the second restart only. Default: false.
    #[serde(default)]
    pub again: bool,
}

impl K3sRestart {
    pub(super) async fn propose(&self, probe: &Probe<'_>) -> Result<Proposal, StepError> {
        let seen = match Seen::own(probe).await? {
            Ok(seen) => seen.of(self.kind),
            Err(unmet) => return Ok(Proposal::refuse(unmet)),
        };
        let timeout = match &self.timeout {
            Some(timeout) => Duration::from_secs(timeout.render(probe.vars())?),
            None if seen.install.kind == Kind::Server => SERVER,
            None => AGENT,
        };
        match seen.install.kind {
            Kind::Server => on_server(probe, &seen, timeout, self.again).await,
            Kind::Agent => on_agent(probe, &seen, timeout, self.again).await,
        }
    }
}

async fn on_agent(
    probe: &Probe<'_>,
    seen: &Seen,
    timeout: Duration,
    again: bool,
) -> Result<Proposal, StepError> {
    if !again && seen.unit.is_active() && seen.started_after_change() {
        return Ok(Proposal::default());
    }
    if !is_to_restart(probe)? {
        let host = &seen.host;
        return Ok(Proposal::note(format!(
            "{host} is not restarted, as `agents: {{ restart: false }}` says: its next start is the first with what it is configured with now"
        )));
    }
    let cluster = Cluster::around(probe, seen.about).await;
    let mut proposal = Proposal::of(restart(seen, timeout));
    match cluster.standing()? {
        Ok(standing) => match AgentStanding::look(probe, seen, standing).await? {
            AgentStanding::Foreign(_) if seen.unit.is_active() => return Ok(Proposal::default()),
            AgentStanding::New | AgentStanding::Foreign(_) => {}
            AgentStanding::Old => proposal.unmet.push(Unmet::new(
                "agent-has-old",
                format!("{} is still configured with the old token", seen.host),
                "let `k3s_token: { state: active }` come first",
            )),
        },
        Err(unmet) => proposal.unmet = unmet,
    }
    proposal.unmet.extend(stale_pin(seen));
    Ok(proposal)
}

/// A token that pins another CA hangs for ever at the next start (measured: agent-wrong-token, E3b).
pub(super) fn stale_pin(seen: &Seen) -> Option<Unmet> {
    let pinned = seen.install.winner()?.token.hash()?.to_owned();
    let actual = seen.ca_hash()?;
    let host = &seen.host;
    let by_hand = format!("write the hash {actual} into the K10 part of the token on {host}");
    let next = match seen.install.kind {
        Kind::Server => by_hand,
        Kind::Agent => format!("keyroll rescue {host} -i INVENTORY; or {by_hand}"),
    };
    (pinned != actual).then(|| {
        let what = format!(
            "the token of {host} pins a CA that is not this cluster's: it would hang at its next start"
        );
        Unmet::new("stale-ca-hash", what, next)
    })
}

async fn on_server(
    probe: &Probe<'_>,
    seen: &Seen,
    timeout: Duration,
    again: bool,
) -> Result<Proposal, StepError> {
    let cluster = Cluster::now(probe, seen.about).await;
    let standing = match cluster.standing()? {
        Ok(standing) => standing,
        Err(unmet) => return Ok(Proposal::refuse(unmet)),
    };
    let memory = cluster
        .server(&seen.host)
        .and_then(|server| server.memory.secret());
    let right = match seen.about {
        TokenKind::Server => &standing.datastore,
        TokenKind::Agent => &standing.new,
    };
    let runs_right = seen.surface() == Some(right) && memory == seen.surface();
    // A change of the same file for the other token is taken with that one.
    let is_done = seen.about == TokenKind::Agent && standing.old.is_none();
    if !again && runs_right && is_done {
        return Ok(Proposal::default());
    }
    if !again && runs_right && seen.unit.is_active() && seen.started_after_change() {
        return Ok(Proposal::default());
    }
    let mut proposal = match seen.about {
        TokenKind::Server => with_server_token(seen, &cluster, standing, timeout),
        TokenKind::Agent => agent_token::take(probe, seen, &cluster, standing, timeout).await?,
    };
    proposal.unmet.extend(stale_pin(seen));
    proposal.unmet.extend(cluster.fatal(&seen.host));
    for other in cluster
        .servers
        .iter()
        .filter(|other| other.seen.host != seen.host)
    {
        proposal.unmet.extend(not_well(probe, other).await?);
    }
    Ok(proposal)
}

fn with_server_token(
    seen: &Seen,
    cluster: &Cluster,
    standing: &Standing,
    timeout: Duration,
) -> Proposal {
    let unmet = wrong_surface(seen, standing).into_iter();
    Proposal {
        ops: restart_of_server(seen, timeout, &standing.datastore),
        unmet: unmet
            .chain(cluster.unwitnessed(standing))
            .chain(takes_another(seen))
            .collect(),
        ..Proposal::default()
    }
}

/// With its restart it would take another agent token too, which nothing saves: the start after it would be fatal (measured:
/// sqlite-agent-token).
fn takes_another(seen: &Seen) -> Option<Unmet> {
    seen.has_untaken_agent_token().then(|| {
        let host = &seen.host;
        Unmet::new(
            "agent-token-not-taken",
            format!("{host} would take another agent token with this restart, and its next start would be fatal"),
            "put the agent token that the servers run with back into the configuration of every server, or let keyroll take a change of its own back: keyroll rollback -i INVENTORY; then run the same command again",
        )
    })
}

/// A restart, and the waits until it is back with this token.
pub(super) fn restart_of_server(seen: &Seen, timeout: Duration, token: &Secret) -> Vec<Op> {
    let mut ops = restart(seen, timeout);
    let knock = Knock {
        door: seen.door(),
        role: Role::Server,
        secret: token.clone(),
    };
    let why = "wait until it accepts that token";
    let until = Until::Accepts(knock);
    ops.push(Op::wait(&seen.host, why, until, Duration::from_mins(2)));
    ops
}

/// A server starts well only with the datastore's token; with any other it fails for ever.
fn wrong_surface(seen: &Seen, standing: &Standing) -> Option<Unmet> {
    (seen.surface() != Some(&standing.datastore)).then(|| {
        Unmet::new(
            "restart-would-be-fatal",
            format!(
                "{} must not be restarted: {}",
                seen.host,
                words(standing.phase(&seen.host))
            ),
            "run the same command again, which brings its configuration in line first; where it says so once more, something writes the old token back (a configuration manager, a template, a cron job): let that rest before",
        )
    })
}

/// Never two servers down: every other one is looked at immediately before.
async fn not_well(probe: &Probe<'_>, other: &ServerSeen) -> Result<Option<Unmet>, StepError> {
    let host = &other.seen.host;
    let next = format!("get {host} to be healthy, then run the same command again");
    if !other.seen.unit.is_active() {
        let what = format!(
            "{host} is not running ({}), and no second server may go down",
            other.seen.unit.words()
        );
        return Ok(Some(Unmet::new("other-server-down", what, next)));
    }
    if other.seen.install.datastore != Datastore::Etcd {
        return Ok(None);
    }
    let member = probe.get_now(host, other.seen.member()).await?;
    let what = format!(
        "etcd on {host} is not well ({}), and no second member may go down",
        member.words()
    );
    Ok((!member.is_well()).then(|| Unmet::new("etcd-member-not-well", what, next)))
}

/// The restart of an agent that is not let in, once its configuration was changed in the same look.
pub(super) fn restart_waiting(seen: &Seen) -> impl Iterator<Item = Op> {
    // Its guards are the files as they were before.
    restart(seen, AGENT).into_iter().map(|op| Op {
        guards: Vec::new(),
        ..op
    })
}

/// `--no-block`: a restart of K3s with a wrong token can block for ever. What the token was read from is looked at once
/// more in the same script: a server that restarts with a token put back meanwhile is dead until it is rescued.
pub(super) fn restart(seen: &Seen, timeout: Duration) -> Vec<Op> {
    let unit = seen.unit.text.id.clone();
    let command =
        Command::new(["systemctl", "restart", "--no-block", &unit]).within(Duration::from_mins(1));
    let until = Until::Restarted {
        unit: unit.clone(),
        before: seen.unit.invocation.clone(),
    };
    let wait = Wait {
        until,
        timeout,
        interval: Duration::from_secs(1),
    };
    vec![
        Op::root(
            &seen.host,
            format!("restart {unit}, so that it takes the token it is configured with"),
            Act::Run {
                command,
                leaves: Vec::new(),
            },
        )
        .guarded(seen.guards()),
        Op::root(
            &seen.host,
            format!("wait until {unit} is active again"),
            Act::Wait(wait),
        ),
    ]
}
