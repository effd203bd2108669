//! Time, handed in: the real clock, or a simulated fleet's own on which ten minutes take milliseconds.
//!
//! On a paused tokio runtime every sleep ends as soon as nothing else is left to do, so virtual time needs no
//! code of its own: this type only tells what time it is and scales sleeps for `--pace 10x`.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// A clock that starts at a given moment and runs with tokio's time, `pace` times as fast.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: Timestamp,
    started: Instant,
    pace: u32,
}

impl Clock {
    /// A clock that shows `origin` now. `pace` 1 is real; a paused runtime makes any pace instant.
    #[must_use]
    pub fn starting_at(origin: Timestamp, pace: u32) -> Self {
        Self {
            origin,
            started: Instant::now(),
            pace: pace.max(1),
        }
    }

    /// What this clock shows.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let gone = self.started.elapsed() * self.pace;
        self.origin
            .saturating_add(jiff::SignedDuration::try_from(gone).unwrap_or_default())
            .unwrap_or(self.origin)
    }

    /// Waits until this clock has moved by `duration`.
    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration / self.pace).await;
    }

    /// Runs `work` for at most `limit` of this clock; `None` when it was cut off.
    pub async fn within<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout(limit / self.pace, work).await.ok()
    }
}
