//! What happens next: one queue for the whole fleet.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Fleet;
use crate::model::HostTime;
use crate::sim::world::after;

/// What happens to a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Event {
    /// systemd starts the process.
    Launch,
    /// The process says that it is ready.
    Ready,
    /// The process ends with status 1.
    Fail,
    /// An agent tries to join once more.
    Retry,
    /// The process dies and stays away.
    Die,
    /// The process dies, and systemd brings it back.
    Crash,
    /// A stop that hung comes to its end: killed.
    Killed,
    /// The host loses power and comes back.
    Reboot,
    /// Something writes a former configuration back.
    Revert,
    /// The host can be reached again.
    Return,
    /// The host takes connections and answers nothing.
    Freeze,
    /// The host loses its power.
    PowerCut,
    /// A person rotates by hand.
    RotateByHand,
}

impl Event {
    /// Whether it happens to the host, whatever has become of its process.
    fn is_outside(self) -> bool {
        matches!(
            self,
            Self::Reboot
                | Self::Revert
                | Self::Return
                | Self::Freeze
                | Self::PowerCut
                | Self::RotateByHand
        )
    }
}

/// An event, its time and the life that it belongs to: events of a former life are void.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Due {
    at: HostTime,
    order: u64,
    host: usize,
    epoch: u64,
    event: Event,
}

impl Fleet {
    /// Puts an event of the host's present life into the queue.
    pub(super) fn later(&mut self, at: usize, delay: Duration, event: Event) {
        let Some(epoch) = self.hosts.get(at).map(|host| host.epoch) else {
            return;
        };
        self.drawn += 1;
        self.queue.insert(Due {
            at: after(self.now, delay),
            order: self.drawn,
            host: at,
            epoch,
            event,
        });
    }

    /// Lets everything happen that is due by `now`.
    pub fn advance(&mut self, now: HostTime) {
        while let Some(due) = self.queue.first().copied().filter(|due| due.at <= now) {
            self.queue.remove(&due);
            self.now = self.now.max(due.at);
            let lives = self
                .hosts
                .get(due.host)
                .is_some_and(|host| host.epoch == due.epoch);
            if lives || due.event.is_outside() {
                self.happen(due.host, due.event);
            }
        }
        self.now = self.now.max(now);
    }
}
