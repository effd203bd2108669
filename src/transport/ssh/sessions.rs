//! How many sessions a host takes at once: what sshd usually allows, and less where it turned out to allow less.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{AcquireError, Semaphore, SemaphorePermit};

/// sshd allows 10 sessions a connection; two are left for those that are still closing.
const USUAL: usize = 8;

/// The sessions of one host.
pub(super) struct Sessions {
    free: Semaphore,
    /// How many there are, free and taken. Never less than one.
    all: AtomicUsize,
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            free: Semaphore::new(USUAL),
            all: AtomicUsize::new(USUAL),
        }
    }
}

impl Sessions {
    /// Waits for one.
    pub(super) async fn one(&self) -> Result<SemaphorePermit<'_>, AcquireError> {
        self.free.acquire().await
    }

    /// The server refused this one: from now on there is one less, unless it was the last, which is given back.
    pub(super) fn fewer<'a>(&self, refused: SemaphorePermit<'a>) -> Option<SemaphorePermit<'a>> {
        let less = |all: usize| (all > 1).then(|| all - 1);
        let lowered = self
            .all
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        if lowered.is_err() {
            return Some(refused);
        }
        refused.forget();
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_refusal_takes_one_away_and_the_last_one_stays() {
        let sessions = Sessions::default();
        for _ in 1..USUAL {
            let one = sessions.one().await.unwrap();
            assert!(sessions.fewer(one).is_none());
        }
        let last = sessions.one().await.unwrap();
        assert!(sessions.fewer(last).is_some());
        assert_eq!(sessions.free.available_permits(), 1);
    }
}
