//! Fleets that are looked at without a playbook, and such that a command can do without.

use std::num::NonZeroUsize;

use camino::Utf8PathBuf;
use clap::{ArgAction, Args};

use super::{ExtraVar, FORKS, Hosts, Reach, Unshown};

/// Looking at hosts, without any playbook.
#[derive(Debug, Clone, Args)]
pub struct Glance {
    /// Which hosts.
    #[command(flatten)]
    pub hosts: Hosts,
    /// How they are looked at.
    #[command(flatten)]
    pub view: View,
    /// Which nodes are left out on purpose; only `doctor` asks for it.
    #[arg(skip)]
    pub nodes: Nodes,
    /// What is known and let through; only `doctor` asks for it.
    #[arg(skip)]
    pub accepted: Accepted,
}

/// Nodes that exist and that nobody visits on purpose.
#[derive(Debug, Clone, Default, Args)]
pub struct Nodes {
    /// Nodes that exist and are not in the inventory on purpose, such as autoscaled ones; with `*`.
    #[arg(long, value_name = "PATTERN", action = ArgAction::Append)]
    pub expect_unmanaged: Vec<String>,
    /// A node that exists and that nobody visits on purpose, such as one of a dead machine; its exact name.
    #[arg(long, value_name = "NAME", action = ArgAction::Append)]
    pub ignore_node: Vec<String>,
}

/// What a rotation is refused for unless the operator says so.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct Accepted {
    /// Goes on where nobody has measured a rotation on this kind of cluster.
    #[arg(long)]
    pub unmeasured: bool,
    /// Goes on where etcd has no quorum while a server restarts: with two members, or with one too many that is gone.
    #[arg(long)]
    pub accept_quorum_loss: bool,
}

/// How hosts are looked at.
#[derive(Debug, Clone, Args)]
pub struct View {
    /// How hosts are reached.
    #[command(flatten)]
    pub reach: Reach,
    /// Hosts at once.
    #[arg(short, long, value_name = "NUMBER", default_value = FORKS)]
    pub forks: NonZeroUsize,
    /// The result as JSON on stdout.
    #[arg(long)]
    pub json: bool,
    /// Where keyroll keeps its own files.
    #[arg(long, value_name = "FOLDER", env = "KEYROLL_STATE_DIR")]
    pub state_dir: Option<Utf8PathBuf>,
}

/// Which fleet is meant, if any, and how it is looked at.
#[derive(Debug, Clone, Args)]
pub struct Aim {
    /// A file, or sim:3+8 for a simulated fleet.
    #[arg(short, long, value_name = "INVENTORY")]
    pub inventory: Option<String>,
    /// Only these hosts are looked at.
    #[arg(short, long, value_name = "PATTERN", requires = "inventory")]
    pub limit: Option<String>,
    /// A variable, KEY=VALUE or JSON; wins over all others. Never a secret.
    #[arg(short, long = "extra-vars", value_name = "VARS", action = ArgAction::Append, requires = "inventory")]
    pub extra_vars: Vec<Unshown<ExtraVar>>,
    /// How it is looked at.
    #[command(flatten)]
    pub view: View,
}

impl Aim {
    /// Which hosts to look at, and how; `None` when no fleet is named.
    #[must_use]
    pub fn glance(&self) -> Option<Glance> {
        Some(Glance {
            hosts: Hosts {
                inventory: self.inventory.clone()?,
                limit: self.limit.clone(),
                extra_vars: self.extra_vars.clone(),
            },
            view: self.view.clone(),
            nodes: Nodes::default(),
            accepted: Accepted::default(),
        })
    }
}
