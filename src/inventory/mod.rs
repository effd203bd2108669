//! Ansible inventories: which hosts there are, how to reach them, what is known of each.

use indexmap::{IndexMap, IndexSet};

use crate::model::{GroupName, HostName};
use crate::template::Vars;

/// Hosts and groups in the order of the file. The groups `all` and `ungrouped` are always there.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    /// Each host once.
    pub hosts: IndexMap<HostName, Host>,
    /// Each group with all hosts below it, its own and its children's, in the file's order.
    pub groups: IndexMap<GroupName, IndexSet<HostName>>,
}

/// One host.
#[derive(Debug, Clone, Default)]
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
