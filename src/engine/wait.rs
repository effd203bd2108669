//! Bounded waits: looks until something holds, the time is over, or the user wants to leave.

use std::time::Duration;

use super::perform::Performed;
use super::{Shared, StopLevel, failure, look};
use crate::event::Failure;
use crate::exit::Exit;
use crate::facts::FactError;
use crate::k3s::knock::Heard;
use crate::model::HostName;
use crate::op::{Op, Until, Wait};
use crate::wire::TransportError;

/// After so many starts that were refused for their token another one would be, too.
const REFUSED: u64 = 3;

/// What one look of a wait found.
enum Seen {
    Holds,
    NotYet(String),
    Never(String),
}

/// Waits for one operation's condition.
pub(super) async fn until(shared: &Shared, op: &Op, wait: &Wait) -> Performed {
    let begun = tokio::time::Instant::now();
    let mut first = None;
    let clock = &shared.scope.clock;
    let deadline = clock
        .now()
        .saturating_add(jiff::SignedDuration::try_from(wait.timeout).unwrap_or_default());
    let deadline = deadline.unwrap_or(jiff::Timestamp::MAX);
    let (mut last, mut exit);
    loop {
        exit = Exit::TaskFailed;
        match look_once(shared, op, &wait.until, &mut first).await {
            Ok(Seen::Holds) => return Performed::Done,
            Ok(Seen::Never(why)) => return Performed::Failed(ran_out(shared, op, wait, why).await),
            Ok(Seen::NotYet(why)) => last = why,
            Err(FactError::Transport(
                error @ (TransportError::Denied { .. } | TransportError::Unmodelled { .. }),
            )) => {
                return Performed::Failed(failure::of_transport(&error));
            }
            Err(error) => {
                if let FactError::Transport(error) = &error {
                    exit = failure::of_transport(error).exit;
                }
                last = error.to_string();
            }
        }
        if clock.now() >= deadline {
            let why = format!("{last} after {:?}", wait.timeout);
            let failure = ran_out(shared, op, wait, why).await;
            return Performed::Failed(Failure { exit, ..failure });
        }
        if !pause(shared, op, wait.interval).await {
            return Performed::Failed(cut(&last, begun.elapsed()));
        }
    }
}

/// Waits for the next look; false when the user wants operations to end. What belongs to the operation before it is
/// waited for all the same, since something must follow at once.
async fn pause(shared: &Shared, op: &Op, interval: Duration) -> bool {
    let mut stop = shared.stop.clone();
    let end = if op.at_once.is_some() {
        StopLevel::Abandon
    } else {
        StopLevel::FinishOps
    };
    let leaving = async {
        // An error means that nobody can ask to stop any more: then the sleep alone decides.
        if stop.wait_for(|level| *level >= end).await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        biased;
        () = leaving => false,
        () = shared.scope.clock.sleep(interval) => true,
    }
}

/// `first` is what the first look of a wait counted: restarts, or the revision that is to be reached.
async fn look_once(
    shared: &Shared,
    op: &Op,
    until: &Until,
    first: &mut Option<u64>,
) -> Result<Seen, FactError> {
    match until {
        Until::Restarted { unit, before } => restarted(shared, &op.on, (unit, before), first).await,
        Until::Accepts(knock) => {
            Ok(
                match look::knock(&shared.scope, &op.on, knock.clone()).await? {
                    Heard::Accepted => Seen::Holds,
                    // Start windows answer 401 too, so it is no end yet.
                    Heard::Rejected => {
                        Seen::NotYet("the supervisor rejects the secret (401)".to_owned())
                    }
                    Heard::WrongRole => {
                        Seen::Never("the secret is right, the role is not (403)".to_owned())
                    }
                    Heard::NotYet(said) | Heard::Odd(said) => {
                        Seen::NotYet(format!("the supervisor says: {said}"))
                    }
                },
            )
        }
        Until::CaughtUp { with } => {
            let goal = match *first {
                Some(goal) => goal,
                None => *first.insert(look::revision(&shared.scope, with).await?),
            };
            let revision = look::revision(&shared.scope, &op.on).await?;
            Ok(if revision >= goal {
                Seen::Holds
            } else {
                Seen::NotYet(format!(
                    "etcd is at revision {revision}, {with} was at {goal}"
                ))
            })
        }
    }
}

async fn restarted(
    shared: &Shared,
    host: &HostName,
    (unit, before): (&str, &str),
    first: &mut Option<u64>,
) -> Result<Seen, FactError> {
    let state = look::unit(&shared.scope, host, unit).await?;
    // A start by hand counts from zero.
    let least = first.map_or(state.n_restarts, |first| first.min(state.n_restarts));
    let again = state.n_restarts.saturating_sub(least);
    *first = Some(least);
    Ok(if state.is_active() && state.invocation != before {
        Seen::Holds
    } else if state.active_state == "failed" && state.invocation != before {
        Seen::Never(format!("{unit} is {}", state.words()))
    } else if again >= REFUSED && look::is_refused(&shared.scope, host, &state.invocation).await {
        Seen::Never(format!(
            "{unit} is {}, and its starts are refused for their token",
            state.words()
        ))
    } else {
        Seen::NotYet(format!("{unit} is {}", state.words()))
    })
}

/// The failure of a wait that found no end, with the unit's own last words when it was for a unit.
async fn ran_out(shared: &Shared, op: &Op, wait: &Wait, why: String) -> Failure {
    let mut what = vec![format!("{}: {why}", op.why)];
    let mut next = "see why on the host, then run the same command again".to_owned();
    if let Until::Restarted { unit, .. } = &wait.until {
        match look::journal(&shared.scope, &op.on, unit).await {
            Ok(lines) => what.extend(failure::tail(&lines.join("\n"))),
            Err(error) => what.push(format!("its journal could not be read: {error}")),
        }
        next = format!(
            "see `journalctl -u {unit}` on {}, then run the same command again",
            op.on
        );
    }
    Failure {
        what,
        next: vec![next],
        exit: Exit::TaskFailed,
    }
}

fn cut(last: &str, after: Duration) -> Failure {
    Failure {
        what: vec![format!(
            "stopped by the user after waiting for {}s: {last}",
            after.as_secs()
        )],
        next: vec!["run the same command to go on; keyroll looks first".to_owned()],
        exit: Exit::Stopped,
    }
}
