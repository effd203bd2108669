//! From what every server holds to OLD, NEW and each server's case.

use super::held::{distinct, is_finished, kept, waiting};
use super::{Memory, Phase, ServerView, Standing, Torn, Wish};
use crate::k3s::token::{is_bootstrap, pairing};
use crate::model::{HostName, HostTime};
use crate::secret::Secret;

/// Two clocks that differ by less than this cannot order two starts.
const CLEARLY_LATER: std::time::Duration = std::time::Duration::from_secs(10);

/// Says where a rotation stands. An unfinished one keeps its own NEW, whatever was given.
///
/// # Errors
/// When the servers contradict each other in a way that has no one right continuation.
pub fn judge(servers: &[ServerView], wish: Wish<'_>) -> Result<Standing, Torn> {
    let kept = kept(servers, two_old_tokens)?;
    let (datastore, rotator) = datastore(servers, kept)?;
    if let Some(rotator) = rotator
        .as_ref()
        .filter(|_| is_bootstrap(datastore.expose()))
    {
        return Err(unfit(rotator));
    }
    let (old, new) = old_and_new(servers, datastore, kept, wish)?;
    let phases = servers
        .iter()
        .map(|server| (server.host.clone(), phase(server, datastore, &new)))
        .collect();
    foreign(servers, old.as_ref(), &new)?;
    let aside = distinct(servers.iter().filter_map(|s| s.aside.as_ref())).into_iter();
    let aside = aside.filter(|secret| Some(*secret) != old.as_ref() && **secret != new);
    Ok(Standing {
        given_passed_over: wish.given.is_some_and(|given| *given != new),
        aside: aside.cloned().collect(),
        old,
        datastore: datastore.clone(),
        new,
        rotator,
        phases,
    })
}

/// K3s answers such a rotate with 500, and has taken it all the same (measured: v1.32.4-sqlite).
fn unfit(rotator: &HostName) -> Torn {
    Torn {
        name: "rotated-to-unfit",
        what: format!(
            "{rotator} was rotated to a token of the shape of a bootstrap token, with which no server starts; what the datastore has is not known"
        ),
        next: "restart no server, and rotate no more, which is known to change files alone: save what the cluster holds while it runs, then restore a snapshot of before that rotate".to_owned(),
    }
}

fn two_old_tokens() -> Torn {
    Torn {
        name: "two-old-tokens",
        what:
            "the servers keep different old tokens in server/.keyroll/old: two rotations are mixed"
                .to_owned(),
        next: "restart no server; `keyroll where -i INVENTORY` shows what each server has"
            .to_owned(),
    }
}

/// The rotator's files hold what it re-encrypted with, while every memory stays as it was (measured: sqlite-rotate).
fn datastore<'a>(
    servers: &'a [ServerView],
    kept: Option<&Secret>,
) -> Result<(&'a Secret, Option<HostName>), Torn> {
    let moved: Vec<&ServerView> = servers
        .iter()
        .filter(|server| is_moved(server, kept))
        .collect();
    // A server without a configured token is flipped by writing server/token: it bears no witness, its passwd tells it
    // from the rotator.
    let mut rotators: Vec<&ServerView> = moved
        .iter()
        .copied()
        .filter(|s| s.passwd == s.on_disk)
        .collect();
    let onwards: Vec<&Secret> = rotators.iter().filter_map(|s| s.memory.secret()).collect();
    rotators.retain(|s| !is_behind(s, &onwards));
    match distinct(rotators.iter().filter_map(|s| s.on_disk.as_ref())).as_slice() {
        [] => common_memory(servers, kept).map(|secret| (secret, None)),
        // Of several the last: what it saves overtakes what the others have written (k3s: `ReconcileBootstrapData`).
        [one] => {
            let last = rotators.iter().rev().max_by_key(|s| s.put);
            Ok((one, last.map(|s| s.host.clone())))
        }
        _ => Err(Torn {
            name: "two-rotations",
            what: format!(
                "{} were each rotated to another token",
                names(rotators.iter().map(|s| &s.host))
            ),
            next:
                "restart no server; `keyroll where -i INVENTORY` shows what each server has; the datastore has the token of the rotate that ended well: on the server of the other one rotate back to the token that it accepts, which ends with an error and puts its files right"
                    .to_owned(),
        }),
    }
}

/// Whether its files hold another token than its process. A process that does not answer has no say; then the files
/// count when they are past the token that was kept.
fn is_moved(server: &ServerView, kept: Option<&Secret>) -> bool {
    let Some(on_disk) = &server.on_disk else {
        return false;
    };
    match &server.memory {
        Memory::Holds(held) => held != on_disk,
        Memory::Silent(_) => kept.is_some_and(|kept| kept != on_disk),
        Memory::Foreign => false,
    }
}

/// Whether what a stopped server's files tell of is over: a server that runs with that token was rotated onwards.
fn is_behind(server: &ServerView, onwards: &[&Secret]) -> bool {
    let is_stopped = server.memory.secret().is_none();
    is_stopped
        && onwards
            .iter()
            .any(|held| server.on_disk.as_ref() == Some(held))
}

fn common_memory<'a>(servers: &'a [ServerView], kept: Option<&Secret>) -> Result<&'a Secret, Torn> {
    let held = distinct(servers.iter().filter_map(|s| s.memory.secret()));
    match held.as_slice() {
        [] => Err(nobody_answers(servers)),
        [one] => Ok(one),
        [old, new] | [new, old] if kept == Some(*old) && was_taken_back(servers, old, new) => {
            Err(taken_back(servers, new))
        }
        [old, new] | [new, old] if kept == Some(*old) => Ok(new),
        all => latest(servers, all).ok_or_else(|| mixed(servers)),
    }
}

/// Servers whose process has this token.
fn holders<'a>(servers: &'a [ServerView], secret: &Secret) -> impl Iterator<Item = &'a ServerView> {
    servers
        .iter()
        .filter(move |s| s.memory.secret() == Some(secret))
}

fn last_start(servers: &[ServerView], secret: &Secret) -> Option<HostTime> {
    holders(servers, secret).filter_map(|s| s.started).max()
}

/// Whether a process that holds OLD was rotated to it no earlier than the last process with NEW started: then the rotate to
/// NEW was taken back after that start, or nobody can tell.
fn was_taken_back(servers: &[ServerView], old: &Secret, new: &Secret) -> bool {
    let put = holders(servers, old)
        .filter(|s| s.passwd.as_ref() == Some(old))
        .filter_map(|s| s.put)
        .max();
    put.zip(last_start(servers, new))
        .is_some_and(|(put, start)| start.since(put) <= CLEARLY_LATER)
}

fn taken_back(servers: &[ServerView], new: &Secret) -> Torn {
    let names = names(holders(servers, new).map(|s| &s.host));
    Torn {
        name: "taken-back-beside",
        what: format!(
            "a rotation was taken back while {names} had started with its token, and still runs with it"
        ),
        next: format!(
            "on {names}: see that the configuration has the token that the other servers accept (`keyroll where -i INVENTORY` compares them), then restart K3s there by hand, one server at a time; then run the same command again"
        ),
    }
}

/// A server starts only with the datastore's token, so the last to start holds it.
fn latest<'a>(servers: &[ServerView], all: &[&'a Secret]) -> Option<&'a Secret> {
    let starts = all
        .iter()
        .map(|secret| Some((last_start(servers, secret)?, *secret)));
    let mut starts = starts.collect::<Option<Vec<(HostTime, &Secret)>>>()?;
    starts.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    let [(last, secret), (before, _), ..] = starts.as_slice() else {
        return None;
    };
    (last.since(*before) > CLEARLY_LATER).then_some(*secret)
}

fn nobody_answers(servers: &[ServerView]) -> Torn {
    let why = |s: &ServerView| match &s.memory {
        Memory::Silent(why) => format!("{}: {why}", s.host),
        Memory::Foreign => format!("{}: accepts none of the tokens found on any server", s.host),
        Memory::Holds(_) => format!("{}: answers", s.host),
    };
    let starting = servers.iter().find(|server| server.is_starting);
    let first = starting.or(servers.first());
    let first = first.map_or("HOST", |server| server.host.as_str());
    Torn {
        name: "no-server-answers",
        what: format!(
            "no server accepts any token that was found ({})",
            servers.iter().map(why).collect::<Vec<_>>().join("; ")
        ),
        next: if servers.iter().all(|s| s.memory == Memory::Foreign) {
            "restart no server; keyroll doctor -i INVENTORY --hosts says more of them; where somebody has rotated by hand, say with --old-token-from file:PATH which token they were started with".to_owned()
        } else if starting.is_some() {
            format!(
                "restart no server; wait until {first} is up or has failed, then run the same command again; when its start goes on for minutes: keyroll doctor --hosts -i INVENTORY says why"
            )
        } else {
            format!(
                "restart no server; first: keyroll rescue {first} -i INVENTORY; then run the same command again"
            )
        },
    }
}

fn mixed(servers: &[ServerView]) -> Torn {
    Torn {
        name: "memories-differ",
        what: format!(
            "{} accept different tokens, and nothing tells which is the later",
            names(servers.iter().map(|s| &s.host))
        ),
        next: "restart no server; `keyroll where -i INVENTORY` shows what each server accepts"
            .to_owned(),
    }
}

fn old_and_new(
    servers: &[ServerView],
    datastore: &Secret,
    kept: Option<&Secret>,
    wish: Wish<'_>,
) -> Result<(Option<Secret>, Secret), Torn> {
    let other_memory = servers
        .iter()
        .filter_map(|s| s.memory.secret())
        .find(|held| *held != datastore);
    let past = kept.filter(|kept| *kept != datastore).or(other_memory);
    if let Some(old) = past {
        return Ok((Some(old.clone()), datastore.clone()));
    }
    let ahead = distinct(
        servers
            .iter()
            .filter_map(|s| s.surface.as_ref())
            .filter(|s| *s != datastore),
    );
    match ahead.as_slice() {
        [] if wish.given == Some(datastore) || is_finished(servers, datastore, wish) => {
            Ok((None, datastore.clone()))
        }
        [] if wish.proof_only && kept != Some(datastore) => Ok((None, datastore.clone())),
        [] => {
            let new = waiting(servers, datastore, wish);
            Ok((Some(datastore.clone()), new.clone()))
        }
        [one] if kept == Some(datastore) || wish.given == Some(*one) => {
            Ok((Some(datastore.clone()), (*one).clone()))
        }
        _ => Err(surface_differs(servers, datastore)),
    }
}

fn surface_differs(servers: &[ServerView], datastore: &Secret) -> Torn {
    let odd = |s: &&ServerView| s.surface.as_ref().is_some_and(|secret| secret != datastore);
    // One that a proven rotation has taken out of use is no token to go on with.
    let configured = servers
        .iter()
        .filter(odd)
        .filter_map(|s| s.surface.as_ref());
    let pairs: Vec<String> = configured.map(|it| pairing(it, datastore)).collect();
    let mut marks = servers
        .iter()
        .filter_map(|s| s.proven.as_ref()?.pairing.as_ref());
    let is_dead = marks.any(|mark| pairs.contains(mark));
    Torn {
        name: "surface-differs",
        what: format!(
            "the configured token of {} is not the one that the cluster runs with: the next restart there would be fatal",
            names(servers.iter().filter(odd).map(|s| &s.host))
        ),
        next: format!(
            "put the cluster's token back: {}{}",
            rescue(servers.iter().filter(odd)),
            if is_dead {
                ""
            } else {
                "; or rotate to the configured one: keyroll run @rotate-token -i INVENTORY, with it from --new-token-from"
            }
        ),
    }
}

/// The commands that put the datastore's token back on these servers.
fn rescue<'a>(servers: impl Iterator<Item = &'a ServerView>) -> String {
    let commands = servers.map(|server| format!("keyroll rescue {} -i INVENTORY", server.host));
    commands.collect::<Vec<_>>().join(" && ")
}

fn foreign(servers: &[ServerView], old: Option<&Secret>, new: &Secret) -> Result<(), Torn> {
    let odd = |s: &&ServerView| {
        s.surface
            .as_ref()
            .is_some_and(|secret| Some(secret) != old && secret != new)
    };
    let odd: Vec<&ServerView> = servers.iter().filter(odd).collect();
    if odd.is_empty() {
        return Ok(());
    }
    let back = rescue(odd.iter().copied());
    Err(Torn {
        name: "foreign-surface",
        what: format!(
            "{} would start with a token that is neither the old nor the new one",
            names(odd.iter().map(|server| &server.host))
        ),
        next: format!("put the cluster's token there: {back}; then run the same command again"),
    })
}

fn phase(server: &ServerView, datastore: &Secret, new: &Secret) -> Phase {
    let memory = match server.memory.known() {
        Ok(memory) => memory,
        Err(phase) => return phase,
    };
    let surface = server.surface.as_ref() == Some(new);
    match (surface, memory == new, datastore == new) {
        (false, false, false) if server.staged.as_ref() == Some(new) => Phase::Staged,
        (false, false, false) => Phase::Old,
        (false, false, true) => Phase::Rotated,
        (true, false, true) => Phase::Flipped,
        (true, true, _) => Phase::New,
        (true, false, false) => Phase::Ahead,
        (false, true, _) => Phase::Reverted,
    }
}

/// `a, b and c`.
#[must_use]
pub fn names<'a>(hosts: impl Iterator<Item = &'a HostName>) -> String {
    let hosts: Vec<String> = hosts.map(ToString::to_string).collect();
    match hosts.as_slice() {
        [] => "no host".to_owned(),
        [one] => one.clone(),
        [first @ .., last] if first.len() < 10 => format!("{} and {last}", first.join(", ")),
        first => format!(
            "{} and {} more",
            first.iter().take(8).cloned().collect::<Vec<_>>().join(", "),
            hosts.len() - 8
        ),
    }
}

#[cfg(test)]
mod tests;
