//! From what every server holds to OLD, NEW and each server's case.

mod datastore;

pub use datastore::{BESIDE, CLEARLY_LATER, TWO};

use super::held::{distinct, is_finished, kept, waiting};
use super::{Phase, ServerView, Standing, Torn, Wish};
use crate::k3s::token::{is_bootstrap, pairing};
use crate::model::HostName;
use crate::secret::Secret;
use datastore::{Datastore, datastore};

/// Says where a rotation stands. An unfinished one keeps its own NEW, whatever was given.
///
/// # Errors
/// When the servers contradict each other in a way that has no one right continuation.
pub fn judge(servers: &[ServerView], wish: Wish<'_>) -> Result<Standing, Torn> {
    let kept = kept(servers, two_old_tokens)?;
    let Datastore {
        secret: datastore,
        rotator,
        is_told,
    } = datastore(servers, kept)?;
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
    let is_back = kept == Some(datastore) && new == *datastore;
    Ok(Standing {
        is_told,
        given_passed_over: wish.given.is_some_and(|given| *given != new),
        is_back: is_back && old.is_some(),
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
            rescues(servers.iter().filter(odd).map(|s| &s.host)),
            if is_dead {
                ""
            } else {
                "; or rotate to the configured one: keyroll run @rotate-token -i INVENTORY, with it from --new-token-from"
            }
        ),
    }
}

/// The commands that put the datastore's token back on these servers.
#[must_use]
pub fn rescues<'a>(servers: impl Iterator<Item = &'a HostName>) -> String {
    let commands = servers.map(|server| format!("keyroll rescue {server} -i INVENTORY"));
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
    let back = rescues(odd.iter().map(|server| &server.host));
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
