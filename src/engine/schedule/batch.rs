//! What the schedule knows of one batch: which visits have begun, which hosts it lost.

use std::collections::{HashMap, HashSet};

use super::Root;
use crate::model::HostName;
use crate::plan::{Node, Plan};

/// One batch of one play.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// How many hosts it has.
    pub(super) size: usize,
    /// Hosts whose first task has started.
    begun: HashSet<HostName>,
    /// Hosts with a failed or skipped task, with the root of each.
    pub(super) unwell: HashMap<HostName, Root>,
    /// Hosts on which a task of this batch failed.
    pub(super) failed: HashSet<HostName>,
    /// The first root of all.
    pub(super) root: Option<Root>,
    /// The first failed task that has an `undo`.
    pub(super) undo: Option<usize>,
    /// Hosts on which each task has started.
    started: HashSet<(usize, HostName)>,
}

impl Batch {
    /// Notes that a host's visit has begun; whether it is the batch's first.
    pub(super) fn begin(&mut self, host: &HostName) -> bool {
        let first = self.begun.is_empty();
        self.begun.insert(host.clone());
        first
    }

    pub(super) fn is_begun(&self, host: &HostName) -> bool {
        self.begun.contains(host)
    }

    pub(super) fn note_start(&mut self, task: usize, host: &HostName) {
        self.started.insert((task, host.clone()));
    }

    pub(super) fn has_started(&self, task: usize, host: &HostName) -> bool {
        self.started.contains(&(task, host.clone()))
    }
}

/// All batches of a plan, untouched.
pub(super) fn all(plan: &Plan) -> HashMap<(usize, usize), Batch> {
    let mut batches: HashMap<(usize, usize), Batch> = HashMap::new();
    for node in plan.graph.node_weights() {
        let (Node::Task { play, batch, .. } | Node::Gate { play, batch }) = node;
        let hosts = plan
            .plays
            .get(*play)
            .and_then(|p| p.batches.get(*batch))
            .map_or(0, Vec::len);
        batches.entry((*play, *batch)).or_default().size = hosts;
    }
    batches
}
