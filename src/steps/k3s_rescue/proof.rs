//! After a rescue: the right token is accepted, and every other that was found is refused.

use std::time::Duration;

use super::examine::decided;
use super::refusals::{told, waits_for_api};
use crate::facts::{Knocked, Probe};
use crate::k3s::knock::{Heard, Knock, Role};
use crate::k3s::phase::{Standing, names, rescues};
use crate::k3s::token::TokenKind;
use crate::model::HostName;
use crate::op::{Op, Until};
use crate::secret::Secret;
use crate::steps::k3s_token::said;
use crate::steps::look::{AgentStanding, Cluster, Seen, forgets_agents};
use crate::steps::{Proposal, StepError, Unmet};

pub(super) async fn of_server(probe: &Probe<'_>, seen: &Seen) -> Result<Proposal, StepError> {
    let (cluster, right) = match decided(probe, seen).await? {
        Ok(decided) => decided,
        Err(unmet) => return Ok(Proposal::refuse(unmet)),
    };
    let standing = cluster.standing_beside(probe)?.ok();
    let (host, right) = (&seen.host, &right);
    if seen.surface() != Some(right) {
        let what = format!("{host} is not configured with the datastore's token");
        return Ok(Proposal::refuse(vec![red("surface-wrong", what, host)]));
    }
    let left = left(probe, &cluster, (standing.as_ref(), right)).await;
    let held = cluster
        .server(host)
        .and_then(|server| server.memory.secret());
    if held != Some(right) && seen.unit.is_active() && is_untaken(seen, held) {
        // It was not restarted: that is the rotation's own work, when all servers have their turn.
        let note = format!(
            "{host} runs on with the token that it was started with, and would start again with the right one"
        );
        let mut proposal = Proposal::note(note);
        proposal.left = left;
        return Ok(proposal);
    }
    let mut others = cluster.tokens();
    others.extend(standing.and_then(|standing| standing.old));
    others.retain(|secret| secret != right);
    let mut proposal = answers(probe, seen, right, &others).await?;
    if proposal.ops.is_empty() {
        let waits = waits_for_api(seen, &cluster, told(probe));
        proposal.unmet.extend(waits);
    }
    if proposal.ops.is_empty() && proposal.unmet.is_empty() {
        proposal.left = left;
    }
    Ok(proposal)
}

/// What is left to do. The servers that run may say less than the datastore's answer, or a server that is down.
async fn left(
    probe: &Probe<'_>,
    cluster: &Cluster,
    (standing, right): (Option<&Standing>, &Secret),
) -> Option<String> {
    if let Some(standing) = standing.filter(|it| it.datastore == *right) {
        let left = cluster
            .left(standing)
            .or_else(|| wrong_surfaces(cluster, right));
        return match left {
            None => of_agents(probe, cluster).await,
            left => left,
        };
    }
    let mut servers = cluster.servers.iter().map(|it| &it.seen);
    let next = servers.find(|it| !it.unit.is_active()).map_or_else(
        || "`keyroll where -i INVENTORY` shows what follows".to_owned(),
        |down| format!("keyroll rescue {} -i INVENTORY goes on", down.host),
    );
    Some(format!(
        "not every server agrees yet on what the datastore has: restart no server; {next}"
    ))
}

/// Other servers that would start with another token.
fn wrong_surfaces(cluster: &Cluster, right: &Secret) -> Option<String> {
    let servers = cluster.servers.iter();
    let odd = servers.filter(|it| it.seen.surface().is_some_and(|own| own != right));
    let odd: Vec<&HostName> = odd.map(|it| &it.seen.host).collect();
    (!odd.is_empty()).then(|| {
        format!(
            "would not start with what they are configured with: {}; restart none before: {}",
            names(odd.iter().copied()),
            rescues(odd.iter().copied())
        )
    })
}

async fn of_agents(probe: &Probe<'_>, cluster: &Cluster) -> Option<String> {
    forgets_agents(probe, &cluster.servers).await.map(|_| {
        "the agents are configured with a token that is refused: restart none; keyroll run @rotate-token -i INVENTORY gives them that of the servers".to_owned()
    })
}

/// What its process answers to the right token, and to every other that was found.
async fn answers(
    probe: &Probe<'_>,
    seen: &Seen,
    right: &Secret,
    others: &[Secret],
) -> Result<Proposal, StepError> {
    let host = &seen.host;
    let knock = |role, secret: &Secret| Knock {
        door: seen.door(),
        role,
        secret: secret.clone(),
    };
    let first = knock(Role::Server, right);
    let rest = others
        .iter()
        .flat_map(|secret| [knock(Role::Server, secret), knock(Role::Node, secret)]);
    let node = seen.passwd().node;
    let rest: Vec<Knock> = rest
        .filter(|knock| knock.role == Role::Server || Some(&knock.secret) != node.as_ref())
        .collect();
    let knocks: Vec<Knock> = std::iter::once(first.clone())
        .chain(rest.iter().cloned())
        .collect();
    let mut heard = probe.get_now(host, Knocked(knocks)).await?.into_iter();
    match heard.next() {
        Some(Heard::Accepted) => Ok(Proposal::refuse(refusals(host, &rest, heard))),
        Some(Heard::NotYet(_)) if seen.unit.is_active() => {
            Ok(Proposal::of(vec![wait(host, first)]))
        }
        answer => {
            let what = format!(
                "{host} does not accept the datastore's token: {}",
                answer.as_ref().map_or_else(String::new, said)
            );
            Ok(Proposal::refuse(vec![red(
                "token-not-accepted",
                what,
                host,
            )]))
        }
    }
}

/// Whether its process was started before its surface became what it is. With nothing configured K3s has written its own
/// token there at its start, so that another one was written since.
fn is_untaken(seen: &Seen, held: Option<&Secret>) -> bool {
    let is_own_file = seen.surface_changed().is_none() && held.is_some();
    is_own_file || !seen.started_after_change()
}

/// Every other token must be refused by the very process that accepted the right one.
fn refusals(host: &HostName, knocks: &[Knock], heard: impl Iterator<Item = Heard>) -> Vec<Unmet> {
    let accepted = knocks
        .iter()
        .zip(heard)
        .filter(|(_, heard)| *heard != Heard::Rejected);
    let unmet = |(knock, heard): (&Knock, Heard)| {
        let user = knock.role.user();
        let what = format!(
            "{host} does not refuse another token that was found, as `{user}`: {}",
            said(&heard)
        );
        red("other-token-not-refused", what, host)
    };
    accepted.map(unmet).collect()
}

pub(super) async fn of_agent(probe: &Probe<'_>, seen: &Seen) -> Result<Proposal, StepError> {
    let host = &seen.host;
    if seen.install.surfaces.is_empty() {
        return Ok(Proposal::default());
    }
    let mut unmet = Vec::new();
    match AgentStanding::knock(probe, seen).await? {
        (_, Heard::Accepted) => {}
        (knock, Heard::NotYet(_)) if seen.unit.is_active() => {
            return Ok(Proposal::of(vec![wait(host, knock)]));
        }
        (_, heard) => {
            let what = format!(
                "the token that {host} is configured with is not accepted: {}",
                said(&heard)
            );
            unmet.push(red("agent-token-refused", what, host));
        }
    }
    if !seen.unit.is_active() || !seen.started_after_change() {
        let what = format!(
            "{} on {host} is {}, and was not started with its token as it is now",
            seen.unit.text.id,
            seen.unit.words()
        );
        unmet.push(red("not-restarted", what, host));
    }
    let cluster = Cluster::around(probe, TokenKind::Server).await;
    let standing = cluster.standing.as_ref().ok().filter(|_| unmet.is_empty());
    Ok(Proposal {
        left: standing.and_then(|standing| cluster.left(standing)),
        ..Proposal::refuse(unmet)
    })
}

fn wait(host: &HostName, knock: Knock) -> Op {
    let (why, until) = ("wait until the server answers", Until::Accepts(knock));
    Op::wait(host, why, until, Duration::from_mins(2))
}

fn red(name: &'static str, what: String, host: &HostName) -> Unmet {
    Unmet::red(
        name,
        what,
        format!("keyroll rescue {host} -i INVENTORY, which looks again"),
    )
}
