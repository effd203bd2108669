//! What a running server accepts, of all the secrets that it might.

use super::cluster::ServerSeen;
use super::{Freshness, Seen};
use crate::facts::{Knocked, Probe};
use crate::k3s::knock::{Heard, Knock, Role};
use crate::k3s::phase::Memory;
use crate::secret::Secret;

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
        role: Role::Server,
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
