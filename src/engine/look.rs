//! The facts that waits and gates look at; the one file that knows which they are.

use crate::facts::{Fact, FactError, Scope};
use crate::k3s::knock::{Heard, Knock};
use crate::model::{HostName, HostTime};
use crate::wire::{Command, Query, Ran, Response};

/// What systemd says of a unit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct UnitState {
    pub(super) active_state: String,
    pub(super) sub_state: String,
    pub(super) n_restarts: u64,
    pub(super) invocation: String,
    pub(super) started: Option<HostTime>,
    pub(super) now: Option<HostTime>,
    pub(super) result: String,
}

/// An etcd member's own state.
#[derive(Debug, Clone, Copy)]
pub(super) struct MemberState {
    pub(super) revision: u64,
}

struct Asked(Command);

impl Fact for Asked {
    type Value = Ran;

    fn queries(&self) -> Vec<Query> {
        vec![Query::Run(self.0.clone())]
    }

    fn parse(&self, responses: &[Response]) -> Result<Ran, FactError> {
        match responses {
            [Response::Ran(ran)] => Ok(ran.clone()),
            _ => Err(FactError::Unreadable {
                what: self.0.argv.join(" "),
                why: "no answer".to_owned(),
            }),
        }
    }
}

/// The unit as it is now.
pub(super) async fn unit(
    scope: &Scope,
    host: &HostName,
    unit: &str,
) -> Result<UnitState, FactError> {
    let ran = scope
        .look(host, Asked(Command::new(["systemctl", "show", unit])))
        .await?;
    let mut state = UnitState::default();
    for line in ran.stdout.text().lines() {
        match line.split_once('=') {
            Some(("ActiveState", value)) => value.clone_into(&mut state.active_state),
            Some(("SubState", value)) => value.clone_into(&mut state.sub_state),
            Some(("InvocationID", value)) => value.clone_into(&mut state.invocation),
            Some(("Result", value)) => value.clone_into(&mut state.result),
            _ => {}
        }
    }
    Ok(state)
}

/// What the supervisor says to a secret.
pub(super) async fn knock(
    scope: &Scope,
    host: &HostName,
    knock: Knock,
) -> Result<Heard, FactError> {
    let ran = scope.look(host, Asked(knock.command())).await?;
    Ok(knock.heard(ran.status, &ran.stdout.text(), &ran.stderr.text()))
}

/// The etcd member on a host.
pub(super) async fn member(scope: &Scope, host: &HostName) -> Result<MemberState, FactError> {
    let ran = scope
        .look(host, Asked(Command::new(["k3s", "etcd-revision"])))
        .await?;
    Ok(MemberState {
        revision: ran.stdout.text().trim().parse().unwrap_or_default(),
    })
}

/// The last lines of a unit's journal.
pub(super) async fn journal(
    scope: &Scope,
    host: &HostName,
    unit: &str,
) -> Result<String, FactError> {
    let ran = scope
        .look(
            host,
            Asked(Command::new(["journalctl", "-n", "20", "-u", unit])),
        )
        .await?;
    Ok(ran.stdout.text().into_owned())
}

impl UnitState {
    /// Whether systemd has given up on it.
    pub(super) fn is_dead(&self) -> bool {
        self.active_state == "failed"
    }

    /// Its state for people.
    pub(super) fn words(&self) -> String {
        format!(
            "{} ({}), its result is {}",
            self.active_state, self.sub_state, self.result
        )
    }
}
