//! Playbook × inventory → one graph of tasks and gates. Pure: no clock, no I/O.

mod batches;
mod build;
mod dot;
mod draw;
mod order;
mod wire_up;

pub use batches::batches;
pub use build::{Request, build};
pub use dot::dot;
pub use draw::draw;

use std::sync::Arc;

use petgraph::graph::DiGraph;

use crate::model::{HostName, TaskKey};
use crate::playbook::{Health, Task};
use crate::template::Vars;

/// What will be done, in which order.
#[derive(Debug, Clone)]
pub struct Plan {
    /// In the order of the playbook.
    pub plays: Vec<PlannedPlay>,
    /// An edge `a → b`: b starts only after a has ended well.
    pub graph: DiGraph<Node, ()>,
    /// What people should know before it is performed.
    pub notes: Vec<String>,
}

/// A play with its batches and its hosts' variables.
#[derive(Clone)]
pub struct PlannedPlay {
    /// Unique in the plan.
    pub name: String,
    /// The play's tasks.
    pub tasks: Arc<[Task]>,
    /// Hosts in order, batch by batch.
    pub batches: Vec<Vec<HostName>>,
    /// Variables of each host with the play's own laid over them. A text among them that is a template is rendered
    /// when it is used.
    pub vars: std::collections::HashMap<HostName, Vars>,
    /// As whom generic steps run.
    pub r#become: crate::wire::Become,
    /// The gate after each batch.
    pub health: Option<Health>,
    /// The first failure ends the run.
    pub any_errors_fatal: bool,
    /// The play ends when more than this share of a batch failed.
    pub max_fail_percentage: Option<crate::model::Percent>,
    /// Indices of the plays it waits for.
    pub needs: Vec<usize>,
}

/// A node of the graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// One task on one host. A `run_once` task stands once a batch, with the batch's first host.
    Task {
        /// Index into [`Plan::plays`].
        play: usize,
        /// Index into [`PlannedPlay::batches`].
        batch: usize,
        /// Index into [`PlannedPlay::tasks`].
        task: usize,
        /// Where.
        host: HostName,
    },
    /// The end of a batch: opens when its health holds, at once when the play has none.
    Gate {
        /// Index into [`Plan::plays`].
        play: usize,
        /// Index into [`PlannedPlay::batches`].
        batch: usize,
    },
}

impl Plan {
    /// The key of a node, the same in every run: `Rotate once/k3s_token: staged@server-1`, `gate:Rotate once#1`.
    #[must_use]
    pub fn key(&self, node: &Node) -> TaskKey {
        let play = |index: usize| self.plays.get(index);
        TaskKey(match node {
            Node::Task {
                play: p,
                task,
                host,
                ..
            } => {
                let name = play(*p)
                    .and_then(|p| p.tasks.get(*task))
                    .map_or("?", |t| &t.name);
                format!("{}/{name}@{host}", play(*p).map_or("?", |p| &p.name))
            }
            Node::Gate { play: p, batch } => {
                format!("gate:{}#{}", play(*p).map_or("?", |p| &p.name), batch + 1)
            }
        })
    }
}

impl std::fmt::Debug for PlannedPlay {
    // Variables may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlannedPlay")
            .field("name", &self.name)
            .field("batches", &self.batches)
            .field("needs", &self.needs)
            .finish_non_exhaustive()
    }
}
