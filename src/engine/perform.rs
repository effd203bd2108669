//! Carries out operations: the only place that changes a host.

use std::time::Duration;

use super::{Shared, custody, failure, wait};
use crate::event::Failure;
use crate::op::{Act, Op};
use crate::wire::{Batch, CHANGE, Response, TransportError};

/// What the host needs to kill a command at its deadline, and the network to say so.
const GRACE: Duration = Duration::from_secs(10);

/// How often a change is sent that was never started.
const SENDINGS: u32 = 3;

/// How an operation ended.
pub(super) enum Performed {
    /// As it should.
    Done,
    /// The host said no, or a wait ran out.
    Failed(Failure),
    /// The connection was lost: look, never repeat blindly.
    Unknown(String),
    /// The host is no longer as it was seen, and nothing was done: look again.
    Moved(String),
}

/// After this time the operation has ended on the host, whatever became of the connection.
pub(super) fn deadline(op: &Op) -> Duration {
    let work = match &op.act {
        Act::Run { command, .. } | Act::Tell(command) => command.timeout + GRACE,
        Act::WriteFile(_) | Act::Rename { .. } | Act::Remove { .. } if op.reload => CHANGE * 2,
        Act::WriteFile(_) | Act::Rename { .. } | Act::Remove { .. } => CHANGE,
        Act::Wait(wait) => wait.timeout,
        // Nothing is under way on the host once it has ended here.
        Act::Keep(_) | Act::Fetch(_) => Duration::ZERO,
    };
    if op.guards.is_empty() {
        work
    } else {
        work + GRACE
    }
}

/// Carries out one operation, and says what people should read of it. Its line must be on disk before.
pub(super) async fn perform(shared: &Shared, op: &Op) -> (Performed, Option<String>) {
    match &op.act {
        Act::Wait(wait) => return (wait::until(shared, op, wait).await, None),
        Act::Keep(deposit) => return custody::keep(shared, deposit).await,
        Act::Fetch(parcel) => return custody::fetch(shared, op, parcel).await,
        _ => {}
    }
    let batch = Batch {
        r#become: op.r#become.clone(),
        requests: op.sent(),
    };
    let answer = send(shared, op, &batch).await;
    shared.scope.changed(&op.on);
    let performed = match answer {
        Ok(responses) => return (judge(op, responses.last()), told(op, responses.last())),
        Err(error @ TransportError::Unknown { .. }) => Performed::Unknown(error.to_string()),
        Err(error) => Performed::Failed(failure::of_transport(&error)),
    };
    (performed, None)
}

/// Sends a change; sends it again only when nothing of it was started.
async fn send(shared: &Shared, op: &Op, batch: &Batch) -> Result<Vec<Response>, TransportError> {
    let clock = &shared.scope.clock;
    let mut pause = Duration::from_secs(1);
    for _ in 1..SENDINGS {
        match shared.scope.transport.exec(&op.on, batch).await {
            Err(TransportError::NotStarted { .. }) => clock.sleep(pause).await,
            answer => return answer,
        }
        pause *= 3;
    }
    shared.scope.transport.exec(&op.on, batch).await
}

fn judge(op: &Op, response: Option<&Response>) -> Performed {
    match response {
        Some(Response::Moved(what)) => Performed::Moved(format!("{}: {what}", op.on)),
        Some(Response::Done) => Performed::Done,
        Some(Response::Ran(ran)) if ran.status == 0 && !ran.timed_out => Performed::Done,
        Some(Response::Ran(ran) | Response::Failed(ran)) => {
            Performed::Failed(failure::of_ran(&doing(op), ran))
        }
        _ => Performed::Unknown(format!(
            "{}: the answer to `{}` does not fit it",
            op.on, op.why
        )),
    }
}

/// What people should read of a command's output.
fn told(op: &Op, response: Option<&Response>) -> Option<String> {
    let (Act::Tell(_), Some(Response::Ran(ran))) = (&op.act, response) else {
        return None;
    };
    if ran.status != 0 {
        return None;
    }
    let text = ran.stdout.text();
    text.trim().lines().next_back().map(str::to_owned)
}

/// What an operation does, for people.
fn doing(op: &Op) -> String {
    match &op.act {
        Act::Run { command, .. } | Act::Tell(command) => format!("`{}`", command.argv.join(" ")),
        Act::WriteFile(file) => format!("writing {}", file.path),
        Act::Rename { from, to } => format!("renaming {from} to {to}"),
        Act::Remove { path } => format!("removing {path}"),
        Act::Keep(_) | Act::Fetch(_) | Act::Wait(_) => op.why.clone(),
    }
}
