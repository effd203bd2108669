//! `-i sim:3+8?state=FILE&fault=agent-2:unreachable`: which fleet is wanted, read with carets for mistakes.

mod error;
mod kept;
mod parse;
mod shape;

use camino::Utf8PathBuf;
use indexmap::{IndexMap, IndexSet};

use super::fault::Fault;
use super::version::Version;
use crate::inventory::{Connect, Host, Inventory};
use crate::model::{GroupName, HostName};

pub use error::SpecError;
pub use kept::Raised;
pub use parse::parse;
pub use shape::{Installer, Joins, Shape, Surface};

/// What keeps the simulated cluster's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Datastore {
    /// The only server's own file.
    Sqlite,
    /// Embedded etcd, a member on each server.
    Etcd,
    /// A database that all servers share.
    External,
}

/// Which fleet is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// The string.
    pub text: String,
    /// At least one.
    pub servers: usize,
    /// Any number.
    pub agents: usize,
    /// What keeps the data; one server has sqlite unless asked otherwise.
    pub datastore: Datastore,
    /// Which K3s runs on it.
    pub version: Version,
    /// Draws names, times and secrets.
    pub seed: u64,
    /// Where the fleet is kept between commands.
    pub state: Option<Utf8PathBuf>,
    /// What goes wrong on purpose.
    pub faults: Vec<(HostName, Fault)>,
    /// Whether requests without a model are assumed to succeed.
    pub unknown_ok: bool,
    /// How it differs from what the installer leaves.
    pub shape: Shape,
}

impl Spec {
    /// All hosts in order: name, whether it is a server, position.
    pub fn hosts(&self) -> impl Iterator<Item = (HostName, bool, usize)> {
        let servers = self.servers;
        (0..servers + self.agents).filter_map(move |at| {
            let name = if at < servers {
                format!("server-{}", at + 1)
            } else {
                format!("agent-{}", at - servers + 1)
            };
            Some((HostName::new(&name).ok()?, at < servers, at))
        })
    }

    /// The address of the host at a position.
    #[must_use]
    pub fn address(at: usize) -> String {
        format!("10.0.{}.{}", 1 + at / 250, 1 + at % 250)
    }

    /// The inventory of this fleet: groups `server`, `agent` and both in `k3s_cluster`.
    #[must_use]
    pub fn inventory(&self) -> Inventory {
        let mut inventory = Inventory::default();
        let mut groups: IndexMap<&str, IndexSet<HostName>> = IndexMap::new();
        for group in ["all", "ungrouped", "k3s_cluster", "server", "agent"] {
            groups.insert(group, IndexSet::new());
        }
        for (name, is_server, at) in self.hosts() {
            let own = if is_server { "server" } else { "agent" };
            for group in ["all", "k3s_cluster", own] {
                groups.entry(group).or_default().insert(name.clone());
            }
            inventory.hosts.insert(name, entry(at));
        }
        let named = groups
            .into_iter()
            .filter_map(|(name, hosts)| Some((GroupName::new(name).ok()?, hosts)));
        inventory.groups = named.collect();
        inventory
    }
}

fn entry(at: usize) -> Host {
    let address = Spec::address(at);
    let vars = [(
        "ansible_host".to_owned(),
        minijinja::Value::from(address.clone()),
    )];
    Host {
        vars: std::sync::Arc::new(vars.into_iter().collect()),
        connect: Connect {
            address: Some(address),
            ..Connect::default()
        },
    }
}

#[cfg(test)]
mod tests;
