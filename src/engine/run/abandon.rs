//! What is said of tasks and gates that are left under way.

use super::{Job, Loop};
use crate::engine::failure;
use crate::event::{EventKind, TaskOutcome};

impl Loop {
    /// Says of each that it was left, and which change goes on without it.
    pub(super) fn abandon(&mut self) {
        let mut left: Vec<Job> = self.under_way.drain().map(|(_, job)| job).collect();
        left.sort_by_key(Job::node);
        for job in left {
            let Some(weight) = self.shared.plan.graph.node_weight(job.node()) else {
                continue;
            };
            let key = self.shared.plan.key(weight);
            let failure = failure::left(self.ledger.doing(&key));
            self.ledger.add(match job {
                Job::Task(_, host) => EventKind::TaskEnded {
                    key,
                    host,
                    outcome: TaskOutcome::Failed(failure),
                },
                Job::Gate(_) | Job::Undo(_) => EventKind::GateEnded {
                    key,
                    failure: Some(failure),
                },
            });
        }
    }
}
