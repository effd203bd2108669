//! The lists have the shape of recorded ones, and Ready lags as measured.

use serde_json::Value;

use super::*;

const SECOND: i64 = 1_000_000;

fn node(start: i64) -> Node {
    Node {
        name: "h1".to_owned(),
        address: "10.77.0.2".to_owned(),
        created: HostTime(start),
        roles: vec!["control-plane".to_owned(), "etcd".to_owned()],
        args: "[\"server\"]".to_owned(),
        env: "{}".to_owned(),
        encryption: None,
        version: Version::default(),
        unready: false,
        ready_since: HostTime(start),
        last: HostTime(start),
        beat: Some(HostTime(start)),
        skew: 0,
    }
}

const START: i64 = 1_795_320_000 * SECOND;

/// ready-lag: renewed every 10 s; Ready for about 51 s after the agent was stopped, then Unknown.
/// measured: M4.ready-lag, M4.lease-period
#[test]
fn a_dead_node_stays_ready_for_most_of_a_minute() {
    let mut node = node(START);
    let at = |seconds: i64| HostTime(START + seconds * SECOND);
    assert_eq!(node.renewed(at(19)), at(10));
    node.end(at(24));
    assert_eq!(node.renewed(at(60)), at(20));
    assert!(node.is_ready(at(24 + 46)));
    assert!(!node.is_ready(at(24 + 51)));
    let json = nodes_json(&[&node], at(100));
    assert!(json.contains("Kubelet stopped posting node status."));
    node.begin(at(200));
    assert!(node.is_ready(at(204)));
    assert_eq!(node.ready_since, at(200));
}

/// k3s-measured section 3: `EtcdIsVoter` is no sign of life.
/// measured: M3.voter-no-sign
#[test]
fn a_dead_member_is_still_called_a_voter() {
    let mut node = node(START);
    node.end(HostTime(START));
    let list: Value =
        serde_json::from_str(&nodes_json(&[&node], HostTime(START + 999 * SECOND))).unwrap();
    let conditions = list["items"][0]["status"]["conditions"].as_array().unwrap();
    let status = |kind: &str| {
        let found = conditions.iter().find(|c| c["type"] == kind).unwrap();
        found["status"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        (status("EtcdIsVoter").as_str(), status("Ready").as_str()),
        ("True", "Unknown")
    );
}

/// All paths of a value with the kind of what is there; positions in lists do not count.
fn paths(value: &Value, at: &str, into: &mut std::collections::BTreeSet<String>) {
    let kind = match value {
        Value::Object(map) => {
            for (key, value) in map {
                paths(value, &format!("{at}.{key}"), into);
            }
            "map"
        }
        Value::Array(items) => {
            for item in items {
                paths(item, &format!("{at}[]"), into);
            }
            "list"
        }
        Value::String(_) => "text",
        Value::Number(_) => "number",
        Value::Bool(_) => "bool",
        Value::Null => "null",
    };
    into.insert(format!("{at}: {kind}"));
}

fn paths_of(text: &str) -> std::collections::BTreeSet<String> {
    let mut all = std::collections::BTreeSet::new();
    paths(&serde_json::from_str(text).unwrap(), "", &mut all);
    all
}

/// measured: M6.leases-shape
#[test]
fn a_lease_list_has_exactly_the_recorded_shape() {
    let recorded = paths_of(include_str!("../../../tests/facts/leases-ha.json"));
    assert_eq!(
        paths_of(&leases_json(&[&node(START)], HostTime(START))),
        recorded
    );
}

/// What a recorded list has and a made one lacks, and why.
const LEFT_OUT: [(&str, &str); 5] = [
    (
        ".items[].metadata.annotations.etcd.k3s.cattle.io/local-snapshots-timestamp: ",
        "nobody looks for snapshots there",
    ),
    (
        ".items[].metadata.annotations.k3s.io/node-config-hash: ",
        "a digest of arguments and environment that only K3s itself compares",
    ),
    (".items[].metadata.finalizers", "no node is ever deleted"),
    ("hugepages-", "a matter of the kernel"),
    (".items[].status.runtimeHandlers", "a matter of containerd"),
];

/// measured: M6.nodes-shape
#[test]
fn a_node_list_has_the_recorded_paths_and_kinds_and_no_other() {
    let recorded = paths_of(include_str!("../../../tests/facts/nodes-ha.json"));
    let made = paths_of(&nodes_json(&[&node(START)], HostTime(START)));
    let invented: Vec<_> = made.difference(&recorded).collect();
    assert!(invented.is_empty(), "{invented:?}");
    let left_out: Vec<_> = recorded.difference(&made).collect();
    for path in &left_out {
        let known = LEFT_OUT.iter().any(|(part, _)| path.contains(part));
        assert!(known, "recorded, not made: {path}");
    }
    for (part, why) in LEFT_OUT {
        let needed = left_out.iter().any(|path| path.contains(part));
        assert!(needed && !why.is_empty(), "{part} is made by now");
    }
}
