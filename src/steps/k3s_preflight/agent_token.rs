//! What a cluster's own agent token has to do with a rotation: of that one, or of the server token beside it.

use super::Aim;
use crate::facts::Probe;
use crate::k3s::token::TokenKind;
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
    match aim {
        Aim::Server => {
            proposal.unmet.extend(servers.iter().filter_map(pending));
            proposal.unmet.extend(differ(cluster));
            proposal.unmet.extend(unfinished(cluster, TokenKind::Agent));
            proposal.notes.extend(left_alone(cluster));
        }
        Aim::Agent => {
            proposal.unmet.extend(servers.iter().find_map(equal));
            proposal
                .unmet
                .extend(unfinished(cluster, TokenKind::Server));
        }
        Aim::Both => {}
    }
    if aim != Aim::Server
        && let Err(unmet) = Cluster::around(probe, TokenKind::Agent).await.standing()?
    {
        proposal.unmet.extend(unmet);
    }
    Ok(())
}

/// An agent token that is configured and equals the server token, or was never taken: the node row would keep OLD
/// alive, or the restart after the next one would be fatal (measured: sqlite-agent-token).
fn pending(server: &ServerSeen) -> Option<Unmet> {
    let passwd = server.seen.passwd();
    let pending =
        server.seen.install.agent_token && passwd.node.is_some() && passwd.node == passwd.server;
    pending.then(|| {
        Unmet::new(
            "agent-token-equals-server-token",
            format!("{} has an agent token configured, and still accepts the server token from agents", server.seen.host),
            "rotate both: keyroll run @rotate-tokens -i INVENTORY; or take the agent token out of the configuration of every server",
        )
    })
}

/// Whoever has an agent token that is the server token has both: to change one of them is not enough.
fn equal(server: &ServerSeen) -> Option<Unmet> {
    let configured = &server.seen.install.agent_surfaces.first()?.token.secret;
    let is_equal = server.seen.server_tokens().contains(configured);
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
    let winner = server.seen.install.agent_surfaces.first()?;
    Some(&winner.token.secret)
}

/// Servers that start with different agent tokens let some agents in through one of them only.
fn differ(cluster: &Cluster) -> Option<Unmet> {
    let is_begun = |server: &ServerSeen| server.seen.kept_of(TokenKind::Agent).is_some();
    let (first, rest) = cluster.servers.split_first()?;
    let other = rest
        .iter()
        .find(|server| configured(server) != configured(first))
        .filter(|_| !cluster.servers.iter().any(is_begun))?;
    Some(Unmet::new(
        "agent-tokens-differ",
        format!(
            "{} and {} are configured with different agent tokens, or one of them with none",
            first.seen.host, other.seen.host
        ),
        "write one and the same agent token into the configuration of every server",
    ))
}

/// A rotation of the other token is finished first.
fn unfinished(cluster: &Cluster, kind: TokenKind) -> Option<Unmet> {
    let mut servers = cluster.servers.iter();
    let server = servers.find(|server| server.seen.kept_of(kind).is_some())?;
    let (word, book) = (kind.word(), kind.playbook());
    Some(Unmet::new(
        "other-rotation-unfinished",
        format!(
            "a rotation of the {word} is not finished: {} keeps the old one",
            server.seen.host
        ),
        format!("finish it first: keyroll run {book} -i INVENTORY"),
    ))
}

pub(super) fn is_separate(server: &ServerSeen) -> bool {
    let passwd = server.seen.passwd();
    server.seen.install.agent_token || passwd.node.is_some() && passwd.node != passwd.server
}

fn left_alone(cluster: &Cluster) -> Option<String> {
    let server = cluster.servers.iter().find(|server| is_separate(server))?;
    Some(format!(
        "agents join with a token of their own ({} has one configured), which this rotation leaves as it is; both are rotated by @rotate-tokens",
        server.seen.host
    ))
}
