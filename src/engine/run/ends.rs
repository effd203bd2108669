//! The first event of a run, and the end of one that could not begin.

use super::{Ended, Ledger, Run};
use crate::event::{EventKind, Failure};

impl Run {
    /// What stands at the beginning.
    pub(super) fn started(&self) -> EventKind {
        let plays = self.plan.plays.iter();
        EventKind::RunStarted {
            run: self.title.run.clone(),
            format: 1,
            playbook: self.title.playbook.clone(),
            inventory: self.title.inventory.clone(),
            check: self.check,
            plays: plays
                .map(|p| (p.name.clone(), p.batches.iter().map(Vec::len).collect()))
                .collect(),
        }
    }

    /// Ends before anything was begun, with a first and a last event like every run.
    #[must_use]
    pub fn end_unbegun(self, why: Failure) -> Ended {
        let started = self.started();
        let mut ledger = Ledger::new(
            (self.journal, self.screens),
            self.learned,
            self.scope.clock,
            self.title.hosts.clone(),
        );
        ledger.learn(&self.scope.options);
        ledger.add(started);
        ledger.not_begun(why);
        let level = *self.stop.borrow();
        ledger.end(self.check, level, &self.title, false)
    }
}
