//! Decides what may start next, and what never will. No clock, no I/O: every state can be built in a test.
//!
//! The plan's edges say what comes before what; this adds what failures, stop levels and `--forks` change about it.

mod batch;
mod rules;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet, VecDeque};
use std::num::NonZeroUsize;
use std::sync::Arc;

use petgraph::graph::NodeIndex;

use super::stop::StopLevel;
use crate::model::{HostName, TaskKey};
use crate::plan::{Node, Plan};
use batch::Batch;

/// What the loop does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Work {
    /// A batch's first task is about to start.
    Batch { play: usize, batch: usize },
    /// Start this task.
    Task(NodeIndex),
    /// Start this gate over the hosts that its play has visited so far and did not lose.
    Gate(NodeIndex, Vec<HostName>),
    /// A task with `undo` failed in this batch: undo it on these hosts, one after the other.
    Undo {
        gate: NodeIndex,
        play: usize,
        task: usize,
        hosts: Vec<HostName>,
    },
    /// This task never starts.
    Skipped(NodeIndex, Root),
}

/// Why something never starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Root {
    /// Another node failed.
    Node(NodeIndex),
    /// The user stopped the run.
    Stopped,
}

/// How a node ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Well,
    Failed,
    Skipped(Root),
}

/// Where every node of a plan stands.
pub(super) struct Schedule {
    plan: Arc<Plan>,
    forks: NonZeroUsize,
    gates_hold: bool,
    waits_for: Vec<usize>,
    ends: Vec<Option<End>>,
    batches: HashMap<(usize, usize), Batch>,
    /// Tasks of hosts whose visit has begun go first, so that few hosts are half done.
    begun: VecDeque<NodeIndex>,
    fresh: VecDeque<NodeIndex>,
    others: VecDeque<Work>,
    /// Hosts at work, each with the tasks of other plays that wait for it.
    busy: HashMap<HostName, Vec<NodeIndex>>,
    lost: HashMap<HostName, Root>,
    over: HashMap<usize, Root>,
    fatal: Option<Root>,
    undone: HashSet<NodeIndex>,
    level: StopLevel,
}

impl Schedule {
    /// A schedule in which nothing has started. In a dry run gates open at once and nothing is undone.
    pub(super) fn new(plan: Arc<Plan>, forks: NonZeroUsize, check: bool) -> Self {
        let incoming = |node| {
            plan.graph
                .neighbors_directed(node, petgraph::Incoming)
                .count()
        };
        let waits_for: Vec<usize> = plan.graph.node_indices().map(incoming).collect();
        let mut schedule = Self {
            forks,
            gates_hold: !check,
            ends: vec![None; waits_for.len()],
            waits_for,
            batches: batch::all(&plan),
            begun: VecDeque::new(),
            fresh: VecDeque::new(),
            others: VecDeque::new(),
            busy: HashMap::new(),
            lost: HashMap::new(),
            over: HashMap::new(),
            fatal: None,
            undone: HashSet::new(),
            level: StopLevel::Run,
            plan,
        };
        let free = |node: &NodeIndex| schedule.waits_for.get(node.index()) == Some(&0);
        let roots: Vec<NodeIndex> = schedule.plan.graph.node_indices().filter(free).collect();
        schedule.decide(roots.into());
        schedule
    }

    /// The next thing to do; `None` until something ends.
    pub(super) fn next(&mut self) -> Option<Work> {
        if let Some(work) = self.others.pop_front() {
            return Some(work);
        }
        while self.busy.len() < self.forks.get() {
            let node = self.begun.pop_front().or_else(|| self.fresh.pop_front())?;
            if let Some(work) = self.start(node) {
                return Some(work);
            }
        }
        None
    }

    fn start(&mut self, node: NodeIndex) -> Option<Work> {
        let Some(Node::Task {
            play,
            batch,
            task,
            host,
        }) = self.plan.graph.node_weight(node).cloned()
        else {
            return None;
        };
        if let Some(root) = self.refusal(node) {
            let open = self.skip(node, root);
            self.decide(open);
            return self.others.pop_front();
        }
        if let Some(waiting) = self.busy.get_mut(&host) {
            waiting.push(node);
            return None;
        }
        self.busy.insert(host.clone(), Vec::new());
        let first = self.batches.get_mut(&(play, batch)).is_some_and(|batch| {
            batch.note_start(task, &host);
            batch.begin(&host)
        });
        if first {
            self.others.push_back(Work::Task(node));
            return Some(Work::Batch { play, batch });
        }
        Some(Work::Task(node))
    }

    /// A task or gate has ended.
    pub(super) fn ended(&mut self, node: NodeIndex, well: bool) {
        if let Some(Node::Task { host, .. }) = self.plan.graph.node_weight(node) {
            for waiting in self.busy.remove(host).unwrap_or_default() {
                self.begun.push_front(waiting);
            }
        }
        self.end(node, if well { End::Well } else { End::Failed });
    }

    /// The undo of the batch before this gate has ended.
    pub(super) fn undid(&mut self, gate: NodeIndex) {
        self.undone.insert(gate);
        self.decide([gate].into());
    }

    /// The user asked to stop.
    pub(super) fn stop(&mut self, level: StopLevel) {
        self.level = self.level.max(level);
    }

    fn end(&mut self, node: NodeIndex, end: End) {
        let open = self.record(node, end);
        self.decide(open);
    }

    /// Writes down an end; the nodes that waited for nothing else.
    fn record(&mut self, node: NodeIndex, end: End) -> VecDeque<NodeIndex> {
        if let Some(slot) = self.ends.get_mut(node.index()) {
            *slot = Some(end);
        }
        if end != End::Well {
            self.mark(node, end);
        }
        let mut open = VecDeque::new();
        let plan = Arc::clone(&self.plan);
        for next in plan.graph.neighbors_directed(node, petgraph::Outgoing) {
            if let Some(count) = self.waits_for.get_mut(next.index()) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    open.push_back(next);
                }
            }
        }
        // petgraph lists the newest edge first; hosts start in the plan's order.
        open.make_contiguous().sort_unstable();
        open
    }

    /// Puts each node whose predecessors have ended where it belongs.
    fn decide(&mut self, mut open: VecDeque<NodeIndex>) {
        while let Some(node) = open.pop_front() {
            match self.plan.graph.node_weight(node).cloned() {
                Some(Node::Task {
                    play, batch, host, ..
                }) => match self.refusal(node) {
                    Some(root) => open.extend(self.skip(node, root)),
                    None if self.is_begun(play, batch, &host) => self.begun.push_back(node),
                    None => self.fresh.push_back(node),
                },
                Some(Node::Gate { play, batch }) => {
                    open.extend(self.decide_gate(node, play, batch));
                }
                None => {}
            }
        }
    }

    fn skip(&mut self, node: NodeIndex, root: Root) -> VecDeque<NodeIndex> {
        self.others.push_back(Work::Skipped(node, root));
        self.record(node, End::Skipped(root))
    }

    /// The key of a root, for people.
    pub(super) fn key(&self, root: Root) -> TaskKey {
        let named = |node| {
            self.plan
                .graph
                .node_weight(node)
                .map(|node| self.plan.key(node))
        };
        match root {
            Root::Node(node) => named(node).unwrap_or_else(|| TaskKey("?".to_owned())),
            Root::Stopped => TaskKey("stopped".to_owned()),
        }
    }
}
