//! Asks the hosts and the API what the gate's rule judges.

use super::rule::{Sight, Unit};
use crate::engine::look;
use crate::facts::Scope;
use crate::model::HostName;
use crate::playbook::Health;

/// One look at all hosts of a gate.
pub(super) async fn look(scope: &Scope, health: &Health, hosts: &[HostName]) -> Vec<Sight> {
    let mut sights = Vec::new();
    let _ = health;
    for host in hosts {
        let unit = look::unit(scope, host, "k3s.service").await;
        let unit = unit.map_err(|e| e.to_string()).map(|u| Unit {
            name: "k3s.service".to_owned(),
            active_state: u.active_state,
            sub_state: u.sub_state,
            result: u.result,
            invocation: u.invocation,
            n_restarts: u.n_restarts,
            started: u.started,
            now: u.now,
        });
        sights.push(Sight {
            host: host.clone(),
            unit,
            node: None,
            etcd: None,
        });
    }
    sights
}
