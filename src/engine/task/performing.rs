//! Performs the operations of a proposal in their order; those that belong to the one before them on all hosts at once.

use futures::future::join_all;
use tokio::time::Instant;

use super::Visit;
use crate::engine::perform::{Performed, deadline, perform};
use crate::engine::{Shared, StopLevel};
use crate::event::{EventKind, Failure, OpOutcome};
use crate::exit::Exit;
use crate::model::{HostName, TaskKey};
use crate::op::Op;

/// Why it must be looked at again.
pub(super) enum Again {
    /// The connection was lost: what was done is not known.
    Unknown(String),
    /// A host is no longer as it was seen.
    Moved(String),
}

/// An operation with its number within the task.
struct Numbered<'a> {
    index: usize,
    op: &'a Op,
}

/// How the operations of one host ended.
struct OnHost<'a> {
    host: &'a HostName,
    begun: Instant,
    answered: Instant,
    last: (&'a Op, Performed),
}

impl Visit<'_> {
    /// Performs operations; `Some` when they must be proposed anew.
    pub(super) async fn perform_all(&mut self, ops: &[Op]) -> Result<Option<Again>, Failure> {
        let (mut rest, mut answered) = (ops, None);
        self.ended_badly = false;
        while let Some(first) = rest.first() {
            if first.at_once.is_none() && self.shared.level() >= StopLevel::FinishOps {
                return Err(stopped(rest));
            }
            let (now, later) = rest.split_at(together(rest));
            self.doing = format!("doing: {}", first.why);
            let ends = self.perform_group(now).await?;
            if let (Some(name), Some(since)) = (&first.at_once, answered) {
                self.say_window(name, since, &ends).await?;
            }
            answered = ends.iter().map(|end| end.answered).max();
            if let Some(again) = self.judge(ends).await? {
                return Ok(Some(again));
            }
            rest = later;
        }
        Ok(None)
    }

    /// Hosts go on side by side; on one host the order holds, and the first that does not end well is the last.
    async fn perform_group<'a>(&mut self, ops: &'a [Op]) -> Result<Vec<OnHost<'a>>, Failure> {
        let mut hosts: Vec<Vec<Numbered<'a>>> = Vec::new();
        for op in ops {
            let numbered = Numbered {
                index: self.index,
                op,
            };
            self.index += 1;
            let same =
                |found: &&mut Vec<Numbered<'_>>| found.first().is_some_and(|n| n.op.on == op.on);
            match hosts.iter_mut().find(same) {
                Some(found) => found.push(numbered),
                None => hosts.push(vec![numbered]),
            }
        }
        let (shared, key) = (self.shared, &self.at.key);
        let all = join_all(hosts.iter().map(|ops| on_host(shared, key, ops))).await;
        let ends: Result<Vec<Option<OnHost<'a>>>, Failure> = all.into_iter().collect();
        Ok(ends?.into_iter().flatten().collect())
    }

    async fn say_window(
        &self,
        name: &str,
        since: Instant,
        ends: &[OnHost<'_>],
    ) -> Result<(), Failure> {
        let ms = |at: Instant| {
            u64::try_from(at.saturating_duration_since(since).as_millis()).unwrap_or(u64::MAX)
        };
        let (done, open): (Vec<&OnHost<'_>>, Vec<&OnHost<'_>>) = ends
            .iter()
            .partition(|end| matches!(end.last.1, Performed::Done));
        let began = ends.iter().map(|end| ms(end.begun)).min().unwrap_or(0);
        let window = EventKind::Window {
            key: self.at.key.clone(),
            name: name.to_owned(),
            began_ms: began,
            hosts: done
                .iter()
                .map(|end| (end.host.clone(), ms(end.answered)))
                .collect(),
            open: open.iter().map(|end| end.host.clone()).collect(),
        };
        self.shared.bus.say(window).await
    }

    /// What failed counts before what is not known, and that before what must only be looked at again.
    async fn judge(&mut self, ends: Vec<OnHost<'_>>) -> Result<Option<Again>, Failure> {
        let (mut failed, mut unknown, mut moved) = (Vec::new(), Vec::new(), Vec::new());
        for end in ends {
            let is_done = matches!(end.last.1, Performed::Done);
            self.ended_badly |= !is_done && end.last.0.act.changes();
            match end.last.1 {
                Performed::Done => {}
                Performed::Failed(failure) => failed.push(failure),
                Performed::Unknown(why) => {
                    self.outlast(end.last.0, end.begun).await;
                    unknown.push(why);
                }
                Performed::Moved(what) => moved.push(what),
            }
        }
        if let Some(failure) = failed.into_iter().reduce(both) {
            return Err(failure);
        }
        let unknown = (!unknown.is_empty()).then(|| Again::Unknown(unknown.join("; ")));
        Ok(unknown.or((!moved.is_empty()).then(|| Again::Moved(moved.join("; ")))))
    }

    /// Waits until the host itself must have ended what was under way there.
    async fn outlast(&mut self, op: &Op, begun: Instant) {
        self.doing = format!("waiting for the host to end: {}", op.why);
        let left = deadline(op).saturating_sub(begun.elapsed());
        self.shared.scope.clock.sleep(left).await;
    }
}

/// How many operations at the beginning are performed at once.
fn together(ops: &[Op]) -> usize {
    let joined = ops.iter().take_while(|op| op.at_once.is_some()).count();
    joined.max(1)
}

async fn on_host<'a>(
    shared: &Shared,
    key: &TaskKey,
    ops: &[Numbered<'a>],
) -> Result<Option<OnHost<'a>>, Failure> {
    let mut ended: Option<OnHost<'a>> = None;
    for Numbered { index, op } in ops {
        let (key, index, op) = (key.clone(), *index, *op);
        let started = EventKind::OpStarted {
            key: key.clone(),
            index,
            op: op.clone(),
        };
        shared.bus.say(started).await?;
        let begun = Instant::now();
        let (end, told) = perform(shared, op).await;
        let answered = Instant::now();
        let outcome = match &end {
            Performed::Done => OpOutcome::Done,
            Performed::Failed(failure) => OpOutcome::Failed(failure.clone()),
            Performed::Unknown(why) => OpOutcome::Unknown(why.clone()),
            Performed::Moved(what) => OpOutcome::Moved(what.clone()),
        };
        let ended_now = EventKind::OpEnded {
            key: key.clone(),
            index,
            outcome,
        };
        shared.bus.say(ended_now).await?;
        if let Some(text) = told {
            let host = op.on.clone();
            shared.bus.say(EventKind::Note { key, host, text }).await?;
        }
        let goes_on = matches!(end, Performed::Done);
        ended = Some(OnHost {
            host: &op.on,
            begun: ended.map_or(begun, |before| before.begun),
            answered,
            last: (op, end),
        });
        if !goes_on {
            break;
        }
    }
    Ok(ended)
}

fn both(mut one: Failure, other: Failure) -> Failure {
    one.what.extend(other.what);
    one.next.extend(
        other
            .next
            .into_iter()
            .filter(|next| !one.next.contains(next))
            .collect::<Vec<_>>(),
    );
    one
}

/// Looked at so often, and each time it had changed again before the operation began.
pub(super) fn never_still(what: &str) -> Failure {
    Failure::task(
        format!("something changes it again and again: {what}"),
        "find what writes there, such as a configuration manager, and let it rest during the rotation; then run the same command again",
    )
}

pub(super) fn not_known(why: &str) -> Failure {
    Failure::task(
        format!("whether it was done is not known: {why}"),
        "look on the host whether it was done, then run the same command again",
    )
}

fn stopped(left: &[Op]) -> Failure {
    let mut what = vec!["stopped by the user before it was done; left to do".to_owned()];
    what.extend(left.iter().map(|op| format!("{}: {}", op.on, op.why)));
    Failure {
        what,
        next: vec!["run the same command to go on; keyroll looks first".to_owned()],
        exit: Exit::Stopped,
    }
}
