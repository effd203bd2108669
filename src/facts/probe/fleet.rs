//! Who is who among the hosts.

use crate::model::HostName;

/// A host that runs K3s, by its place in the inventory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// As the inventory calls it.
    pub name: HostName,
    /// How ssh reaches it: `ansible_host`, or the name.
    pub address: String,
}

/// Who is who, whatever `--limit` says: groups `server` and `agent` of the inventory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fleet {
    /// In the inventory's order.
    pub servers: Vec<Member>,
    /// In the inventory's order.
    pub agents: Vec<Member>,
}

impl Fleet {
    /// Whether the inventory calls this host a server.
    #[must_use]
    pub fn is_server(&self, host: &HostName) -> bool {
        self.servers.iter().any(|member| member.name == *host)
    }
}
