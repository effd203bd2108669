//! Which token the datastore is encrypted with, told by what servers hold and what it has answered.

use super::names;
use crate::k3s::phase::held::distinct;
use crate::k3s::phase::{Memory, ServerView, Torn};
use crate::k3s::token;
use crate::model::{HostName, HostTime};
use crate::secret::Secret;

/// The name of two rotates that do not go together.
pub const TWO: &str = "two-rotations";

/// The name of a rotate that was taken back while a server had started with its token.
pub const BESIDE: &str = "taken-back-beside";

/// Two clocks that differ by less than this cannot order two starts.
pub const CLEARLY_LATER: std::time::Duration = std::time::Duration::from_secs(10);

/// What the datastore has.
pub(super) struct Datastore<'a> {
    pub(super) secret: &'a Secret,
    /// The server that was rotated to it last, while that can be seen.
    pub(super) rotator: Option<HostName>,
    /// Whether the datastore itself has answered that it has it.
    pub(super) is_told: bool,
}

/// The rotator's files hold what it re-encrypted with, while every memory stays as it was (measured: sqlite-rotate).
pub(super) fn datastore<'a>(
    servers: &'a [ServerView],
    kept: Option<&Secret>,
) -> Result<Datastore<'a>, Torn> {
    let rotators = servers.iter().filter(|server| is_rotated(server, kept));
    let mut rotators: Vec<&ServerView> = rotators.collect();
    let onwards = rotators.clone();
    rotators.retain(|s| !is_behind(s, &onwards));
    // Of several the last: what it saves overtakes what the others have written (k3s: `ReconcileBootstrapData`).
    let last = |rotators: &[&ServerView], secret: &Secret| {
        let all = rotators.iter().rev();
        let all = all.filter(|s| s.on_disk.as_ref() == Some(secret));
        all.max_by_key(|s| s.put).map(|s| s.host.clone())
    };
    if let Some(secret) = told(servers) {
        return Ok(Datastore {
            secret,
            rotator: last(&rotators, secret),
            is_told: true,
        });
    }
    rotators.retain(|s| !has_failed(servers, s));
    if let Some(rival) = rival(servers, &rotators, kept) {
        return Err(rival);
    }
    let (secret, rotator) =
        match distinct(rotators.iter().filter_map(|s| s.on_disk.as_ref())).as_slice() {
            [] => common_memory(servers, kept).map(|secret| (secret, None)),
            [one] => Ok((*one, last(&rotators, one))),
            _ => Err(two_rotations(servers, &rotators)),
        }?;
    Ok(Datastore {
        secret,
        rotator,
        is_told: false,
    })
}

fn two_rotations(servers: &[ServerView], rotators: &[&ServerView]) -> Torn {
    Torn {
        name: TWO,
        what: format!(
            "{} were each rotated to another token, and only one of these rotates can have ended well",
            names(rotators.iter().map(|s| &s.host))
        ),
        next: asks(servers, rotators),
    }
}

/// The datastore is asked by a rescue which token it has: by that of a server which is down, where one is.
fn asks(servers: &[ServerView], rotators: &[&ServerView]) -> String {
    let mut all = rotators.iter().copied().chain(servers);
    let down = all.clone().find(|s| matches!(s.memory, Memory::Silent(_)));
    let host = down.or(all.next()).map_or("HOST", |s| s.host.as_str());
    format!(
        "restart no server; keyroll rescue {host} -i INVENTORY asks the datastore which token it has; then run the same command again"
    )
}

/// What the datastore was last told that it has, and answered well, unless anything may have come later.
fn told(servers: &[ServerView]) -> Option<&Secret> {
    let told = servers.iter().filter_map(|s| s.told.zip(s.passwd.as_ref()));
    let (at, told) = told.max_by_key(|(at, _)| *at)?;
    let is_earlier = |time: Option<HostTime>| time.is_some_and(|time| time <= at);
    let started_with_it =
        |s: &ServerView| s.memory.secret().is_none_or(|held| held == told) || is_earlier(s.started);
    let has_it = |s: &ServerView| s.on_disk.as_ref() == Some(told);
    // Of one that does not run only its files tell.
    let was_put = |s: &ServerView| match s.memory {
        Memory::Silent(_) => s.on_disk != s.passwd || is_earlier(s.written),
        _ => s.put.is_none_or(|put| put <= at) && !is_rotated(s, None),
    };
    let is_later =
        |s: &ServerView| started_with_it(s) && (has_it(s) || was_put(s) || is_earlier(s.put));
    servers.iter().all(is_later).then_some(told)
}

/// Whether the rotate here is known to have failed: the datastore did not have its token afterwards, or a process has started
/// with another one.
fn has_failed(servers: &[ServerView], rotator: &ServerView) -> bool {
    let (Some(put), Some(on_disk)) = (rotator.put, &rotator.on_disk) else {
        return false;
    };
    let mut started = servers
        .iter()
        .filter(|s| s.memory.secret().is_some_and(|held| held != on_disk));
    // Somebody runs with it: then it is the clocks that differ.
    if holders(servers, on_disk).next().is_some() {
        return false;
    }
    is_denied(servers, on_disk, put)
        || started.any(|s| s.started.is_some_and(|at| at.since(put) > CLEARLY_LATER))
}

/// Whether the datastore did not have this token at a time after that.
fn is_denied(servers: &[ServerView], secret: &Secret, after: HostTime) -> bool {
    let mut denied = servers.iter().filter_map(|s| s.denied.as_ref());
    denied.any(|(tag, at)| *at >= after && *tag == token::tag(secret))
}

/// Another rotate than the one whose files are seen: of a server that has started with a third token before it, or of one that
/// does not run.
fn rival(servers: &[ServerView], rotators: &[&ServerView], kept: Option<&Secret>) -> Option<Torn> {
    let rotator = rotators.first().filter(|s| s.told.is_none())?;
    let known = [rotator.on_disk.as_ref(), rotator.memory.secret(), kept];
    let is_third = |secret: &Secret| !known.contains(&Some(secret));
    let runs_with_third = |s: &ServerView| {
        let held = s.memory.secret();
        let later = s.started.zip(rotator.started);
        held.is_some_and(|held| {
            is_third(held) && !s.started.is_some_and(|at| is_denied(servers, held, at))
        }) && later.is_some_and(|(at, own)| at.since(own) > CLEARLY_LATER)
    };
    let was_put = |s: &ServerView| {
        // One that was down before the rotator started has nothing to do with its rotate.
        let both = s.written.zip(rotator.started);
        let is_later = both.is_none_or(|(written, started)| written > started);
        let on_disk = s
            .on_disk
            .as_ref()
            .filter(|_| s.on_disk == s.passwd && is_later);
        let is_running = |secret: &Secret| holders(servers, secret).next().is_some();
        matches!(s.memory, Memory::Silent(_))
            && on_disk.is_some_and(|secret| is_third(secret) && !is_running(secret))
    };
    let rival = servers.iter().find(|s| runs_with_third(s) || was_put(s))?;
    Some(two_rotations(servers, &[rotator, rival]))
}

/// Whether a rotate was sent there that its process has not taken. A server without a configured token is flipped by writing
/// server/token: it bears no witness, its passwd tells it from the rotator.
/// A process that does not answer has no say; then the files count when they are past the token that was kept.
fn is_rotated(server: &ServerView, kept: Option<&Secret>) -> bool {
    let on_disk = server.on_disk.as_ref();
    // Somebody has removed the passwd of one that has a token configured: then only a rotate explains its own file.
    let is_alone = |it: &Secret| {
        let held = server.memory.secret().is_some();
        held && server.passwd.is_none() && server.surface.as_ref().is_some_and(|own| own != it)
    };
    let Some(on_disk) = on_disk.filter(|it| server.passwd.as_ref() == Some(it) || is_alone(it))
    else {
        return false;
    };
    match &server.memory {
        Memory::Holds(held) => held != on_disk,
        Memory::Silent(_) => kept.is_some_and(|kept| kept != on_disk),
        Memory::Foreign => false,
    }
}

/// Whether what a server's files tell of is over: one that runs with that token was rotated onwards; where both run, later.
fn is_behind(server: &ServerView, rotators: &[&ServerView]) -> bool {
    let is_stopped = server.memory.secret().is_none();
    let is_earlier =
        |other: &ServerView| is_stopped || server.put.is_some() && server.put < other.put;
    let runs_with_it = |other: &ServerView| {
        let held = other.memory.secret();
        held.is_some() && held == server.on_disk.as_ref()
    };
    rotators.iter().any(|it| runs_with_it(it) && is_earlier(it))
}

fn common_memory<'a>(servers: &'a [ServerView], kept: Option<&Secret>) -> Result<&'a Secret, Torn> {
    let mut held = distinct(servers.iter().filter_map(|s| s.memory.secret()));
    let is_past = |secret: &Secret| {
        last_start(servers, secret).is_some_and(|start| is_denied(servers, secret, start))
    };
    if held.len() > 1 {
        held.retain(|secret| !is_past(secret));
    }
    match held.as_slice() {
        [] => Err(nobody_answers(servers)),
        [one] => Ok(one),
        all => {
            // OLD as it was kept tells where the starts do not.
            let other = || match all {
                [one, other] | [other, one] if kept == Some(*one) => Some(*other),
                _ => None,
            };
            let new = latest(servers, all).or_else(other);
            let new = new.ok_or_else(|| mixed(servers))?;
            let mut olds = all.iter().filter(|secret| **secret != new);
            match olds.find_map(|old| taken_back(servers, old, new)) {
                Some(torn) => Err(torn),
                None => Ok(new),
            }
        }
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

/// A process that holds OLD was rotated to it no earlier than the last process with NEW started: the rotate to NEW was taken
/// back after that start, or that has failed, or nobody can tell.
fn taken_back(servers: &[ServerView], old: &Secret, new: &Secret) -> Option<Torn> {
    let put = holders(servers, old).filter(|s| s.passwd.as_ref() == Some(old));
    let put = put.filter_map(|s| Some((s.put?, s)));
    let put = put.max_by_key(|(put, _)| *put);
    let ((put, rotator), start) = put.zip(last_start(servers, new))?;
    (start.since(put) <= CLEARLY_LATER).then(|| Torn {
        name: BESIDE,
        what: format!(
            "{} was rotated back to the token that it runs with, while {} had started with another one and still runs with it: which one the datastore has is not known",
            rotator.host,
            names(holders(servers, new).map(|s| &s.host))
        ),
        next: asks(servers, &[rotator]),
    })
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

#[cfg(test)]
mod tests;
