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
        version: Version::default(),
        ready_since: HostTime(start),
        last: HostTime(start),
        beat: Some(HostTime(start)),
        skew: 0,
    }
}

const START: i64 = 1_795_320_000 * SECOND;

/// ready-lag: renewed every 10 s; Ready for about 51 s after the agent was stopped, then Unknown.
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

/// All key paths of a value; keys of free maps and list positions do not count.
fn paths(value: &Value, at: &str, into: &mut std::collections::BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let path = format!("{at}.{key}");
                into.insert(path.clone());
                paths(value, &path, into);
            }
        }
        Value::Array(items) => items
            .iter()
            .for_each(|item| paths(item, &format!("{at}[]"), into)),
        _ => {}
    }
}

fn paths_of(text: &str) -> std::collections::BTreeSet<String> {
    let mut all = std::collections::BTreeSet::new();
    paths(&serde_json::from_str(text).unwrap(), "", &mut all);
    all
}

#[test]
fn a_lease_list_has_exactly_the_recorded_shape() {
    let recorded = paths_of(include_str!("../../../tests/facts/leases-ha.json"));
    assert_eq!(
        paths_of(&leases_json(&[&node(START)], HostTime(START))),
        recorded
    );
}

#[test]
fn a_node_list_has_no_path_that_real_ones_lack_and_those_that_are_read() {
    let recorded = paths_of(include_str!("../../../tests/facts/nodes-ha.json"));
    let made = paths_of(&nodes_json(&[&node(START)], HostTime(START)));
    let invented: Vec<_> = made.difference(&recorded).collect();
    assert!(invented.is_empty(), "{invented:?}");
    for read in [
        ".items[].metadata.name",
        ".items[].metadata.uid",
        ".items[].metadata.annotations.k3s.io/node-args",
        ".items[].metadata.annotations.k3s.io/node-env",
        ".items[].metadata.labels.node-role.kubernetes.io/etcd",
        ".items[].status.conditions[].lastTransitionTime",
        ".items[].status.addresses[].address",
        ".items[].status.nodeInfo.kubeletVersion",
    ] {
        assert!(made.contains(read), "{read}");
    }
}
