//! What is done to a host from outside: power, cable, faults that come and go.

use std::time::Duration;

use super::{Event, Fleet, Life, State, furnish};
use crate::model::HostName;
use crate::sim::agent;
use crate::sim::fault::Fault;
use crate::sim::settings::Settings;
use crate::sim::token::Token;
use crate::sim::tokens;
use crate::sim::world::{Asked, Files as _};

/// How far a skewed clock is ahead, in microseconds.
pub(super) const AHEAD: i64 = 90_000_000;

impl Fleet {
    /// A line turns up in the journal of a host's unit.
    pub fn journal_says(&mut self, name: &HostName, line: &str) {
        if let Some(host) = self.host_mut(name) {
            host.log(line);
        }
    }

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

    /// What happens to a host after its unit was told to restart.
    pub(super) fn restarted(&mut self, at: usize) {
        let Some(host) = self.hosts.get_mut(at) else {
            return;
        };
        if host.spend(Fault::UnreachableAtRestart) {
            host.away = true;
            self.later(at, Duration::from_mins(5), Event::Return);
        } else if host.spend(Fault::Frozen) {
            self.later(at, Duration::from_secs(2), Event::Freeze);
        } else if host.spend(Fault::PowerCut) {
            self.later(at, Duration::from_secs(10), Event::PowerCut);
        }
    }

    /// Something befalls a host.
    pub(super) fn meddle(&mut self, at: usize, event: Event) {
        let now = self.now;
        let Some(host) = self.hosts.get_mut(at) else {
            return;
        };
        let name = host.name.clone();
        match event {
            Event::Freeze => {
                host.frozen = true;
                host.epoch += 1;
                host.life = Life::Down;
                if let Some(node) = &mut host.node {
                    node.end(now);
                }
            }
            Event::PowerCut => self.switch_off(&name),
            Event::RotateByHand => self.rotate_by_hand(at),
            _ => {}
        }
    }

    /// A person shows the token that is configured, and lets K3s draw a new one.
    fn rotate_by_hand(&mut self, at: usize) {
        let server = self.hosts.get(at).and_then(super::Host::serving);
        let shown = server.and_then(|server| server.settings.token.clone());
        let body = tokens::body("");
        let asked = Asked {
            method: "PUT",
            path: "/v1-k3s/token",
            basic: Some(("server", &Token::secret_of(&shown.unwrap_or_default()))),
            bearer: None,
            body: &body,
        };
        // Whether it works is that person's trouble.
        self.ask(at, asked).ok();
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
            Fault::ClockSkew => {
                host.skew = AHEAD;
                if let Some(node) = &mut host.node {
                    node.skew = AHEAD;
                }
            }
            Fault::NotReady => {
                if let Some(node) = &mut host.node {
                    node.unready = true;
                }
            }
            Fault::UnitMissing => {
                host.disk.remove(&host.unit.fragment).ok();
            }
            Fault::UnitMasked => {
                host.disk.symlink("/dev/null", &host.unit.fragment).ok();
            }
            _ => {}
        }
    }

    /// What goes wrong on a host on purpose ends. A file that was changed stays changed.
    pub fn heal(&mut self, name: &HostName) {
        if let Some(host) = self.host_mut(name) {
            host.faults.clear();
            (host.disk.full, host.disk.etc_read_only) = (false, false);
            (host.away, host.frozen) = (false, false);
            if let Some(node) = &mut host.node {
                node.unready = false;
            }
        }
    }
}
