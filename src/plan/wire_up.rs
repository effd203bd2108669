//! The graph: chains of tasks within a visit, `run_once` barriers, gates between batches and plays.
//!
//! Every edge goes through a task or a gate that all hosts share, so that their number grows with hosts + tasks.

use petgraph::algo::toposort;
use petgraph::graph::{DiGraph, NodeIndex};

use super::{Node, PlannedPlay};
use crate::model::HostName;

/// What later nodes wait for.
enum Tails {
    /// All of these, whichever host: gates, or a `run_once` task.
    Shared(Vec<NodeIndex>),
    /// Each host for its own last task.
    PerHost(Vec<NodeIndex>),
}

/// Builds the graph of these plays; they do not wait for each other in a circle.
pub(super) fn graph(plays: &[PlannedPlay]) -> DiGraph<Node, ()> {
    let mut wiring = Wiring {
        plays,
        graph: DiGraph::new(),
        ends: vec![Vec::new(); plays.len()],
    };
    for play in in_order(plays) {
        wiring.play(play);
    }
    wiring.graph
}

/// Indices of plays, each after those that it needs.
fn in_order(plays: &[PlannedPlay]) -> Vec<usize> {
    let mut graph: DiGraph<usize, ()> = DiGraph::new();
    let nodes: Vec<NodeIndex> = (0..plays.len())
        .map(|index| graph.add_node(index))
        .collect();
    for (play, node) in plays.iter().zip(&nodes) {
        for need in play.needs.iter().filter_map(|need| nodes.get(*need)) {
            graph.add_edge(*need, *node, ());
        }
    }
    let order = toposort(&graph, None).unwrap_or_default();
    order
        .iter()
        .filter_map(|node| graph.node_weight(*node).copied())
        .collect()
}

struct Wiring<'a> {
    plays: &'a [PlannedPlay],
    graph: DiGraph<Node, ()>,
    /// By play: the gates after which it is over.
    ends: Vec<Vec<NodeIndex>>,
}

impl Wiring<'_> {
    fn play(&mut self, index: usize) {
        let Some(play) = self.plays.get(index) else {
            return;
        };
        let mut ends: Vec<NodeIndex> = play
            .needs
            .iter()
            .filter_map(|need| self.ends.get(*need))
            .flatten()
            .copied()
            .collect();
        ends.sort_unstable();
        ends.dedup();
        for (batch, hosts) in play.batches.iter().enumerate() {
            ends = vec![self.batch((index, batch), play, hosts, ends)];
        }
        if let Some(own) = self.ends.get_mut(index) {
            // A play without hosts is over when those are that it needs.
            *own = ends;
        }
    }

    /// Adds a batch and returns its gate.
    fn batch(
        &mut self,
        (play, batch): (usize, usize),
        planned: &PlannedPlay,
        hosts: &[HostName],
        after: Vec<NodeIndex>,
    ) -> NodeIndex {
        let mut tails = Tails::Shared(after);
        for (task, known) in planned.tasks.iter().enumerate() {
            let node = |host: &HostName| Node::Task {
                play,
                batch,
                task,
                host: host.clone(),
            };
            tails = match hosts.first() {
                Some(first) if known.run_once => {
                    Tails::Shared(vec![self.shared(node(first), &tails)])
                }
                _ => Tails::PerHost(self.each(hosts.iter().map(node), &tails)),
            };
        }
        self.shared(Node::Gate { play, batch }, &tails)
    }

    /// A node that waits for everything before it.
    fn shared(&mut self, node: Node, tails: &Tails) -> NodeIndex {
        let added = self.graph.add_node(node);
        let (Tails::Shared(before) | Tails::PerHost(before)) = tails;
        for tail in before {
            self.graph.add_edge(*tail, added, ());
        }
        added
    }

    /// A node for each host, which waits for that host alone or for what is shared.
    fn each(&mut self, nodes: impl Iterator<Item = Node>, tails: &Tails) -> Vec<NodeIndex> {
        let mut added = Vec::new();
        for (position, node) in nodes.enumerate() {
            let index = self.graph.add_node(node);
            let before = match tails {
                Tails::Shared(before) => before.as_slice(),
                Tails::PerHost(before) => before.get(position..=position).unwrap_or_default(),
            };
            for tail in before {
                self.graph.add_edge(*tail, index, ());
            }
            added.push(index);
        }
        added
    }
}
