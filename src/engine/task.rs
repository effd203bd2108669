//! One task on one host: when → propose → perform → propose again, which must find nothing left to do.

mod performing;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use performing::{Again, never_still, not_known};

use super::{Shared, StopLevel, condition, failure};
use crate::event::{EventKind, Failure, TaskOutcome, Verdict};
use crate::exit::Exit;
use crate::facts::probe::Overlay;
use crate::facts::{FactError, Probe};
use crate::model::{HostName, TaskKey};
use crate::op::{Act, Op};
use crate::playbook::Task;
use crate::steps::{Proposal, StepError};
use crate::template::Vars;
use crate::wire::{Become, TransportError};

/// How long a task may take when the playbook does not say.
const DEADLINE: Duration = Duration::from_mins(15);

/// How often it is looked at again after a lost connection, or after a host that changed meanwhile.
const ROUNDS: usize = 3;

/// How long a host that cannot be reached is waited for before what was begun is undone: as long as a reboot.
const REBOOT: Duration = Duration::from_mins(3);

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
    /// Whether an operation was started, and it is not only that a host cannot be looked at on which all ended well.
    pub(super) touched: bool,
}

impl Done {
    pub(super) fn failed(failure: Failure) -> Self {
        Self {
            outcome: TaskOutcome::Failed(failure),
            predicted: Vec::new(),
            touched: false,
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
        ended_badly: false,
    };
    let limit = assignment.task.timeout.unwrap_or(DEADLINE);
    let done = match shared.scope.clock.within(limit, visit.go()).await {
        Some(Ok(done)) => done,
        Some(Err(failure)) => Done::failed(failure),
        None => Done::failed(Failure::task(
            format!("took longer than {limit:?}; it was {}", visit.doing),
            "what was under way may have been done: run the same command again, keyroll looks first",
        )),
    };
    let is_ignored = assignment.task.ignore_errors;
    let is_unseen =
        matches!(&done.outcome, TaskOutcome::Failed(why) if why.exit == Exit::Unreachable);
    Done {
        touched: visit.index > 0 && (visit.ended_badly || !is_unseen),
        outcome: match done.outcome {
            TaskOutcome::Failed(failure) if is_ignored && failure.exit == Exit::TaskFailed => {
                TaskOutcome::Ignored(failure)
            }
            outcome => outcome,
        },
        ..done
    }
}

struct Visit<'a> {
    shared: &'a Shared,
    at: &'a Assignment,
    doing: String,
    noted: HashSet<String>,
    index: usize,
    /// Whether a change of the last round failed, or its end is not known.
    ended_badly: bool,
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
                touched: false,
            });
        }
        if self.shared.check {
            self.check().await
        } else {
            let outcome = self.converge().await?;
            Ok(Done {
                outcome,
                predicted: Vec::new(),
                touched: false,
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
        let Ok(Proposal { notes, left, .. }) = &proposal else {
            return Ok(proposal);
        };
        for text in notes.iter().filter(|_| !again) {
            self.note(text.clone()).await?;
        }
        let (key, host) = (&at.key, &at.host);
        if let Some(text) = left
            && self.noted.insert(text.clone())
        {
            let (key, host, text) = (key.clone(), host.clone(), text.clone());
            let left = EventKind::Left { key, host, text };
            self.shared.bus.say(left).await?;
        }
        Ok(proposal)
    }

    /// Once something was begun that would be undone, a host that comes up again just now is waited for.
    async fn look_patiently(
        &mut self,
        again: bool,
        has_begun: bool,
    ) -> Result<Result<Proposal, StepError>, Failure> {
        let clock = &self.shared.scope.clock;
        let (begun, pause) = (clock.now(), Duration::from_secs(5));
        loop {
            let looked = self.look(again).await?;
            let Err(StepError::Fact(FactError::Transport(
                error @ (TransportError::Unreachable { .. } | TransportError::NotStarted { .. }),
            ))) = &looked
            else {
                return Ok(looked);
            };
            let is_patient = has_begun && !self.at.task.undo.is_empty();
            let waited = clock.now().duration_since(begun).unsigned_abs();
            let is_over = waited >= REBOOT || self.shared.level() >= StopLevel::FinishOps;
            if !is_patient || is_over {
                return Ok(looked);
            }
            "waiting for a host that cannot be reached".clone_into(&mut self.doing);
            self.note(format!(
                "{error}: it is waited for, as long as a reboot takes"
            ))
            .await?;
            clock.sleep(pause).await;
        }
    }

    /// Says something once.
    async fn note(&mut self, text: String) -> Result<(), Failure> {
        if !self.noted.insert(text.clone()) {
            return Ok(());
        }
        let (key, host) = (self.at.key.clone(), self.at.host.clone());
        let note = EventKind::Note { key, host, text };
        self.shared.bus.say(note).await
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
        let outcome = outcome(is_more_than_waiting(&ops));
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
            touched: false,
        })
    }

    /// Performs until nothing is left to do. Each round but the first follows a lost connection or a host that changed
    /// meanwhile, or looks that the round before has done all of it.
    async fn converge(&mut self) -> Result<TaskOutcome, Failure> {
        let (mut performed, mut touched, mut rounds) = (false, false, 0);
        loop {
            let proposal = self
                .look_patiently(performed, performed || rounds > 0)
                .await?
                .map_err(|error| failure::of_step(&error))?;
            if !proposal.unmet.is_empty() {
                return Err(failure::of_unmet(&proposal.unmet));
            }
            if proposal.ops.is_empty() {
                self.prove(proposal.doubts).await?;
                return Ok(outcome(touched));
            }
            if performed {
                return Err(not_converged(&proposal.ops));
            }
            if let Some(failure) = self.forbidden(&proposal.ops) {
                return Err(failure);
            }
            touched |= is_more_than_waiting(&proposal.ops);
            let Some(again) = self.perform_all(&proposal.ops).await? else {
                performed = true;
                if self.at.task.step.is_one_way() {
                    return Ok(outcome(touched));
                }
                continue;
            };
            rounds += 1;
            if rounds > ROUNDS || self.at.task.step.is_one_way() {
                return Err(match again {
                    Again::Unknown(why) => not_known(&why),
                    Again::Moved(what) => never_still(&what),
                });
            }
        }
    }

    /// Why these operations must not be done: this run only looks, and one of them would change something.
    fn forbidden(&self, ops: &[Op]) -> Option<Failure> {
        let change = ops
            .iter()
            .find(|op| self.shared.read_only && op.act.changes())?;
        Some(Failure {
            what: vec![format!(
                "a step wanted to change something in a run that only looks ({}: {}); it was not done",
                change.on, change.why
            )],
            next: vec!["report this".to_owned()],
            exit: Exit::Internal,
        })
    }

    /// Says the colour of a proof that ended well.
    async fn prove(&self, doubts: Vec<String>) -> Result<(), Failure> {
        if !self.at.task.step.is_proof() {
            return Ok(());
        }
        let verdict = if doubts.is_empty() {
            Verdict::Green
        } else {
            Verdict::Yellow
        };
        let (key, host) = (self.at.key.clone(), self.at.host.clone());
        let because = doubts;
        self.shared
            .bus
            .say(EventKind::Proved {
                key,
                host,
                verdict,
                because,
            })
            .await
    }
}

/// Who has only waited has changed nothing.
fn is_more_than_waiting(ops: &[Op]) -> bool {
    ops.iter().any(|op| !matches!(op.act, Act::Wait(_)))
}

fn outcome(touched: bool) -> TaskOutcome {
    if touched {
        TaskOutcome::Changed
    } else {
        TaskOutcome::Satisfied
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
