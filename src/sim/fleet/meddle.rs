//! What is done to a host from outside: power, cable, faults that come and go.

use super::{Event, Fleet, State, furnish};
use crate::model::HostName;
use crate::sim::agent;
use crate::sim::fault::Fault;
use crate::sim::settings::Settings;
use crate::sim::world::Files as _;

/// How far a skewed clock is ahead, in microseconds.
pub(super) const AHEAD: i64 = 90_000_000;

impl Fleet {
    /// A host is rebooted from outside.
    pub fn reboot_now(&mut self, name: &HostName) {
        if let Some(at) = self.by_name.get(name).copied() {
            self.happen(at, Event::Reboot);
        }
    }

    /// A host loses its power; its disk stays.
    pub fn switch_off(&mut self, name: &HostName) {
        if let Some(at) = self.by_name.get(name).copied() {
            self.end(at, State::Inactive);
            self.unplug(name, true);
        }
    }

    /// A host gets its power back, and boots.
    pub fn switch_on(&mut self, name: &HostName) {
        self.unplug(name, false);
        self.reboot_now(name);
    }

    /// A host's cable is pulled (`true`) or put back; what runs there runs on.
    pub fn unplug(&mut self, name: &HostName, away: bool) {
        if let Some(host) = self.host_mut(name) {
            host.away = away;
        }
    }

    /// From now on something goes wrong on a host on purpose.
    pub fn inflict(&mut self, name: &HostName, fault: Fault) {
        let now = self.now;
        let Some(host) = self.host_mut(name) else {
            return;
        };
        host.faults.push(fault);
        host.disk.full |= fault == Fault::DiskFull;
        host.disk.etc_read_only |= fault == Fault::ReadOnlyEtc;
        host.disk.now = host.time(now);
        match fault {
            Fault::ForeignToken => furnish::foreign(host),
            Fault::NoCertificate => {
                let launch = host.unit.loaded.launch(&host.disk);
                if let Ok(settings) = Settings::resolve(&host.disk, &launch) {
                    host.disk.remove(&settings.path(agent::CERTIFICATE)).ok();
                }
            }
            Fault::ClockSkew => host.skew = AHEAD,
            _ => {}
        }
    }

    /// What goes wrong on a host on purpose ends. A file that was changed stays changed.
    pub fn heal(&mut self, name: &HostName) {
        if let Some(host) = self.host_mut(name) {
            host.faults.clear();
            (host.disk.full, host.disk.etc_read_only) = (false, false);
            host.away = false;
        }
    }
}
