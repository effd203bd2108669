//! Gates: health that must hold after a batch before anything later starts. Looked at anew each time, never
//! remembered, never taken from a journal.

mod rule;
mod sight;

use std::time::Duration;

use super::{Shared, StopLevel};
use crate::event::{EventKind, Failure};
use crate::exit::Exit;
use crate::model::{HostName, TaskKey};
use crate::playbook::Health;
use rule::{Rule, Verdict};
use sight::Sights;

/// Waits until the health rule holds on these hosts.
pub(super) async fn watch(
    shared: &Shared,
    key: &TaskKey,
    health: &Health,
    hosts: &[HostName],
) -> Result<(), Failure> {
    let clock = &shared.scope.clock;
    let end = clock
        .now()
        .saturating_add(span(health.timeout))
        .unwrap_or(jiff::Timestamp::MAX);
    let mut sights = Sights::new(&shared.scope, health, hosts);
    let mut rule = Rule::new(health.settle);
    let mut noted = false;
    let mut told = Vec::new();
    loop {
        let look = sights.look().await;
        if !std::mem::replace(&mut noted, true)
            && let Some(host) = hosts.first()
        {
            for text in sights.not_applicable() {
                let (key, host) = (key.clone(), host.clone());
                shared.bus.say(EventKind::Note { key, host, text }).await?;
            }
        }
        let because = match rule.judge(clock.now(), &look) {
            Verdict::Open => return Ok(()),
            Verdict::Closed(why) => return Err(closed(why)),
            Verdict::Waiting(because) => because,
        };
        if shared.level() > StopLevel::Run {
            return Err(left(because));
        }
        if clock.now() >= end {
            return Err(closed(late(health.timeout, because)));
        }
        if because != told {
            let event = EventKind::GateWaiting {
                key: key.clone(),
                because: because.clone(),
            };
            shared.bus.say(event).await?;
            told = because;
        }
        clock.sleep(health.interval).await;
    }
}

fn span(time: Duration) -> jiff::SignedDuration {
    jiff::SignedDuration::try_from(time).unwrap_or(jiff::SignedDuration::MAX)
}

fn late(timeout: Duration, because: Vec<String>) -> Vec<String> {
    let mut what = vec![format!("health did not hold within {}s", timeout.as_secs())];
    what.extend(because);
    what
}

fn closed(what: Vec<String>) -> Failure {
    Failure {
        what,
        next: vec![
            "heal what is named, then run the same command again; nothing later was started"
                .to_owned(),
        ],
        exit: Exit::GateClosed,
    }
}

fn left(because: Vec<String>) -> Failure {
    let mut what = vec!["stopped by the user before health held".to_owned()];
    what.extend(because);
    Failure {
        what,
        next: vec!["run the same command to go on; keyroll looks first".to_owned()],
        exit: Exit::Stopped,
    }
}
