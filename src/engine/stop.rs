//! Stopping has levels, not a switch: each signal raises the level, and each level says what the next one does.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// How far the user has gone in asking to stop. Only ever goes up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum StopLevel {
    /// Not at all.
    #[default]
    Run,
    /// Hosts whose first task of a batch has started finish the batch's tasks; nothing new starts.
    FinishVisits,
    /// Operations that have started end; waits are cut.
    FinishOps,
    /// Leave at once.
    Abandon,
}

impl StopLevel {
    /// The level after one more signal.
    #[must_use]
    pub fn raised(self) -> Self {
        match self {
            Self::Run => Self::FinishVisits,
            Self::FinishVisits => Self::FinishOps,
            Self::FinishOps | Self::Abandon => Self::Abandon,
        }
    }

    /// What happens now, and what the next signal does.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Run => "running",
            Self::FinishVisits => {
                "stopping: hosts that were begun are finished, nothing new starts; \
                 Ctrl-C again ends after the operations under way"
            }
            Self::FinishOps => {
                "stopping: operations under way are finished, hosts may be left half done; \
                 Ctrl-C again leaves at once"
            }
            Self::Abandon => {
                "leaving: what was under way on the hosts goes on there until its deadline"
            }
        }
    }
}

/// Raises the level with each SIGINT, SIGTERM or SIGHUP; returns some time after the third.
///
/// # Errors
/// When the signals cannot be listened to.
pub async fn raise_on_signals(level: watch::Sender<StopLevel>) -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    while *level.borrow() < StopLevel::Abandon {
        next_of(&mut interrupt, &mut terminate, &mut hangup).await;
        level.send_modify(|level| *level = level.raised());
    }
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    Ok(())
}

async fn next_of(interrupt: &mut Signal, terminate: &mut Signal, hangup: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::StopLevel::{self, Abandon, FinishOps, FinishVisits, Run};

    #[test]
    fn three_signals_lead_from_running_to_leaving_and_each_level_says_what_the_next_does() {
        let levels: Vec<StopLevel> = std::iter::successors(Some(Run), |level| Some(level.raised()))
            .take(5)
            .collect();
        assert_eq!(levels, [Run, FinishVisits, FinishOps, Abandon, Abandon]);
        assert!(FinishVisits.text().contains("Ctrl-C again ends after"));
        assert!(FinishOps.text().contains("Ctrl-C again leaves"));
    }
}
