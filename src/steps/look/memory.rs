//! Which token each server's process accepts, and what all of them say together of a rotation.

use futures::future::join_all;

use super::{Freshness, Seen, ServerSeen};
use crate::facts::{Knocked, Probe};
use crate::k3s::knock::{Heard, Knock};
use crate::k3s::phase::{Memory, ServerView, Standing, Torn, Wish, judge, judge_agents};
use crate::k3s::token::TokenKind;
use crate::secret::Secret;

/// Where the rotation of this token stands.
pub(super) fn standing(
    probe: &Probe<'_>,
    about: TokenKind,
    servers: &[ServerSeen],
) -> Result<Standing, Torn> {
    let views: Vec<ServerView> = servers.iter().map(ServerSeen::view).collect();
    let wish = wish(probe, about);
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
        TokenKind::Server => [options.given.clone(), options.words.old.clone()],
        TokenKind::Agent => [options.agent.given.clone(), None],
    };
    for secret in found.chain(named.into_iter().flatten()) {
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
        all.extend(seen.surface().cloned());
    }
    all.retain(|secret| !known.contains(secret));
    all.dedup();
    all
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
