//! Which token each server's process accepts, and what all of them say together of a rotation.

use futures::future::join_all;

use super::{Freshness, Seen, ServerSeen};
use crate::facts::{Knocked, Probe, Settled};
use crate::k3s::knock::{Heard, Knock, Role};
use crate::k3s::phase::{Memory, ServerView, Standing, Torn, Wish, judge, judge_agents};
use crate::k3s::token::{Form, TokenKind};
use crate::secret::Secret;

/// Where the rotation of this token stands.
pub(super) fn standing(
    about: TokenKind,
    servers: &[ServerSeen],
    wish: Wish<'_>,
) -> Result<Standing, Torn> {
    if let Some(torn) = authorities(servers) {
        return Err(torn);
    }
    let views: Vec<ServerView> = servers.iter().map(ServerSeen::view).collect();
    match about {
        TokenKind::Server => judge(&views, wish),
        TokenKind::Agent => {
            let seen = servers.iter().map(|server| &server.seen);
            let server_tokens: Vec<Secret> = seen.flat_map(Seen::server_tokens).collect();
            // A rotation of the server token that was begun is finished before another of the agent token is begun.
            let begun = servers
                .iter()
                .any(|server| server.seen.kept_of(TokenKind::Server).is_some());
            let proof_only = wish.proof_only || begun;
            judge_agents(&views, &server_tokens, Wish { proof_only, ..wish })
        }
    }
}

/// Servers of two clusters have no rotation in common.
pub(super) fn authorities(servers: &[ServerSeen]) -> Option<Torn> {
    let certificate = |server: &ServerSeen| {
        let seen = &server.seen;
        let file = seen.file(&seen.install.ca())?;
        Some((seen.host.clone(), file.text().trim().to_owned()))
    };
    let known: Vec<_> = servers.iter().filter_map(certificate).collect();
    let (first, text) = known.first()?;
    let (other, _) = known.iter().find(|(_, other)| other != text)?;
    Some(Torn {
        name: "ca-differs",
        what: format!("{first} and {other} have different cluster CAs"),
        next: "see whether both belong to one cluster; a change of the CA that was begun (k3s certificate rotate-ca) is finished by a restart of each server, then of each agent".to_owned(),
    })
}

/// What the operator wants this token to become.
pub(super) fn wish<'a>(probe: &Probe<'a>, about: TokenKind) -> Wish<'a> {
    let options = probe.options();
    let (given, generated) = match about {
        TokenKind::Server => (&options.given, &options.generated),
        TokenKind::Agent => (&options.agent.given, &options.agent.generated),
    };
    Wish {
        given: given.as_ref(),
        generated,
        run: &options.run,
        proof_only: options.words.proof_only,
    }
}

/// Every secret that a server might hold.
pub(super) fn candidates<'a>(
    probe: &Probe<'_>,
    about: TokenKind,
    servers: impl Iterator<Item = &'a Seen>,
) -> Vec<Secret> {
    let mut all: Vec<Secret> = Vec::new();
    let found = servers.flat_map(|seen| {
        [
            seen.surface().cloned(),
            seen.on_disk(),
            seen.in_passwd(),
            seen.kept(),
            seen.staged(),
            seen.aside(),
        ]
        .into_iter()
        .flatten()
    });
    let options = probe.options();
    let named = match about {
        TokenKind::Server => vec![&options.given, &options.words.old, &options.words.datastore],
        TokenKind::Agent => vec![&options.agent.given],
    };
    for secret in found.chain(named.into_iter().flatten().cloned()) {
        if !all.contains(&secret) {
            all.push(secret);
        }
    }
    all
}

/// How many agents are looked at for a token that no server has on any file.
const WITNESSES: usize = 3;

/// What the first agents are configured with, beside what is known: where somebody has rotated and configured the only
/// server by hand, its process has a token that nothing else on it tells of.
pub(super) async fn of_agents(probe: &Probe<'_>, known: &[Secret]) -> Vec<Secret> {
    let agents = probe.fleet().agents.iter().take(WITNESSES);
    let looks = agents.map(|member| Seen::look(probe, &member.name, Freshness::Lately));
    let mut all: Vec<Secret> = Vec::new();
    for seen in join_all(looks).await.into_iter().flatten() {
        let winner = seen.install.winner();
        let plain = winner.filter(|it| !matches!(it.token.form, Form::Bootstrap { .. }));
        all.extend(plain.map(|surface| surface.token.secret.clone()));
    }
    all.retain(|secret| !known.contains(secret));
    all.dedup();
    all
}

/// What the run is for.
pub(super) async fn settle(probe: &Probe<'_>, servers: &[ServerSeen]) -> Settled {
    let left_behind = left_behind(probe, servers).await;
    let wish = wish(probe, TokenKind::Server);
    let standing = standing(TokenKind::Server, servers, wish).ok();
    let begun = standing.filter(|it| it.is_rotated() && it.old.is_some());
    Settled {
        was_begun: begun.is_some() || left_behind.is_some(),
        was_taken_back: begun.is_some_and(|it| it.is_back),
        left_behind,
    }
}

/// The token of all servers, when this run may go on with it and they have left the agents behind.
async fn left_behind(probe: &Probe<'_>, servers: &[ServerSeen]) -> Option<Secret> {
    let options = probe.options();
    let is_asked = options.given.is_none() && !options.words.proof_only;
    if is_asked {
        forgets_agents(probe, servers).await
    } else {
        None
    }
}

/// The token of all servers, when nothing is known to be under way and each of the first agents that has a token of this kind
/// has one that the servers refuse: somebody has rotated the servers and forgotten the agents.
pub(in crate::steps) async fn forgets_agents(
    probe: &Probe<'_>,
    servers: &[ServerSeen],
) -> Option<Secret> {
    let first = servers.first()?;
    let held = first.memory.secret()?;
    let is_untouched = |server: &ServerSeen| {
        let seen = &server.seen;
        let has_it = [server.memory.secret(), seen.surface()] == [Some(held); 2];
        has_it && seen.kept().is_none() && seen.staged().is_none() && !seen.has_agent_token()
    };
    if !servers.iter().all(is_untouched) {
        return None;
    }
    let agents = of_agents(probe, &[]).await;
    if agents.is_empty() || agents.contains(held) {
        return None;
    }
    let knock = |secret: &Secret| Knock {
        door: first.seen.door(),
        role: Role::Node,
        secret: secret.clone(),
    };
    let knocks = Knocked(agents.iter().map(knock).collect());
    let heard = probe.get_on(&first.seen.host, knocks).await.ok()?;
    let is_refused = heard.iter().all(|heard| *heard == Heard::Rejected);
    is_refused.then(|| held.clone())
}

impl ServerSeen {
    /// A process that accepts none of the tokens that were tried is asked for these as well.
    pub(super) async fn once_more(self, probe: &Probe<'_>, others: &[Secret]) -> Self {
        if self.memory != Memory::Foreign || others.is_empty() {
            return self;
        }
        remember(probe, self.seen, Freshness::Now, others).await
    }
}

pub(super) async fn remember(
    probe: &Probe<'_>,
    seen: Seen,
    freshness: Freshness,
    candidates: &[Secret],
) -> ServerSeen {
    if !seen.unit.is_active() {
        let memory = Memory::Silent(format!("{} is {}", seen.unit.text.id, seen.unit.words()));
        return ServerSeen { seen, memory };
    }
    let knock = |secret: &Secret| Knock {
        door: seen.door(),
        role: seen.about.role(),
        secret: secret.clone(),
    };
    let knocks = Knocked(candidates.iter().map(knock).collect());
    let heard = match freshness {
        Freshness::Now => probe.get_now(&seen.host, knocks).await,
        Freshness::Lately => probe.get_on(&seen.host, knocks).await,
    };
    let memory = match heard {
        Ok(heard) => memory(candidates, &heard),
        Err(error) => Memory::Silent(error.to_string()),
    };
    ServerSeen { seen, memory }
}

fn memory(candidates: &[Secret], heard: &[Heard]) -> Memory {
    let accepted = candidates
        .iter()
        .zip(heard)
        .find(|(_, heard)| **heard == Heard::Accepted);
    if let Some((secret, _)) = accepted {
        return Memory::Holds(secret.clone());
    }
    let trouble = heard.iter().find_map(|heard| match heard {
        Heard::NotYet(said) | Heard::Odd(said) => Some(said.clone()),
        Heard::Accepted | Heard::Rejected | Heard::WrongRole => None,
    });
    trouble.map_or(Memory::Foreign, Memory::Silent)
}
