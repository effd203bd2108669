//! A whole fleet in memory: hosts with files, units and processes, one datastore, one queue of what happens next.
//!
//! Nothing runs in between: asked at a moment, the fleet first lets everything happen that was due by then.
//! Leases and Ready are computed from a few times of each node, so that 10,000 idle hosts cost nothing.

mod build;
mod cli;
mod cluster;
mod command;
mod copy;
mod disk;
mod due;
mod furnish;
mod host;
mod join_tokens;
mod journal;
mod k3s;
mod leftovers;
mod life;
mod meddle;
mod perform;
mod show;
mod store;
mod systemctl;
mod unit;

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::spec::{Raised, Spec, SpecError};
use super::version::Version;
use crate::model::{HostName, HostTime};

pub use disk::Disk;
pub use due::{Due, Event};
pub use host::{Host, Life};
pub use perform::{Reply, Trouble};
pub use store::Store;
pub use unit::{Loaded, State, Unit};

/// The fleet.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Fleet {
    now: HostTime,
    began: HostTime,
    seed: u64,
    version: Version,
    hosts: Vec<Host>,
    /// What it was raised with; a kept one goes on with it.
    #[serde(default)]
    raised: Raised,
    store: Store,
    queue: BTreeSet<Due>,
    drawn: u64,
    /// Requests that were assumed to succeed (`unknown=ok`), each once.
    assumed: BTreeSet<String>,
    unknown_ok: bool,
    most_down: usize,
    #[serde(skip)]
    by_name: HashMap<HostName, usize>,
    #[serde(skip)]
    by_address: HashMap<String, usize>,
    #[serde(skip)]
    servers: Vec<usize>,
}

impl Fleet {
    /// Raises a fresh fleet that has been running for a day.
    #[must_use]
    pub fn raise(spec: &Spec, now: HostTime) -> Self {
        build::raise(spec, now)
    }

    /// Takes a kept fleet up again.
    ///
    /// # Errors
    /// When the text is not a kept fleet.
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        let mut fleet: Self = serde_json::from_str(text)?;
        fleet.index();
        Ok(fleet)
    }

    /// Goes on with a kept fleet as a string asks for it: its faults strike from now on, beside those that are left.
    ///
    /// # Errors
    /// When the string asks for a fleet of another kind.
    pub fn take_up(&mut self, spec: &Spec) -> Result<(), SpecError> {
        spec.fits(&self.raised)?;
        self.unknown_ok |= spec.unknown_ok;
        for (name, fault) in &spec.faults {
            if self.host(name).is_some_and(|host| !host.has(*fault)) {
                self.inflict(name, *fault);
            }
        }
        Ok(())
    }

    /// The whole fleet as text, to be kept.
    ///
    /// # Errors
    /// Never in practice: every value has a JSON form.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    fn index(&mut self) {
        let of = |host: &Host, at: usize| (host.name.clone(), at);
        let hosts = || self.hosts.iter().enumerate();
        self.by_name = hosts().map(|(at, host)| of(host, at)).collect();
        self.by_address = hosts().map(|(at, h)| (h.address.clone(), at)).collect();
        self.servers = hosts()
            .filter(|(_, host)| host.is_server)
            .map(|(at, _)| at)
            .collect();
    }

    /// What the fleet's clock shows.
    #[must_use]
    pub fn now(&self) -> HostTime {
        self.now
    }

    /// A host.
    #[must_use]
    pub fn host(&self, name: &HostName) -> Option<&Host> {
        self.hosts.get(*self.by_name.get(name)?)
    }

    /// A host, to be changed from outside: a person at its keyboard.
    pub fn host_mut(&mut self, name: &HostName) -> Option<&mut Host> {
        let at = *self.by_name.get(name)?;
        self.hosts.get_mut(at)
    }

    /// All hosts, servers first.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// How often anything was changed from outside, on all hosts.
    #[must_use]
    pub fn changes(&self) -> usize {
        self.hosts.iter().map(|host| host.changes).sum()
    }

    /// Requests that had no model and were assumed to succeed.
    #[must_use]
    pub fn assumed(&self) -> Vec<String> {
        self.assumed.iter().cloned().collect()
    }

    /// A number that differs each time and is the same in every run.
    fn draw(&mut self) -> u64 {
        self.drawn += 1;
        let mut x = self.seed ^ self.drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }
}

#[cfg(test)]
mod tests;
