//! The facts that waits look at; the one file that knows which they are.

use crate::facts::{EtcdMember, FactError, Journal, Knocked, Scope, Unit, UnitState, Units};
use crate::k3s::knock::{Heard, Knock};
use crate::model::HostName;

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
    let units = scope.look(host, Units).await?;
    let k3s = units.first().and_then(|unit| unit.text.argv.first());
    let k3s = k3s.map_or("k3s", String::as_str).into();
    let member = scope.look(host, EtcdMember { k3s }).await?;
    let unreadable = || FactError::Unreadable {
        what: format!("the etcd revision of {host}"),
        why: member.said.clone(),
    };
    member.revision.ok_or_else(unreadable)
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
