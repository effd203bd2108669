//! What a cluster's own agent token has to do with a rotation: of that one, or of the server token beside it.

use super::Aim;
use crate::facts::Probe;
use crate::k3s::phase::Standing;
use crate::k3s::surface::Surface;
use crate::k3s::token::{self, TokenKind};
use crate::secret::Secret;
use crate::steps::look::{Cluster, ServerSeen};
use crate::steps::{Proposal, StepError, Unmet};

/// What stands in the way of this aim, as the servers together show it.
pub(super) async fn judge(
    probe: &Probe<'_>,
    aim: Aim,
    cluster: &Cluster,
    proposal: &mut Proposal,
) -> Result<(), StepError> {
    let servers = &cluster.servers;
    proposal.unmet.extend(servers.iter().find_map(one_place));
    if aim != Aim::Agent {
        proposal.unmet.extend(taken_out(cluster));
    }
    match aim {
        Aim::Server => {
            proposal.unmet.extend(servers.iter().filter_map(pending));
            if let Ok(standing) = &cluster.standing {
                let mut servers = servers.iter();
                let unmet = servers.find_map(|it| has_as_agents(it, &standing.new));
                proposal.unmet.extend(unmet);
            }
            let half_way = half_way(cluster);
            if cluster.standing.as_ref().is_ok_and(Standing::is_rotated) {
                proposal
                    .notes
                    .extend(half_way.into_iter().map(|unmet| unmet.what));
            } else {
                proposal.unmet.extend(half_way);
            }
            proposal.notes.extend(left_alone(cluster));
        }
        Aim::Agent => {
            proposal.unmet.extend(servers.iter().find_map(equal));
            proposal
                .unmet
                .extend(unfinished(cluster, TokenKind::Server).or_else(|| begun(cluster)));
        }
        Aim::Both => {
            if unfinished(cluster, TokenKind::Server).is_none() {
                proposal.unmet.extend(begun(cluster));
            }
            let given = probe.options().agent.given.as_ref();
            let mut servers = servers.iter();
            proposal
                .unmet
                .extend(given.and_then(|given| servers.find_map(|it| has_as_servers(it, given))));
        }
    }
    if aim != Aim::Server {
        let cluster = Cluster::around(probe, TokenKind::Agent).await;
        proposal
            .unmet
            .extend(cluster.standing()?.err().into_iter().flatten());
        proposal.unmet.extend(taken_out(&cluster));
    }
    Ok(())
}

/// What is not as it should be with the agent token, while it is another one that is looked at.
pub(in crate::steps) fn half_way(cluster: &Cluster) -> Vec<Unmet> {
    let untaken = cluster.servers.iter().filter_map(untaken);
    let others = differ(cluster)
        .into_iter()
        .chain(unfinished(cluster, TokenKind::Agent));
    untaken.chain(others).collect()
}

/// Servers with an agent token that is to come with their next start, and is not the server token.
pub fn to_come(cluster: &Cluster) -> impl Iterator<Item = Unmet> {
    let servers = cluster.servers.iter();
    let is_own = |server: &&ServerSeen| {
        configured(server).is_some_and(|secret| !server.seen.server_tokens().contains(secret))
    };
    servers.filter(is_own).filter_map(pending)
}

/// An agent token that is configured and equals the server token, or was never taken: the node row would keep OLD
/// alive, or the restart after the next one would be fatal (measured: sqlite-agent-token).
fn pending(server: &ServerSeen) -> Option<Unmet> {
    let passwd = server.seen.passwd();
    let pending = one_place(server).is_none()
        && server.seen.install.agent_token
        && passwd.node.is_some()
        && passwd.node == passwd.server;
    let is_same =
        configured(server).is_some_and(|secret| server.seen.server_tokens().contains(secret));
    let next = if is_same {
        "rotate both: keyroll run @rotate-tokens -i INVENTORY; or take the agent token out of the configuration of every server"
    } else {
        "rotate both: keyroll run @rotate-tokens -i INVENTORY with --new-agent-token-from and the one that is configured; or take the agent token out of the configuration of every server"
    };
    pending.then(|| {
        Unmet::new(
            "agent-token-equals-server-token",
            format!(
                "{} has an agent token configured, and still accepts the server token from agents",
                server.seen.host
            ),
            next,
        )
    })
}

/// Whoever has the agent token of now would join servers with it.
fn has_as_agents(server: &ServerSeen, new: &Secret) -> Option<Unmet> {
    let passwd = server.seen.passwd();
    let own = passwd
        .node
        .filter(|node| Some(node) != passwd.server.as_ref());
    let is_theirs = own.as_ref() == Some(new) || configured(server) == Some(new);
    is_theirs.then(|| {
        Unmet::new(
            "agent-token-equals-server-token",
            format!(
                "the new token is the agent token that {} has: whoever has that would join servers",
                server.seen.host
            ),
            "give another one with --new-token-from, or leave it out: keyroll then makes it",
        )
    })
}

/// The server token that must die would live on as the agent token.
fn has_as_servers(server: &ServerSeen, given: &Secret) -> Option<Unmet> {
    server.seen.server_tokens().contains(given).then(|| {
        Unmet::new(
            "agent-token-equals-server-token",
            format!("the new agent token is the server token that {} has: it would go on to join agents", server.seen.host),
            "give another one with --new-agent-token-from, or leave it out: keyroll then makes it",
        )
    })
}

/// An agent token that was changed in the configuration, or taken out of it, since the server started: its next start, which a
/// rotation is, takes it, and the one after that would be fatal (measured: sqlite-agent-token).
fn untaken(server: &ServerSeen) -> Option<Unmet> {
    let seen = &server.seen;
    let passwd = seen.passwd();
    let taken = passwd
        .node
        .filter(|node| Some(node) != passwd.server.as_ref())?;
    // A rotation of the agent token that keyroll has begun is said to be unfinished.
    if seen.kept_of(TokenKind::Agent).is_some() {
        return None;
    }
    let (what, next) = match configured(server) {
        Some(secret) if *secret == taken => return None,
        // It is configured where keyroll cannot read it.
        None if seen.install.agent_token => return None,
        Some(_) => (
            "is configured with another agent token than it runs with",
            "rotate to that one first: keyroll run @rotate-agent-token -i INVENTORY with --new-agent-token-from; or put the one that it runs with back",
        ),
        None => (
            "runs with an agent token that is configured no longer",
            "put the agent token back into the configuration of every server; a cluster gets rid of it with its next installation",
        ),
    };
    let what = format!(
        "{} {what}: its next start would take that, and the one after it would be fatal",
        seen.host
    );
    Some(Unmet::new("agent-token-not-taken", what, next))
}

/// Whoever has an agent token that is the server token has both: to change one of them is not enough.
fn equal(server: &ServerSeen) -> Option<Unmet> {
    let configured = configured(server)?;
    let is_equal = one_place(server).is_none() && server.seen.server_tokens().contains(configured);
    is_equal.then(|| {
        Unmet::new(
            "agent-token-equals-server-token",
            format!(
                "the agent token in the configuration of {} is the server token: whoever has it would still join servers",
                server.seen.host
            ),
            "rotate both: keyroll run @rotate-tokens -i INVENTORY",
        )
    })
}

fn configured(server: &ServerSeen) -> Option<&Secret> {
    server.seen.install.agent_secret.as_ref()
}

/// Servers that start with different agent tokens let some agents in through one of them only; and what one of them saves is
/// fatal for the others.
pub(in crate::steps) fn differ(cluster: &Cluster) -> Option<Unmet> {
    let (first, rest) = cluster.servers.split_first()?;
    let other = rest
        .iter()
        .find(|server| configured(server) != configured(first))
        .filter(|_| !cluster.keeps(TokenKind::Agent))?;
    Some(Unmet::new(
        "agent-tokens-differ",
        format!(
            "{} and {} are configured with different agent tokens, or one of them with none",
            first.seen.host, other.seen.host
        ),
        "restart no server; write one and the same agent token into the configuration of every server, then: keyroll run @rotate-agent-token -i INVENTORY",
    ))
}

/// One text that is both tokens: whatever is written there for one of them is the other as well.
fn one_place(server: &ServerSeen) -> Option<Unmet> {
    let install = &server.seen.install;
    let meets = |a: &Surface, b: &Surface| {
        let (one, other) = (&a.slot.range, &b.slot.range);
        a.file == b.file && one.start < other.end && other.start < one.end
    };
    let mut servers = install.surfaces.iter();
    let both = servers.find(|it| install.agent_surfaces.iter().any(|other| meets(it, other)))?;
    let (host, file) = (&server.seen.host, &both.file);
    Some(Unmet::new(
        "one-text-for-both-tokens",
        format!("{host} takes its token and its agent token from the same text in {file}"),
        "take the agent token out of the configuration of every server, which changes nothing while both are the same; then run the same command again",
    ))
}

/// The new token is the one that the last proven rotation took out of use: whoever had it would have it again.
fn taken_out(cluster: &Cluster) -> Option<Unmet> {
    let standing = cluster
        .standing
        .as_ref()
        .ok()
        .filter(|it| !it.is_rotated())?;
    let (now, new) = (&standing.datastore, &standing.new);
    let marks = cluster.servers.iter().filter_map(|it| it.seen.proven());
    let mut marks = marks.filter(|proven| proven.tag == token::tag(now));
    let proven = marks.find(|it| it.pairing.as_ref() == Some(&token::pairing(new, now)))?;
    let (word, option) = match cluster.about {
        TokenKind::Server => ("token", "--new-token-from"),
        TokenKind::Agent => ("agent token", "--new-agent-token-from"),
    };
    Some(Unmet::new(
        "old-token-again",
        format!(
            "the new {word} is the one that run {} has taken out of use: whoever had it would have it again",
            proven.run
        ),
        format!("give another one with {option}, or leave it out: keyroll then makes it"),
    ))
}

/// A rotation of the server token that somebody has begun by hand, of which nothing is kept.
fn begun(cluster: &Cluster) -> Option<Unmet> {
    let what = cluster.unfinished(cluster.standing.as_ref().ok()?)?;
    Some(Unmet::new(
        "other-rotation-unfinished",
        format!("of the server token: {what}"),
        "finish it first: keyroll run @rotate-token -i INVENTORY",
    ))
}

/// A rotation of the other token is finished first; where both are under way one playbook goes on with both.
fn unfinished(cluster: &Cluster, kind: TokenKind) -> Option<Unmet> {
    let are_both = cluster.keeps(TokenKind::Server) && cluster.keeps(TokenKind::Agent);
    let mut servers = cluster.servers.iter();
    let server = servers.find(|server| server.seen.kept_of(kind).is_some())?;
    let book = if are_both {
        "@rotate-tokens"
    } else {
        kind.playbook()
    };
    let word = kind.word();
    Some(Unmet::new(
        "other-rotation-unfinished",
        format!(
            "a rotation of the {word} is not finished: {} keeps the old one",
            server.seen.host
        ),
        format!("finish it first: keyroll run {book} -i INVENTORY"),
    ))
}

fn left_alone(cluster: &Cluster) -> Option<String> {
    let server = cluster
        .servers
        .iter()
        .find(|it| it.seen.has_agent_token())?;
    Some(format!(
        "agents join with a token of their own ({} has one configured), which this rotation leaves as it is; both are rotated by @rotate-tokens",
        server.seen.host
    ))
}
