//! The loop: owns the schedule, the tasks and the sinks, and puts all that happens into one order.
//!
//! Event ─► redacted ─► journal (synced) ─► ack to the task ─► screens. It never waits for a host itself.

mod abandon;
mod ends;
mod ledger;

use std::collections::HashMap;
use std::sync::Arc;

use petgraph::graph::NodeIndex;
use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinError, JoinSet};

use super::bus::{self, Message};
use super::schedule::{Root, Schedule, Work};
use super::task::{self, Assignment, Done};
use super::{Shared, StopLevel, gate, undo, way_out};
use crate::event::{EventKind, Failure, Sink, Summary, TaskOutcome, Verdict};
use crate::exit::Exit;
use crate::facts::Scope;
use crate::facts::probe::Overlay;
use crate::model::{HostName, RunId, SameHosts};
use crate::plan::{Node, Plan};
use crate::secret::Secret;
use ledger::Ledger;

/// How many messages of tasks may queue up, and how many are written at once.
const QUEUE: usize = 256;

/// What a run is called and what it was started with.
#[derive(Debug, Clone)]
pub struct Title {
    /// Names the run.
    pub run: RunId,
    /// The playbook as it was named.
    pub playbook: String,
    /// The inventory as it was named.
    pub inventory: String,
    /// The command that started this run.
    pub again: String,
    /// The same command without `--check`.
    pub really: String,
    /// How other commands name the same hosts.
    pub hosts: Option<SameHosts>,
}

/// One performance of a plan.
pub struct Run {
    /// What to do.
    pub plan: Arc<Plan>,
    /// How to look and change.
    pub scope: Arc<Scope>,
    /// Secrets that facts find, from the other end of [`Scope::new`].
    pub learned: std::sync::mpsc::Receiver<Secret>,
    /// Kept before anything is done; when it fails, the run ends.
    pub journal: Box<dyn Sink>,
    /// Shown after it was kept; one that fails is let go.
    pub screens: Vec<Box<dyn Sink>>,
    /// Names.
    pub title: Title,
    /// Look only.
    pub check: bool,
    /// Waits are done, changes are refused.
    pub read_only: bool,
    /// How far the user wants to stop.
    pub stop: watch::Receiver<StopLevel>,
}

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    /// Exit number.
    pub exit: Exit,
    /// What the last event said.
    pub summary: Summary,
    /// Why a screen could not show all of it, unless its reader went away.
    pub unshown: Option<String>,
}

/// What a task of the loop's own set comes back with.
enum Back {
    Task(Done),
    Gate(Result<(), Failure>),
    Undo(Result<(), Failure>),
}

/// What a task of the loop's own set is for.
#[derive(Clone)]
enum Job {
    Task(NodeIndex, HostName),
    Gate(NodeIndex),
    Undo(NodeIndex),
}

impl Job {
    fn node(&self) -> NodeIndex {
        match self {
            Self::Task(node, _) | Self::Gate(node) | Self::Undo(node) => *node,
        }
    }
}

struct Loop {
    shared: Arc<Shared>,
    schedule: Schedule,
    ledger: Ledger,
    messages: mpsc::Receiver<Message>,
    jobs: JoinSet<Back>,
    under_way: HashMap<Id, Job>,
    overlay: Overlay,
    stop: watch::Receiver<StopLevel>,
}

impl Run {
    /// Performs the plan to its end. It always ends with a last event, and never leaves work behind unnoticed.
    pub async fn perform(self) -> Ended {
        let (bus, messages) = bus::bus(QUEUE);
        let shared = Shared {
            plan: Arc::clone(&self.plan),
            scope: Arc::clone(&self.scope),
            check: self.check,
            read_only: self.read_only,
            bus,
            stop: self.stop.clone(),
        };
        let started = self.started();
        let mut ledger = Ledger::new(
            (self.journal, self.screens),
            self.learned,
            self.scope.clock,
            self.title.hosts.clone(),
        );
        ledger.learn(&self.scope.options);
        let mut run = Loop {
            schedule: Schedule::new(self.plan, self.scope.options.forks, self.check),
            shared: Arc::new(shared),
            ledger,
            messages,
            jobs: JoinSet::new(),
            under_way: HashMap::new(),
            overlay: Overlay::default(),
            stop: self.stop,
        };
        run.ledger.add(started);
        run.ledger.write();
        run.go().await;
        let level = *run.stop.borrow();
        let is_half_done = run.ledger.has_failed() && !self.check && level < StopLevel::FinishOps;
        let can_go_back = is_half_done && way_out::is_open(&run.shared).await;
        run.ledger.left_out(&run.shared.scope.fleet);
        if run.shared.scope.options.words.strict {
            run.ledger.be_strict();
        }
        run.ledger.end(self.check, level, &self.title, can_go_back)
    }
}

impl Loop {
    async fn go(&mut self) {
        self.note_stop();
        let mut heard = Vec::with_capacity(QUEUE);
        let mut signals = true;
        loop {
            self.start_all();
            self.ledger.write();
            if self.ledger.is_broken() {
                // Unacknowledged tasks end by themselves, and nothing new starts.
                self.schedule.stop(StopLevel::FinishOps);
            }
            if self.jobs.is_empty() || *self.stop.borrow() == StopLevel::Abandon {
                break;
            }
            tokio::select! {
                biased;
                changed = self.stop.changed(), if signals => {
                    signals = changed.is_ok();
                    self.note_stop();
                }
                count = self.messages.recv_many(&mut heard, QUEUE) => {
                    debug_assert!(count > 0, "the loop holds a sender, so the queue never closes");
                    self.ledger.add_all(heard.drain(..));
                }
                Some(ended) = self.jobs.join_next_with_id() => self.ended(ended),
            }
            // What ended at the same moment is written, and synced, together.
            while let Some(ended) = self.jobs.try_join_next_with_id() {
                self.ended(ended);
            }
        }
        self.jobs.shutdown().await;
        self.abandon();
    }

    fn note_stop(&mut self) {
        let level = *self.stop.borrow_and_update();
        if level > StopLevel::Run {
            self.schedule.stop(level);
            self.ledger.add(EventKind::Stopping {
                text: level.text().to_owned(),
            });
        }
    }

    fn start_all(&mut self) {
        while let Some(work) = self.schedule.next() {
            match work {
                Work::Batch { play, batch } => self.begin(play, batch),
                Work::Task(node) => self.start_task(node),
                Work::Gate(node, hosts) => self.start_gate(node, hosts),
                Work::Undo {
                    gate,
                    play,
                    task,
                    hosts,
                } => {
                    let work = undo::undo(Arc::clone(&self.shared), play, task, hosts);
                    let id = self.jobs.spawn(async move { Back::Undo(work.await) }).id();
                    self.under_way.insert(id, Job::Undo(gate));
                }
                Work::Skipped(node, root) => self.skip(node, root),
            }
        }
    }

    fn begin(&mut self, play: usize, batch: usize) {
        let Some(of) = self.shared.play(play) else {
            return;
        };
        let kind = EventKind::BatchStarted {
            play: of.name.clone(),
            batch: batch + 1,
            of: of.batches.len(),
            hosts: of.batches.get(batch).cloned().unwrap_or_default(),
        };
        self.ledger.add(kind);
    }

    fn start_task(&mut self, node: NodeIndex) {
        let Some(assignment) = self.assignment(node) else {
            self.schedule.ended(node, false);
            return;
        };
        let host = assignment.host.clone();
        let (key, name) = (assignment.key.clone(), assignment.task.name.clone());
        self.ledger.add(EventKind::TaskStarted {
            key,
            host: host.clone(),
            name,
        });
        let shared = Arc::clone(&self.shared);
        let id = self
            .jobs
            .spawn(async move { Back::Task(task::run(shared, assignment).await) })
            .id();
        self.under_way.insert(id, Job::Task(node, host));
    }

    fn assignment(&self, node: NodeIndex) -> Option<Assignment> {
        let plan = &self.shared.plan;
        let weight = plan.graph.node_weight(node)?;
        let Node::Task {
            play, task, host, ..
        } = weight
        else {
            return None;
        };
        let of = self.shared.play(*play)?;
        Some(Assignment {
            key: plan.key(weight),
            host: host.clone(),
            task: self.shared.task(*play, *task)?.clone(),
            r#become: of.r#become.clone(),
            vars: of.vars.get(host).cloned().unwrap_or_default(),
            overlay: self.overlay.clone(),
        })
    }

    fn start_gate(&mut self, node: NodeIndex, hosts: Vec<HostName>) {
        let weight = self.shared.plan.graph.node_weight(node);
        let Some(Node::Gate { play, .. }) = weight else {
            return;
        };
        let health = self.shared.play(*play).and_then(|play| play.health.clone());
        let (Some(health), Some(key)) = (health, weight.map(|node| self.shared.plan.key(node)))
        else {
            return;
        };
        self.ledger.add(EventKind::GateStarted {
            key: key.clone(),
            hosts: hosts.clone(),
        });
        let shared = Arc::clone(&self.shared);
        let watch = async move { Back::Gate(gate::watch(&shared, &key, &health, &hosts).await) };
        let id = self.jobs.spawn(watch).id();
        self.under_way.insert(id, Job::Gate(node));
    }

    fn skip(&mut self, node: NodeIndex, root: Root) {
        let Some(weight @ Node::Task { host, .. }) = self.shared.plan.graph.node_weight(node)
        else {
            return;
        };
        let outcome = TaskOutcome::Skipped {
            because: self.schedule.key(root),
        };
        let key = self.shared.plan.key(weight);
        self.ledger.add(EventKind::TaskEnded {
            key,
            host: host.clone(),
            outcome,
        });
    }

    fn ended(&mut self, ended: Result<(Id, Back), JoinError>) {
        let (id, back) = match ended {
            Ok((id, back)) => (id, Ok(back)),
            Err(error) => (error.id(), Err(bug(&error))),
        };
        let Some(job) = self.under_way.remove(&id) else {
            return;
        };
        match job {
            Job::Task(node, host) => {
                let done = match back {
                    Ok(Back::Task(done)) => done,
                    Ok(_) => return,
                    Err(failure) => Done::failed(failure),
                };
                self.task_ended(node, host, done);
            }
            Job::Gate(node) => self.gate_ended(node, flat(back)),
            Job::Undo(gate) => {
                if let Err(failure) = flat(back) {
                    self.end_gate_event(gate, Some(failure));
                }
                self.schedule.undid(gate);
            }
        }
    }

    fn task_ended(&mut self, node: NodeIndex, host: HostName, mut done: Done) {
        let well = !matches!(done.outcome, TaskOutcome::Failed(_));
        for op in &done.predicted {
            self.overlay.predict(op);
        }
        if let Some(weight @ Node::Task { play, task, .. }) =
            self.shared.plan.graph.node_weight(node)
        {
            let key = self.shared.plan.key(weight);
            let of = self.shared.task(*play, *task);
            if of.is_some_and(|task| task.step.is_proof())
                && let TaskOutcome::Failed(failure) = &mut done.outcome
            {
                // What cannot be shown is not proven, whatever kept it from being shown; a host out of reach has its own number.
                if failure.exit == Exit::TaskFailed {
                    failure.exit = Exit::Red;
                }
                self.ledger.add(EventKind::Proved {
                    key: key.clone(),
                    host: host.clone(),
                    verdict: Verdict::Red,
                    because: failure.what.clone(),
                });
            }
            self.ledger.add(EventKind::TaskEnded {
                key,
                host,
                outcome: done.outcome,
            });
        }
        if done.touched {
            self.schedule.touched(node);
        }
        self.schedule.ended(node, well);
    }

    fn gate_ended(&mut self, node: NodeIndex, end: Result<(), Failure>) {
        let failure = end.err();
        let well = failure.is_none();
        self.end_gate_event(node, failure);
        self.schedule.ended(node, well);
    }

    fn end_gate_event(&mut self, node: NodeIndex, failure: Option<Failure>) {
        if let Some(weight) = self.shared.plan.graph.node_weight(node) {
            let key = self.shared.plan.key(weight);
            self.ledger.add(EventKind::GateEnded { key, failure });
        }
    }
}

fn flat(back: Result<Back, Failure>) -> Result<(), Failure> {
    match back {
        Ok(Back::Gate(end) | Back::Undo(end)) => end,
        Ok(Back::Task(_)) => Ok(()),
        Err(failure) => Err(failure),
    }
}

fn bug(error: &JoinError) -> Failure {
    Failure {
        what: vec![format!("keyroll itself failed: {error}")],
        next: vec!["run the same command again; keyroll looks first".to_owned()],
        exit: Exit::Internal,
    }
}
