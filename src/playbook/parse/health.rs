//! `health`: what must hold after a batch.

use std::time::Duration;

use super::Reader;
use crate::playbook::keywords::IN_HEALTH;
use crate::playbook::{Etcd, Health};
use crate::source::{Entry, Node};

/// Reads `health`.
pub(super) fn read(node: &Node, reader: &mut Reader<'_>) -> Option<Health> {
    let Some(entries) = node.entries() else {
        reader.wrong(
            node,
            "health",
            "a map such as `{ nodes: ready, timeout: 5m }`",
        );
        return None;
    };
    let mut health = Health {
        nodes_ready: false,
        etcd: Etcd::Nobody,
        settle: Duration::from_secs(30),
        timeout: Duration::from_mins(5),
        interval: Duration::from_secs(5),
    };
    for entry in entries {
        take(entry, &mut health, reader);
    }
    if health.settle >= health.timeout {
        let what = "`settle` is not shorter than `timeout`: the gate could never open";
        reader.problem("playbook::health", what, node.at, "give a longer `timeout`");
    }
    Some(health)
}

fn take(entry: &Entry, health: &mut Health, reader: &mut Reader<'_>) {
    let value = &entry.value;
    match entry.key.as_str() {
        "nodes" => health.nodes_ready = one_of(&["ready"], entry, reader).is_some(),
        "etcd" => {
            health.etcd = match one_of(&["voters", "visited"], entry, reader) {
                Some("voters") => Etcd::Voters,
                Some(_) => Etcd::Visited,
                None => Etcd::Nobody,
            }
        }
        "settle" => health.settle = reader.duration(value, "settle").unwrap_or(Duration::ZERO),
        "timeout" => health.timeout = reader.duration(value, "timeout").unwrap_or(Duration::MAX),
        "interval" => {
            if let Some(interval) = reader.duration(value, "interval") {
                health.interval = interval;
            }
            if health.interval.is_zero() {
                let what = "`interval` is the time between two looks: it cannot be 0";
                reader.problem("playbook::health", what, value.at, "the default is `5s`");
            }
        }
        key => reader.unknown(key, entry.at, &IN_HEALTH),
    }
}

/// The word that stands there, when it is one of these.
fn one_of(words: &[&'static str], entry: &Entry, reader: &mut Reader<'_>) -> Option<&'static str> {
    let text = entry.value.text();
    let found = words.iter().copied().find(|word| text == Some(*word));
    if found.is_none() {
        let given = text.unwrap_or(entry.value.noun());
        let either = words.join("` or `");
        let what = format!(
            "`{}` of `health` can only be `{either}`, not `{given}`",
            entry.key
        );
        let first = words.first().copied().unwrap_or_default();
        let next = format!("write `{}: {first}`", entry.key);
        reader.problem("playbook::health", what, entry.value.at, next);
    }
    found
}
