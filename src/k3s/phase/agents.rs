//! Where a rotation of the agent token stands. Nothing is encrypted with it, so that a server starts with whichever one
//! it is configured with: each server counts by itself, and what can be told is told from OLD as it was kept.

use super::held::{distinct, is_finished, kept, waiting};
use super::judge::names;
use super::{Memory, Phase, ServerView, Standing, Torn, Wish};
use crate::secret::Secret;

/// Says where a rotation of the agent token stands; in these views everything is the agent token's. `servers_have` are
/// the server tokens that any server has.
///
/// # Errors
/// When no agent token is configured, or the servers disagree on it in a way that has no one right continuation.
pub fn judge_agents(
    servers: &[ServerView],
    servers_have: &[Secret],
    wish: Wish<'_>,
) -> Result<Standing, Torn> {
    configured(servers)?;
    let kept = kept(servers, two_old_tokens)?;
    let (old, new) = match kept {
        Some(old) => (Some(old.clone()), goes_on(servers, old, wish)?),
        None => begins(servers, wish)?,
    };
    let aside = overtaken(servers, kept, &new);
    if old.as_ref() != Some(&new) && old.is_some() && servers_have.contains(&new) {
        return Err(is_server_token());
    }
    foreign(servers, old.as_ref(), &new)?;
    let is_taken = !aside.is_empty() || servers.iter().any(|s| s.memory.secret() == Some(&new));
    let phases = servers.iter().map(|s| (s.host.clone(), phase(s, &new)));
    Ok(Standing {
        is_told: false,
        given_passed_over: wish.given.is_some_and(|given| *given != new),
        datastore: old.clone().filter(|_| !is_taken).unwrap_or(new.clone()),
        phases: phases.collect(),
        rotator: None,
        is_back: false,
        aside,
        old,
        new,
    })
}

/// One agent token is configured on every server.
fn configured(servers: &[ServerView]) -> Result<(), Torn> {
    let without = || servers.iter().filter(|s| s.surface.is_none());
    let left = without().count();
    if left == 0 {
        return Ok(());
    }
    if left == servers.len() {
        return Err(Torn {
            name: "no-agent-token",
            what: "no server has an agent token of its own configured: agents join with the server token".to_owned(),
            next: "rotate that one: keyroll run @rotate-token -i INVENTORY; to give agents a token of their own, write it as `agent-token:` into the configuration of every server, restart none, and run this again with the same one from --new-agent-token-from".to_owned(),
        });
    }
    Err(differ(format!(
        "no agent token is configured on {}, and one on the others",
        names(without().map(|s| &s.host))
    )))
}

fn differ(what: String) -> Torn {
    Torn {
        name: "agent-tokens-differ",
        what,
        next: "restart no server; write one and the same agent token into the configuration of every server; to rotate to that one give it with --new-agent-token-from".to_owned(),
    }
}

fn is_server_token() -> Torn {
    Torn {
        name: "agent-token-equals-server-token",
        what: "the new agent token is the server token: whoever joins an agent could join a server"
            .to_owned(),
        next: "give another one with --new-agent-token-from, or none: keyroll then makes one"
            .to_owned(),
    }
}

fn two_old_tokens() -> Torn {
    Torn {
        name: "two-old-tokens",
        what: "the servers keep different old agent tokens in server/.keyroll/old-agent: two rotations are mixed".to_owned(),
        next: "find out which agent token each server accepts: `keyroll where -i INVENTORY`".to_owned(),
    }
}

/// An unfinished rotation keeps its own NEW: whatever any server has that is not OLD. Another one that was written over it
/// on every server, and is given, goes on in its place.
fn goes_on(servers: &[ServerView], old: &Secret, wish: Wish<'_>) -> Result<Secret, Torn> {
    let not_old = |secret: &&Secret| *secret != old;
    let held = servers
        .iter()
        .flat_map(|s| s.surface.iter().chain(s.memory.secret()));
    match distinct(held.filter(not_old)).as_slice() {
        [one] => Ok((*one).clone()),
        [] => Ok(waiting(servers, old, wish).clone()),
        _ => match wish.given {
            Some(given) if servers.iter().all(|s| s.surface.as_ref() == Some(given)) => {
                Ok(given.clone())
            }
            _ => Err(disagree(servers)),
        },
    }
}

/// What servers of an unfinished rotation run with that is neither its OLD nor the NEW that it goes on with.
fn overtaken(servers: &[ServerView], kept: Option<&Secret>, new: &Secret) -> Vec<Secret> {
    let held = distinct(servers.iter().filter_map(|s| s.memory.secret())).into_iter();
    let third = held.filter(|secret| kept.is_some_and(|old| old != *secret) && *secret != new);
    third.cloned().collect()
}

/// Nothing is under way as far as keyroll knows.
fn begins(servers: &[ServerView], wish: Wish<'_>) -> Result<(Option<Secret>, Secret), Torn> {
    let surfaces = distinct(servers.iter().filter_map(|s| s.surface.as_ref()));
    let memories = distinct(servers.iter().filter_map(|s| s.memory.secret()));
    match (surfaces.as_slice(), memories.as_slice()) {
        (_, []) => Err(nobody_answers(servers)),
        ([surface], [memory]) if surface == memory => Ok(chosen(servers, surface, wish)),
        // All are configured with it, and some have taken it: somebody has begun by hand.
        ([surface], [one, other]) if one == surface => {
            Ok((Some((*other).clone()), (*surface).clone()))
        }
        ([surface], [other, one]) if one == surface => {
            Ok((Some((*other).clone()), (*surface).clone()))
        }
        // Written by hand and given: it goes on from there.
        (surfaces, [memory]) => {
            let is_given = |surface: &&Secret| surface == memory || wish.given == Some(*surface);
            match wish.given {
                Some(given) if surfaces.iter().all(is_given) => {
                    Ok((Some((*memory).clone()), given.clone()))
                }
                _ => Err(disagree(servers)),
            }
        }
        _ => Err(disagree(servers)),
    }
}

fn chosen(servers: &[ServerView], now: &Secret, wish: Wish<'_>) -> (Option<Secret>, Secret) {
    if is_finished(servers, now, wish) || wish.proof_only || wish.given == Some(now) {
        return (None, now.clone());
    }
    (Some(now.clone()), waiting(servers, now, wish).clone())
}

fn disagree(servers: &[ServerView]) -> Torn {
    let all = distinct(servers.iter().flat_map(|s| {
        let memory = s.memory.secret();
        s.surface.iter().chain(memory)
    }));
    let number = |secret: Option<&Secret>| {
        let at = secret.and_then(|secret| all.iter().position(|one| *one == secret));
        at.map_or("none that is known".to_owned(), |at| {
            format!("no. {}", at + 1)
        })
    };
    let said = servers.iter().map(|s| {
        format!(
            "{} is configured with {} and accepts {}",
            s.host,
            number(s.surface.as_ref()),
            number(s.memory.secret())
        )
    });
    let said: Vec<String> = said.collect();
    differ(format!(
        "the servers have {} different agent tokens: {}",
        all.len(),
        said.join("; ")
    ))
}

fn nobody_answers(servers: &[ServerView]) -> Torn {
    let why = |s: &ServerView| match &s.memory {
        Memory::Silent(why) => format!("{}: {why}", s.host),
        Memory::Holds(_) | Memory::Foreign => {
            format!("{} accepts no agent token that was found", s.host)
        }
    };
    let why: Vec<String> = servers.iter().map(why).collect();
    Torn {
        name: "no-server-answers",
        what: format!(
            "no server says which agent token it accepts: {}",
            why.join("; ")
        ),
        next: "get one server to run; what keeps it from starting: keyroll doctor --hosts -i INVENTORY"
            .to_owned(),
    }
}

fn foreign(servers: &[ServerView], old: Option<&Secret>, new: &Secret) -> Result<(), Torn> {
    let is_known = |secret: &Secret| Some(secret) == old || secret == new;
    let odd = |s: &&ServerView| s.surface.as_ref().is_some_and(|secret| !is_known(secret));
    if servers.iter().any(|server| odd(&server)) {
        return Err(disagree(servers));
    }
    Ok(())
}

fn phase(server: &ServerView, new: &Secret) -> Phase {
    let memory = match server.memory.known() {
        Ok(memory) => memory,
        Err(phase) => return phase,
    };
    match (server.surface.as_ref() == Some(new), memory == new) {
        (true, true) => Phase::New,
        (true, false) => Phase::Flipped,
        (false, true) => Phase::Reverted,
        (false, false) if server.staged.as_ref() == Some(new) => Phase::Staged,
        (false, false) => Phase::Old,
    }
}

#[cfg(test)]
mod tests;
