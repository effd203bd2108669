//! `health`: what must hold after a batch.

use std::time::Duration;

use super::Reader;
use crate::playbook::Health;
use crate::playbook::keywords::IN_HEALTH;
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
        etcd_voters: false,
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
        "nodes" => health.nodes_ready = only("ready", entry, reader),
        "etcd" => health.etcd_voters = only("voters", entry, reader),
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

fn only(word: &str, entry: &Entry, reader: &mut Reader<'_>) -> bool {
    let fits = entry.value.text() == Some(word);
    if !fits {
        let found = entry.value.text().unwrap_or(entry.value.noun());
        let what = format!(
            "`{}` of `health` can only be `{word}`, not `{found}`",
            entry.key
        );
        reader.problem(
            "playbook::health",
            what,
            entry.value.at,
            format!("write `{}: {word}`", entry.key),
        );
    }
    fits
}
