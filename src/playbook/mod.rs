//! A playbook as data: plays of tasks, read like Ansible.

use std::time::Duration;

mod builtin;
mod keywords;
mod lint;
mod parse;
mod reader;

use crate::model::Percent;
use crate::source::{SourceSpan, SourceText};
use crate::steps::Step;

pub use builtin::read;
pub use lint::lint;
pub(crate) use lint::needed;
pub use parse::parse;

/// A list of plays and the text they were read from.
#[derive(Debug, Clone)]
pub struct Playbook {
    /// In the order of the file.
    pub plays: Vec<Play>,
    /// For diagnostics.
    pub text: SourceText,
}

/// Hosts, order and tasks; the unit of batching and of `needs`.
#[derive(Clone)]
pub struct Play {
    /// `name`, or the host pattern when it has none. Unique in a playbook.
    pub name: String,
    /// An Ansible host pattern: `server`, `agent[0]`, `all:!server`, `web*`.
    pub hosts: String,
    /// `serial`; one batch of all hosts when empty. The last entry repeats.
    pub serial: Vec<BatchSize>,
    /// `order`.
    pub order: Order,
    /// `health`: the gate after each batch.
    pub health: Option<Health>,
    /// `needs`: names of plays; `None` is the play before it.
    pub needs: Option<Vec<String>>,
    /// `vars`, rendered per host before tasks.
    pub vars: Vec<(String, minijinja::Value)>,
    /// `become`: as root when `Some(true)`, for generic steps.
    pub r#become: Option<bool>,
    /// `become_user`.
    pub become_user: Option<String>,
    /// `any_errors_fatal`: the first failure ends the run after visits that have begun.
    pub any_errors_fatal: bool,
    /// `max_fail_percentage`: the play ends when more than this share of a batch failed. Without it a play goes on
    /// as long as one host of a batch is left, as in Ansible.
    pub max_fail_percentage: Option<Percent>,
    /// `tasks`.
    pub tasks: Vec<Task>,
    /// Where things stand in the text.
    pub places: Places,
}

impl std::fmt::Debug for Play {
    // Variables may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Play")
            .field("name", &self.name)
            .field("hosts", &self.hosts)
            .field("needs", &self.needs)
            .field("tasks", &self.tasks)
            .finish_non_exhaustive()
    }
}

/// Where a play's references stand, for mistakes of meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The value of `hosts`.
    pub hosts: SourceSpan,
    /// Each entry of `needs`.
    pub needs: Vec<SourceSpan>,
}

/// One entry of `serial`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchSize {
    /// So many hosts, at least one.
    Count(std::num::NonZeroUsize),
    /// A share of the play's hosts, rounded down, at least one.
    Share(Percent),
}

/// The order of a play's hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// As in the inventory.
    #[default]
    Inventory,
    /// The inventory's order reversed.
    ReverseInventory,
    /// By name.
    Sorted,
    /// By name, reversed.
    ReverseSorted,
    /// The server that others join first comes first; looked up on the hosts.
    JoinTargetFirst,
}

/// Whose members of etcd a gate wants to be healthy, with a leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Etcd {
    /// Nobody's.
    #[default]
    Nobody,
    /// `voters`: every server's of the inventory.
    Voters,
    /// `visited`: those of the hosts that the play has visited; others may be down.
    Visited,
}

/// What must hold after a batch before anything later starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// `nodes: ready`.
    pub nodes_ready: bool,
    /// `etcd`: whose members of etcd must be healthy.
    pub etcd: Etcd,
    /// `settle`: how long it must hold without a break. Default 30 s.
    pub settle: Duration,
    /// `timeout`: how long the gate may take. Default 5 min.
    pub timeout: Duration,
    /// `interval`: time between two looks. Default 5 s.
    pub interval: Duration,
}

/// One entry of a play.
#[derive(Debug, Clone)]
pub struct Task {
    /// `name`, or the step's name and its distinguishing argument (`k3s_token: rotated`).
    pub name: String,
    /// The step.
    pub step: Step,
    /// Where the step's arguments stand in the text.
    pub at: SourceSpan,
    /// `when`: expressions that must all be true on the host.
    pub when: Vec<String>,
    /// `run_once`: performed by the batch's first host, and a barrier for all of them.
    pub run_once: bool,
    /// `timeout`; the step's own default when `None`.
    pub timeout: Option<Duration>,
    /// `ignore_errors`: when it fails, that is said, and the play goes on as if it had not. A host that cannot be reached
    /// is no such failure.
    pub ignore_errors: bool,
    /// `undo`: performed on every host of the batch, rotator first, when this task fails on any.
    pub undo: Vec<Task>,
}
