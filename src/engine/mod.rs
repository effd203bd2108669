//! Performs a plan: one loop owns the schedule, the tasks and the sinks.
//!
//! Reading order: `schedule` decides what may start (pure), `task` looks and proposes, `perform` alone changes hosts,
//! `gate` waits for health, `run` is the loop. No locks, no detached tasks, no queue without a bound. Knows no file,
//! terminal or YAML.

mod bus;
mod condition;
mod custody;
mod failure;
mod gate;
mod look;
mod perform;
mod redact;
mod run;
mod schedule;
mod stop;
mod tally;
mod task;
mod texts;
mod undo;
mod wait;
mod way_out;

pub use redact::Redactor;
pub use run::{Ended, Run, Title};
pub use stop::{StopLevel, raise_on_signals};

use std::sync::Arc;

use tokio::sync::watch;

use crate::facts::Scope;
use crate::plan::{Plan, PlannedPlay};
use crate::playbook::Task;

/// What all tasks and gates of a run share.
struct Shared {
    plan: Arc<Plan>,
    scope: Arc<Scope>,
    check: bool,
    read_only: bool,
    bus: bus::Bus,
    stop: watch::Receiver<StopLevel>,
}

impl Shared {
    fn play(&self, play: usize) -> Option<&PlannedPlay> {
        self.plan.plays.get(play)
    }

    fn task(&self, play: usize, task: usize) -> Option<&Task> {
        self.play(play)?.tasks.get(task)
    }

    fn level(&self) -> StopLevel {
        *self.stop.borrow()
    }
}
