//! Ansible inventories: which hosts there are, how to reach them, what is known of each.

mod build;
mod connect;
mod files;
mod ini;
mod names;
mod pattern;
mod raw;
mod read;
mod secrets;
mod settings;
mod stated;
mod vault;
mod yaml;

use indexmap::{IndexMap, IndexSet};

pub use pattern::{PatternError, select};
pub use read::{parse, read};

use crate::model::{GroupName, HostName};
use crate::source::Problems;
use crate::template::Vars;

/// Hosts and groups in the order of the file. The groups `all` and `ungrouped` are always there.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    /// Each host once.
    pub hosts: IndexMap<HostName, Host>,
    /// Each group with all hosts below it, its own and its children's, in the file's order.
    pub groups: IndexMap<GroupName, IndexSet<HostName>>,
    places: stated::Places,
    /// What is odd and no mistake: groups without hosts, hosts without a group.
    pub warnings: Problems,
}

/// One host.
#[derive(Clone, Default)]
pub struct Host {
    /// Variables with Ansible's precedence applied: host over child group over parent group over `all`.
    pub vars: Vars,
    /// How to reach it.
    pub connect: Connect,
}

/// What `ansible_*` variables and the command line say about reaching a host. Everything unset is left to
/// the user's own `ssh_config`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Connect {
    /// `ansible_host`; the host's name when unset.
    pub address: Option<String>,
    /// `ansible_port`.
    pub port: Option<u16>,
    /// `ansible_user`, or `-u`.
    pub user: Option<String>,
    /// `ansible_ssh_private_key_file`, or `--private-key`.
    pub private_key: Option<String>,
    /// `ansible_ssh_common_args` and `ansible_ssh_extra_args`, split as a shell does.
    pub args: Vec<String>,
    /// `ansible_become_password` or `ansible_sudo_pass`, or what `-K` asked for.
    pub become_password: Option<crate::secret::Secret>,
}

impl std::fmt::Debug for Host {
    // Variables may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&String> = self.vars.keys().collect();
        f.debug_struct("Host")
            .field("vars", &names)
            .field("connect", &self.connect)
            .finish()
    }
}
