//! Nodes and leases as the cluster tells them: with the lag that makes `Ready` prove so little.

pub mod endpoints;
mod json;
pub mod namespace;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::token;
use super::version::Version;
use super::world::after;
use crate::model::HostTime;

pub use json::{leases_json, nodes_json, version_json};

/// How often a kubelet renews its lease.
const RENEWAL: Duration = Duration::from_secs(10);
/// How long a node stays Ready after its last renewal.
const GRACE: Duration = Duration::from_secs(50);

/// A node object and its lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its name, which need not be the host's.
    pub name: String,
    /// Internal address.
    pub address: String,
    /// When it was registered.
    pub created: HostTime,
    /// Roles such as `control-plane` and `etcd`; none for an agent.
    pub roles: Vec<String>,
    /// `k3s.io/node-args`
    pub args: String,
    /// `k3s.io/node-env`
    pub env: String,
    /// `k3s.io/encryption-config-hash`, on a server that encrypts secrets.
    #[serde(default)]
    pub encryption: Option<String>,
    /// Which K3s its kubelet is.
    #[serde(default)]
    pub version: Version,
    /// Whether its kubelet, which renews the lease, says that it is not ready.
    #[serde(default)]
    pub unready: bool,
    /// Since when it is Ready.
    pub ready_since: HostTime,
    /// The last renewal before the present process.
    pub last: HostTime,
    /// The first renewal of the present process; `None` while there is none.
    pub beat: Option<HostTime>,
    /// How far its clock is ahead, in microseconds.
    pub skew: i64,
}

impl Node {
    /// The last renewal of the lease at a moment.
    #[must_use]
    pub fn renewed(&self, now: HostTime) -> HostTime {
        match self.beat {
            Some(first) if first <= now => {
                let period = i64::try_from(RENEWAL.as_micros()).unwrap_or(1);
                HostTime(first.0 + (now.0 - first.0) / period * period)
            }
            _ => self.last,
        }
    }

    /// The kubelet renews from `first` on.
    pub fn begin(&mut self, first: HostTime) {
        if after(self.last, GRACE) < first {
            self.ready_since = first;
        }
        self.beat = Some(first);
    }

    /// The kubelet has died.
    pub fn end(&mut self, now: HostTime) {
        self.last = self.renewed(now);
        self.beat = None;
    }

    /// Whether the cluster still calls it Ready.
    #[must_use]
    pub fn is_ready(&self, now: HostTime) -> bool {
        now <= after(self.renewed(now), GRACE)
    }

    fn is_member(&self) -> bool {
        self.roles.iter().any(|role| role == "etcd")
    }
}

/// A UUID that depends on its text alone.
#[must_use]
pub fn uid(text: &str) -> String {
    let hash = token::sha256(text.as_bytes());
    let part = |from: usize, to: usize| hash.get(from..to).unwrap_or_default();
    format!(
        "{}-{}-4{}-9{}-{}",
        part(0, 8),
        part(8, 12),
        part(13, 16),
        part(17, 20),
        part(20, 32)
    )
}

#[cfg(test)]
mod tests;
