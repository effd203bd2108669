//! The facts that waits look at; the one file that knows which they are.

use crate::facts::{
    FactError, Journal, JournalSince, Knocked, Overlay, Probe, Scope, Unit, UnitState,
};
use crate::k3s::journal::{is_newer_than_datastore, is_refused_by_own_copy, wants_other_token};
use crate::k3s::knock::{Heard, Knock};
use crate::model::HostName;
use crate::steps::look::{Blind, Freshness, Seen};
use crate::template::Vars;
use crate::wire::Become;

/// How many lines of a unit's journal are quoted.
const LINES: u32 = 20;

/// The unit as it is now.
pub(super) async fn unit(
    scope: &Scope,
    host: &HostName,
    unit: &str,
) -> Result<UnitState, FactError> {
    let name = unit.to_owned();
    scope.look(host, Unit { name }).await
}

/// What the supervisor says to a secret.
pub(super) async fn knock(
    scope: &Scope,
    host: &HostName,
    knock: Knock,
) -> Result<Heard, FactError> {
    let heard = scope.look(host, Knocked(vec![knock])).await?;
    let silence = || Heard::NotYet("there was no answer".to_owned());
    Ok(heard.into_iter().next().unwrap_or_else(silence))
}

/// The revision of the etcd member on a host.
pub(super) async fn revision(scope: &Scope, host: &HostName) -> Result<u64, FactError> {
    let (root, vars, overlay) = (Become::Root, Vars::default(), Overlay::default());
    let probe = Probe::new(host, &root, &vars, scope, &overlay);
    let seen = Seen::look(&probe, host, Freshness::Lately).await;
    let member = seen
        .map(|seen| seen.member())
        .map_err(|blind| match blind {
            Blind::Unasked(error) => error,
            Blind::Faulty(fault) => FactError::Unreadable {
                what: format!("the set-up of {host}"),
                why: fault.what,
            },
        })?;
    let member = scope.look(host, member).await?;
    let unreadable = || FactError::Unreadable {
        what: format!("the etcd revision of {host}"),
        why: member.said.clone(),
    };
    member.revision.ok_or_else(unreadable)
}

/// Whether an attempt to start K3s was refused for its token, or for what its passwd says: the next one will be, too. A copy of
/// the datastore of its own says less: the server that it joins may help in a moment (measured: ha-member-away).
pub(super) async fn is_refused(scope: &Scope, host: &HostName, invocation: &str) -> bool {
    let invocation = invocation.to_owned();
    let lines = scope.look(host, JournalSince { invocation }).await;
    let mut lines = lines.ok().flatten().into_iter().flatten();
    lines.any(|line| {
        wants_other_token(&line) && !is_refused_by_own_copy(&line) || is_newer_than_datastore(&line)
    })
}

/// The last lines of a unit's journal.
pub(super) async fn journal(
    scope: &Scope,
    host: &HostName,
    unit: &str,
) -> Result<Vec<String>, FactError> {
    let unit = unit.to_owned();
    scope.look(host, Journal { unit, lines: LINES }).await
}
