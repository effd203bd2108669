//! `doctor`: what is wrong here, or on hosts.

use clap::Args;

use super::{Accepted, Aim, Glance, Nodes};

/// Shown above the help.
pub(super) const EXAMPLES: &str = "\
Examples:
  keyroll doctor                                       this machine: ssh, its settings, keyroll's own folder and locks
  keyroll doctor -i hosts.yml                          the inventory too
  keyroll doctor --hosts -i hosts.yml                  every host: why K3s does not run, what bad runbooks left there
  keyroll doctor --explain token-left-behind           what a name means, why it matters, what to do
  keyroll doctor --explain                             all names

Exits with 0 when nothing stands in the way, 4 when something does, 7 when a host cannot be looked at. Warnings change
nothing. Nothing is ever changed.
";

/// `doctor`.
#[derive(Debug, Clone, Args)]
pub struct Doctor {
    /// Looks at the hosts of the inventory too.
    #[arg(long = "hosts", requires = "inventory")]
    pub on_hosts: bool,
    /// Says what a finding means, why it matters and what to do; without a name, lists all names.
    #[arg(long, value_name = "NAME", num_args = 0..=1, default_missing_value = "", conflicts_with = "on_hosts")]
    pub explain: Option<String>,
    /// Which hosts, and how they are reached.
    #[command(flatten)]
    pub aim: Aim,
    /// Which nodes are left out on purpose.
    #[command(flatten)]
    pub nodes: Nodes,
    /// What is known and let through.
    #[command(flatten)]
    pub accepted: Accepted,
}

impl Doctor {
    /// Which hosts to look at, and how; `None` when no fleet is named.
    #[must_use]
    pub fn glance(&self) -> Option<Glance> {
        Some(Glance {
            nodes: self.nodes.clone(),
            accepted: self.accepted,
            ..self.aim.glance()?
        })
    }
}
