//! The rules of failure: what a failed task takes with it, and when a batch's gate is looked at.
//!
//! Ansible's rules: a failed task ends its visit and the host is lost to later plays; a play goes on while hosts
//! are left, unless `any_errors_fatal` or `max_fail_percentage` says otherwise.

use std::collections::VecDeque;

use petgraph::graph::NodeIndex;

use super::{End, Root, Schedule, Work};
use crate::engine::stop::StopLevel;
use crate::model::HostName;
use crate::plan::Node;

impl Schedule {
    pub(super) fn is_begun(&self, play: usize, batch: usize, host: &HostName) -> bool {
        self.batches
            .get(&(play, batch))
            .is_some_and(|batch| batch.is_begun(host))
    }

    /// Why a task may not start, when it may not.
    pub(super) fn refusal(&self, node: NodeIndex) -> Option<Root> {
        let Some(Node::Task {
            play,
            batch,
            task,
            host,
        }) = self.plan.graph.node_weight(node)
        else {
            return None;
        };
        let begun = self.is_begun(*play, *batch, host);
        let stopped =
            self.level >= StopLevel::FinishOps || self.level == StopLevel::FinishVisits && !begun;
        if stopped {
            return Some(Root::Stopped);
        }
        let over = self
            .over
            .get(play)
            .copied()
            .or(self.fatal)
            .filter(|_| !begun);
        let barrier = self
            .plan
            .plays
            .get(*play)
            .and_then(|p| p.tasks.get(*task))
            .is_some_and(|t| t.run_once);
        self.lost
            .get(host)
            .copied()
            .or(over)
            .or_else(|| self.broken_before(node, barrier, *play))
    }

    /// The root of the first predecessor that did not end well. A barrier overlooks hosts lost in earlier plays:
    /// they take no part in this one. A host that is only held back, as by a closed gate, still counts.
    fn broken_before(&self, node: NodeIndex, barrier: bool, play: usize) -> Option<Root> {
        let is_lost = |before: NodeIndex| match self.plan.graph.node_weight(before) {
            Some(Node::Task { play: of, host, .. }) => *of == play && self.lost.contains_key(host),
            _ => false,
        };
        let earlier = |root: Root| match root {
            Root::Node(root) => self.play_of(root).is_some_and(|of| of != play),
            Root::Stopped => false,
        };
        let root = |before: NodeIndex| match self.ends.get(before.index()).copied().flatten()? {
            End::Well => None,
            End::Failed => Some(Root::Node(before)),
            End::Skipped(root) => {
                let absent = barrier && is_lost(before) && earlier(root);
                (!absent).then_some(root)
            }
        };
        self.plan
            .graph
            .neighbors_directed(node, petgraph::Incoming)
            .find_map(root)
    }

    fn play_of(&self, node: NodeIndex) -> Option<usize> {
        self.plan.graph.node_weight(node).map(|node| match node {
            Node::Task { play, .. } | Node::Gate { play, .. } => *play,
        })
    }

    /// Draws the consequences of a node that did not end well.
    pub(super) fn mark(&mut self, node: NodeIndex, end: End) {
        let root = match end {
            End::Skipped(root) => root,
            _ => Root::Node(node),
        };
        match self.plan.graph.node_weight(node).cloned() {
            Some(Node::Task {
                play,
                batch,
                task,
                host,
            }) => {
                if let Some(batch) = self.batches.get_mut(&(play, batch)) {
                    batch.unwell.entry(host.clone()).or_insert(root);
                    batch.root.get_or_insert(root);
                }
                if end == End::Failed {
                    self.mark_failed((play, batch), task, host, root);
                }
            }
            Some(Node::Gate { play, .. }) if end == End::Failed => {
                self.over.entry(play).or_insert(root);
                let fatal = self
                    .plan
                    .plays
                    .get(play)
                    .is_some_and(|play| play.any_errors_fatal);
                self.fatal = self.fatal.or(fatal.then_some(root));
            }
            _ => {}
        }
    }

    fn mark_failed(
        &mut self,
        (play, batch): (usize, usize),
        task: usize,
        host: HostName,
        root: Root,
    ) {
        let (Some(of), Some(state)) = (
            self.plan.plays.get(play),
            self.batches.get_mut(&(play, batch)),
        ) else {
            return;
        };
        state.failed.insert(host.clone());
        let (undo, once) = of
            .tasks
            .get(task)
            .map_or((false, false), |t| (!t.undo.is_empty(), t.run_once));
        if undo {
            state.undo.get_or_insert(task);
        }
        let beyond = |limit: crate::model::Percent| {
            state.failed.len() * 100 > usize::from(limit.get()) * state.size
        };
        if once || of.max_fail_percentage.is_some_and(beyond) {
            self.over.entry(play).or_insert(root);
        }
        self.fatal = self.fatal.or(of.any_errors_fatal.then_some(root));
        self.lost.insert(host, root);
    }

    /// Decides a gate whose batch has ended; the nodes that opens.
    pub(super) fn decide_gate(
        &mut self,
        node: NodeIndex,
        play: usize,
        batch: usize,
    ) -> VecDeque<NodeIndex> {
        let may_undo = self.gates_hold && self.level < StopLevel::FinishOps;
        if may_undo
            && !self.undone.contains(&node)
            && let Some(work) = self.undo(node, play, batch)
        {
            self.others.push_back(work);
            return VecDeque::new();
        }
        if let Some(root) = self.closed_by(node, play, batch) {
            return self.record(node, End::Skipped(root));
        }
        let health = self
            .plan
            .plays
            .get(play)
            .is_some_and(|play| play.health.is_some());
        let hosts = self.visited(play, batch);
        if !health || !self.gates_hold || hosts.is_empty() {
            return self.record(node, End::Well);
        }
        self.others.push_back(Work::Gate(node, hosts));
        VecDeque::new()
    }

    fn undo(&self, gate: NodeIndex, play: usize, batch: usize) -> Option<Work> {
        let state = self.batches.get(&(play, batch))?;
        let task = state.undo.filter(|task| state.touched.contains(task))?;
        let of = self.plan.plays.get(play)?.batches.get(batch)?;
        let hosts = of
            .iter()
            .filter(|host| state.has_started(task, host))
            .cloned()
            .collect();
        Some(Work::Undo {
            gate,
            play,
            task,
            hosts,
        })
    }

    fn closed_by(&self, node: NodeIndex, play: usize, batch: usize) -> Option<Root> {
        if self.level > StopLevel::Run {
            return Some(Root::Stopped);
        }
        let state = self.batches.get(&(play, batch))?;
        let empty =
            state.size > 0 && state.unwell.len() >= state.size || self.undone.contains(&node);
        let gate_before = self
            .plan
            .graph
            .neighbors_directed(node, petgraph::Incoming)
            .filter(|before| {
                matches!(
                    self.plan.graph.node_weight(*before),
                    Some(Node::Gate { .. })
                )
            })
            .find_map(
                |before| match self.ends.get(before.index()).copied().flatten()? {
                    End::Well => None,
                    End::Failed => Some(Root::Node(before)),
                    End::Skipped(root) => Some(root),
                },
            );
        self.over
            .get(&play)
            .copied()
            .or(self.fatal)
            .or(gate_before)
            .or(state.root.filter(|_| empty))
    }

    /// Hosts of the play up to this batch that are still with us, in order.
    fn visited(&self, play: usize, batch: usize) -> Vec<HostName> {
        let Some(of) = self.plan.plays.get(play) else {
            return Vec::new();
        };
        let well = |index: usize, host: &HostName| {
            !self.lost.contains_key(host)
                && self
                    .batches
                    .get(&(play, index))
                    .is_some_and(|batch| !batch.unwell.contains_key(host))
        };
        let batches = of.batches.iter().take(batch + 1).enumerate();
        batches
            .flat_map(|(index, hosts)| hosts.iter().filter(move |host| well(index, host)))
            .cloned()
            .collect()
    }
}
