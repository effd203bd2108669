//! One host of the fleet.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{Disk, Unit};
use crate::model::{HostName, HostTime};
use crate::sim::agent::Agent;
use crate::sim::fault::Fault;
use crate::sim::kube::Node;
use crate::sim::server::Server;
use crate::sim::settings::Settings;
use crate::sim::version::Version;

/// The K3s process of a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Life {
    /// There is none.
    Down,
    /// A server that is starting; it answers from halfway on, with 503.
    Starting(Box<Server>, HostTime),
    /// A server that serves.
    Up(Box<Server>),
    /// An agent that tries to join.
    Joining(Box<Agent>),
    /// An agent whose kubelet runs.
    Joined(Box<Agent>),
}

impl Life {
    /// What the process was told when it started.
    #[must_use]
    pub fn settings(&self) -> Option<&Settings> {
        match self {
            Self::Down => None,
            Self::Starting(server, _) | Self::Up(server) => Some(&server.settings),
            Self::Joining(agent) | Self::Joined(agent) => Some(&agent.settings),
        }
    }
}

/// A host.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an own fact of the host, set and read apart"
)]
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Host {
    /// As the inventory calls it.
    pub name: HostName,
    /// Its address.
    pub address: String,
    /// Server or agent.
    pub is_server: bool,
    /// Its files.
    pub disk: Disk,
    /// The unit of K3s.
    pub unit: Unit,
    /// The process of K3s.
    pub life: Life,
    /// Its node and lease, as the cluster keeps them; `None` before it joined.
    pub node: Option<Node>,
    /// What `journalctl -u` shows.
    pub journal: VecDeque<String>,
    /// The `InvocationID` of each of these lines.
    #[serde(default)]
    pub(super) journal_of: VecDeque<String>,
    /// What goes wrong here on purpose.
    pub faults: Vec<Fault>,
    /// How often something was changed here from outside.
    pub changes: usize,
    /// When it booted.
    pub booted: HostTime,
    /// How far its clock is ahead, in microseconds.
    pub skew: i64,
    /// Whether it is an etcd member.
    pub is_member: bool,
    /// How many members it has left behind in etcd when it was installed anew: they never answer.
    #[serde(default)]
    pub stale_members: u8,
    /// The k3s program on its disk, where it is another one than the fleet's.
    #[serde(default)]
    pub program: Option<Version>,
    /// Whether it is out of reach now.
    pub away: bool,
    /// Whether it takes connections and answers nothing.
    #[serde(default)]
    pub frozen: bool,
    pub(super) epoch: u64,
    pub(super) connections: u64,
    pub(super) settled: bool,
    pub(super) starts_after_stop: bool,
    pub(super) former: Option<(String, Vec<u8>)>,
    /// Until when the cluster lists a kube-apiserver here that has ended.
    #[serde(default)]
    pub(super) listed_until: Option<HostTime>,
}

/// How many lines of the journal are kept.
const JOURNAL: usize = 1200;

impl Host {
    /// Whether a fault was asked for here.
    #[must_use]
    pub fn has(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }

    /// Takes a fault that works once; `false` when it is not there (any more).
    pub(super) fn spend(&mut self, fault: Fault) -> bool {
        let before = self.faults.len();
        if self.settled {
            self.faults.retain(|known| *known != fault);
        }
        self.faults.len() < before
    }

    /// The host's own clock.
    #[must_use]
    pub fn time(&self, now: HostTime) -> HostTime {
        HostTime(now.0 + self.skew)
    }

    /// The process, when a server serves here.
    #[must_use]
    pub fn serving(&self) -> Option<&Server> {
        match &self.life {
            Life::Up(server) => Some(server),
            _ => None,
        }
    }

    /// Whether a kube-apiserver serves here.
    pub(super) fn has_apiserver(&self) -> bool {
        let serves = |server: &Server| !server.settings.is_set("disable-apiserver");
        self.serving().is_some_and(serves)
    }

    /// What `/proc/PID/cmdline` holds of the running process, which hides its arguments.
    pub(super) fn title(&self, path: &str) -> Option<String> {
        let running = self.unit.main_pid != 0;
        let kind = if self.is_server { "server" } else { "agent" };
        let known = format!("/proc/{}/cmdline", self.unit.main_pid);
        (running && path == known).then(|| format!("k3s {kind} "))
    }

    pub(super) fn log(&mut self, line: impl Into<String>) {
        if self.journal.len() >= JOURNAL {
            self.journal.pop_front();
            self.journal_of.pop_front();
        }
        self.journal_of.push_back(self.unit.invocation.clone());
        self.journal.push_back(line.into());
    }
}
