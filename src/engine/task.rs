//! One task on one host: when → propose → perform → propose again, which must find nothing left to do.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::perform::{Performed, deadline, perform};
use super::{Shared, StopLevel, condition, failure};
use crate::event::{EventKind, Failure, OpOutcome, TaskOutcome};
use crate::exit::Exit;
use crate::facts::probe::Overlay;
use crate::facts::{FactError, Probe};
use crate::model::{HostName, TaskKey};
use crate::op::Op;
use crate::playbook::Task;
use crate::steps::{Proposal, StepError};
use crate::template::Vars;
use crate::wire::Become;

/// How long a task may take when the playbook does not say.
const DEADLINE: Duration = Duration::from_mins(15);

/// How often a lost connection during an operation is looked at again.
const UNKNOWNS: usize = 3;

/// Which task, where.
pub(super) struct Assignment {
    pub(super) key: TaskKey,
    pub(super) host: HostName,
    pub(super) task: Task,
    pub(super) r#become: Become,
    pub(super) vars: Vars,
    /// What earlier tasks of a dry run would have left.
    pub(super) overlay: Overlay,
}

/// How a task ended, and in a dry run what it would have done.
pub(super) struct Done {
    pub(super) outcome: TaskOutcome,
    pub(super) predicted: Vec<Op>,
}

impl Done {
    pub(super) fn failed(failure: Failure) -> Self {
        Self {
            outcome: TaskOutcome::Failed(failure),
            predicted: Vec::new(),
        }
    }
}

/// Runs a task within its deadline.
pub(super) async fn run(shared: Arc<Shared>, assignment: Assignment) -> Done {
    let mut visit = Visit {
        shared: &shared,
        at: &assignment,
        doing: "looking".to_owned(),
        noted: HashSet::new(),
        index: 0,
    };
    let limit = assignment.task.timeout.unwrap_or(DEADLINE);
    match shared.scope.clock.within(limit, visit.go()).await {
        Some(Ok(done)) => done,
        Some(Err(failure)) => Done::failed(failure),
        None => Done::failed(Failure::task(
            format!("took longer than {limit:?}; it was {}", visit.doing),
            "what was under way may have been done: run the same command again, keyroll looks first",
        )),
    }
}

struct Visit<'a> {
    shared: &'a Shared,
    at: &'a Assignment,
    doing: String,
    noted: HashSet<String>,
    index: usize,
}

impl Visit<'_> {
    async fn go(&mut self) -> Result<Done, Failure> {
        let applies = condition::holds(&self.at.task.when, &self.at.vars).map_err(|why| {
            Failure::task(
                why,
                "correct the condition, then run the same command again",
            )
        })?;
        if !applies {
            return Ok(Done {
                outcome: TaskOutcome::NotApplicable,
                predicted: Vec::new(),
            });
        }
        if self.shared.check {
            self.check().await
        } else {
            let outcome = self.converge().await?;
            Ok(Done {
                outcome,
                predicted: Vec::new(),
            })
        }
    }

    /// `again` is the look after all was performed: what it has to say was said by the first.
    async fn look(&mut self, again: bool) -> Result<Result<Proposal, StepError>, Failure> {
        "looking".clone_into(&mut self.doing);
        let at = self.at;
        let probe = Probe::new(
            &at.host,
            &at.r#become,
            &at.vars,
            &self.shared.scope,
            &at.overlay,
        );
        let proposal = at.task.step.propose(&probe).await;
        if let Ok(proposal) = &proposal {
            for text in &proposal.notes {
                if !again && self.noted.insert(text.clone()) {
                    let (key, host, text) = (at.key.clone(), at.host.clone(), text.clone());
                    self.shared
                        .bus
                        .say(EventKind::Note { key, host, text })
                        .await?;
                }
            }
        }
        Ok(proposal)
    }

    /// A dry run: says what would be done, and what cannot be known before it is done.
    async fn check(&mut self) -> Result<Done, Failure> {
        let proposal = match self.look(false).await? {
            Err(StepError::Fact(error @ FactError::Unreadable { .. }))
                if !self.at.overlay.is_empty() =>
            {
                return self.propose(Vec::new(), vec![error.to_string()]).await;
            }
            looked => looked.map_err(|error| failure::of_step(&error))?,
        };
        if !proposal.unmet.is_empty() && self.at.overlay.is_empty() {
            return Err(failure::of_unmet(&proposal.unmet));
        }
        let not_known = proposal.unmet.into_iter().map(|unmet| unmet.what).collect();
        self.propose(proposal.ops, not_known).await
    }

    async fn propose(&self, ops: Vec<Op>, not_known: Vec<String>) -> Result<Done, Failure> {
        let outcome = if ops.is_empty() {
            TaskOutcome::Satisfied
        } else {
            TaskOutcome::Changed
        };
        if !ops.is_empty() || !not_known.is_empty() {
            let (key, host) = (self.at.key.clone(), self.at.host.clone());
            let ops = ops.clone();
            self.shared
                .bus
                .say(EventKind::Proposed {
                    key,
                    host,
                    ops,
                    not_known,
                })
                .await?;
        }
        Ok(Done {
            outcome,
            predicted: ops,
        })
    }

    /// Performs until nothing is left to do. Each round but the first follows a lost connection or looks that the
    /// round before has done all of it.
    async fn converge(&mut self) -> Result<TaskOutcome, Failure> {
        let (mut performed, mut touched, mut unknowns) = (false, false, 0);
        loop {
            let proposal = self
                .look(performed)
                .await?
                .map_err(|error| failure::of_step(&error))?;
            if !proposal.unmet.is_empty() {
                return Err(failure::of_unmet(&proposal.unmet));
            }
            if proposal.ops.is_empty() {
                return Ok(if touched {
                    TaskOutcome::Changed
                } else {
                    TaskOutcome::Satisfied
                });
            }
            if performed {
                return Err(not_converged(&proposal.ops));
            }
            touched = true;
            let Some(why) = self.perform_all(&proposal.ops).await? else {
                performed = true;
                if self.at.task.step.is_one_way() {
                    return Ok(TaskOutcome::Changed);
                }
                continue;
            };
            unknowns += 1;
            if unknowns > UNKNOWNS || self.at.task.step.is_one_way() {
                return Err(not_known(&why));
            }
        }
    }

    /// Performs operations one by one; `Some` with the reason when the connection was lost in one.
    async fn perform_all(&mut self, ops: &[Op]) -> Result<Option<String>, Failure> {
        for (done, op) in ops.iter().enumerate() {
            if self.shared.level() >= StopLevel::FinishOps {
                return Err(stopped(ops.get(done..).unwrap_or_default()));
            }
            self.doing = format!("doing: {}", op.why);
            let (key, index) = (self.at.key.clone(), self.index);
            self.index += 1;
            let started = EventKind::OpStarted {
                key: key.clone(),
                index,
                op: op.clone(),
            };
            self.shared.bus.say(started).await?;
            let begun = tokio::time::Instant::now();
            let end = perform(self.shared, op).await;
            let outcome = match &end {
                Performed::Done => OpOutcome::Done,
                Performed::Failed(failure) => OpOutcome::Failed(failure.clone()),
                Performed::Unknown(why) => OpOutcome::Unknown(why.clone()),
            };
            self.shared
                .bus
                .say(EventKind::OpEnded {
                    key,
                    index,
                    outcome,
                })
                .await?;
            match end {
                Performed::Done => {}
                Performed::Failed(failure) => return Err(failure),
                Performed::Unknown(why) => {
                    self.outlast(op, begun).await;
                    return Ok(Some(why));
                }
            }
        }
        Ok(None)
    }

    /// Waits until the host itself must have ended what was under way there.
    async fn outlast(&mut self, op: &Op, begun: tokio::time::Instant) {
        self.doing = format!("waiting for the host to end: {}", op.why);
        let left = deadline(op).saturating_sub(begun.elapsed());
        self.shared.scope.clock.sleep(left).await;
    }
}

fn not_converged(left: &[Op]) -> Failure {
    let mut what =
        vec!["not converged: all of it was performed, and this is still left to do".to_owned()];
    what.extend(left.iter().map(|op| format!("{}: {}", op.on, op.why)));
    Failure {
        what,
        next: vec![
            "find what undoes or hides the change on that host, then run the same command again"
                .to_owned(),
        ],
        exit: Exit::TaskFailed,
    }
}

fn not_known(why: &str) -> Failure {
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
