//! Lists of nodes and leases as `kubectl … -o json` prints them.
//!
//! Written as text and not built as values: a watched fleet of thousands is listed every few seconds.

use std::fmt::Write as _;

use super::{GRACE, Node, uid};
use crate::k3s::others::ENCRYPTION;
use crate::model::HostTime;
use crate::sim::version::Version;
use crate::sim::world::{after, micros, seconds};

/// `kubectl get nodes -o json`
#[must_use]
pub fn nodes_json(nodes: &[&Node], now: HostTime) -> String {
    list(nodes, |text, node| write_node(text, node, now))
}

/// `kubectl get leases -n kube-node-lease -o json`
#[must_use]
pub fn leases_json(nodes: &[&Node], now: HostTime) -> String {
    list(nodes, |text, node| write_lease(text, node, now))
}

/// `kubectl get --raw /version`, as far as anybody reads it.
#[must_use]
pub fn version_json(version: Version) -> String {
    let name = quoted(version.name());
    format!("{{\n  \"gitVersion\": {name},\n  \"platform\": \"linux/amd64\"\n}}")
}

fn list(nodes: &[&Node], write_one: impl Fn(&mut String, &Node) -> std::fmt::Result) -> String {
    let mut nodes = nodes.to_vec();
    nodes.sort_by(|a, b| a.name.cmp(&b.name));
    let mut text = "{\n  \"apiVersion\": \"v1\",\n  \"items\": [".to_owned();
    for (at, node) in nodes.iter().enumerate() {
        text.push_str(if at == 0 { "\n" } else { ",\n" });
        // Writing to a string cannot fail.
        write_one(&mut text, node).ok();
    }
    text.push_str(if nodes.is_empty() { "]" } else { "\n  ]" });
    text.push_str(LIST_END);
    text
}

const LIST_END: &str = r#",
  "kind": "List",
  "metadata": {
    "resourceVersion": ""
  }
}
"#;

/// A text as JSON has it, quotes included.
fn quoted(text: &str) -> String {
    // A text always has a JSON form.
    serde_json::to_string(text).unwrap_or_default()
}

fn write_lease(text: &mut String, node: &Node, now: HostTime) -> std::fmt::Result {
    let renewed = node.renewed(now);
    write!(
        text,
        r#"    {{
      "apiVersion": "coordination.k8s.io/v1",
      "kind": "Lease",
      "metadata": {{
        "creationTimestamp": "{created}",
        "name": {name},
        "namespace": "kube-node-lease",
        "ownerReferences": [
          {{
            "apiVersion": "v1",
            "kind": "Node",
            "name": {name},
            "uid": "{uid}"
          }}
        ],
        "resourceVersion": "{version}",
        "uid": "{own}"
      }},
      "spec": {{
        "holderIdentity": {name},
        "leaseDurationSeconds": 40,
        "renewTime": "{renewed}"
      }}
    }}"#,
        created = seconds(node.created),
        name = quoted(&node.name),
        uid = uid(&node.name),
        version = renewed.0 / 1_000_000 % 1_000_000,
        own = uid(&format!("lease {}", node.name)),
        renewed = micros(HostTime(renewed.0 + node.skew)),
    )
}

fn write_node(text: &mut String, node: &Node, now: HostTime) -> std::fmt::Result {
    text.push_str(
        "    {\n      \"apiVersion\": \"v1\",\n      \"kind\": \"Node\",\n      \"metadata\": {\n",
    );
    write_annotations(text, node)?;
    write_labels(text, node)?;
    write_spec(text, node)?;
    write_conditions(text, node, now)?;
    write_info(text, node)
}

fn write_annotations(text: &mut String, node: &Node) -> std::fmt::Result {
    let (name, address) = (quoted(&node.name), quoted(&node.address));
    write!(
        text,
        r#"        "annotations": {{
          "alpha.kubernetes.io/provided-node-ip": {address},"#
    )?;
    if node.is_member() {
        let hash = uid(&format!("member {}", node.name));
        write!(
            text,
            r#"
          "etcd.k3s.cattle.io/node-address": {address},
          "etcd.k3s.cattle.io/node-name": {member},"#,
            member = quoted(&format!(
                "{}-{}",
                node.name,
                hash.get(..8).unwrap_or_default()
            )),
        )?;
    }
    if let Some(stage) = &node.encryption {
        write!(
            text,
            r#"
          "{ENCRYPTION}": {stage},"#,
            stage = quoted(stage)
        )?;
    }
    write!(
        text,
        r#"
          "k3s.io/hostname": {name},
          "k3s.io/internal-ip": {address},
          "k3s.io/node-args": {args},
          "k3s.io/node-env": {env},
          "node.alpha.kubernetes.io/ttl": "0",
          "volumes.kubernetes.io/controller-managed-attach-detach": "true"
        }},
        "creationTimestamp": "{created}",
"#,
        args = quoted(&node.args),
        env = quoted(&node.env),
        created = seconds(node.created),
    )
}

fn write_labels(text: &mut String, node: &Node) -> std::fmt::Result {
    write!(
        text,
        r#"        "labels": {{
          "beta.kubernetes.io/arch": "amd64",
          "beta.kubernetes.io/instance-type": "k3s",
          "beta.kubernetes.io/os": "linux",
          "kubernetes.io/arch": "amd64",
          "kubernetes.io/hostname": {name},
          "kubernetes.io/os": "linux",
"#,
        name = quoted(&node.name),
    )?;
    for role in &node.roles {
        let label = quoted(&format!("node-role.kubernetes.io/{role}"));
        writeln!(text, r#"          {label}: "true","#)?;
    }
    text.push_str("          \"node.kubernetes.io/instance-type\": \"k3s\"\n        },\n");
    Ok(())
}

fn write_spec(text: &mut String, node: &Node) -> std::fmt::Result {
    write!(
        text,
        r#"        "name": {name},
        "resourceVersion": "{version}",
        "uid": "{uid}"
      }},
      "spec": {{
        "podCIDR": "10.42.0.0/24",
        "podCIDRs": [
          "10.42.0.0/24"
        ],
        "providerID": {provider}
      }},
      "status": {{
        "addresses": [
          {{
            "address": {address},
            "type": "InternalIP"
          }},
          {{
            "address": {name},
            "type": "Hostname"
          }}
        ],
        "allocatable": {CAPACITY},
        "capacity": {CAPACITY},
"#,
        name = quoted(&node.name),
        version = node.created.0 / 1_000_000 % 10_000,
        uid = uid(&node.name),
        provider = quoted(&format!("k3s://{}", node.name)),
        address = quoted(&node.address),
    )
}

const CAPACITY: &str = r#"{
          "cpu": "2",
          "memory": "4096000Ki",
          "pods": "110"
        }"#;

fn write_info(text: &mut String, node: &Node) -> std::fmt::Result {
    let id = |of: &str| uid(&format!("{of} {}", node.name));
    write!(
        text,
        r#"        "daemonEndpoints": {{
          "kubeletEndpoint": {{
            "Port": 10250
          }}
        }},
        "features": {{
          "supplementalGroupsPolicy": true
        }},
        "nodeInfo": {{
          "architecture": "amd64",
          "bootID": "{boot}",
          "containerRuntimeVersion": "containerd://2.1.5-k3s1",
          "kernelVersion": "6.1.0-amd64",
          "kubeProxyVersion": "",
          "kubeletVersion": "{version}",
          "machineID": "{machine}",
          "operatingSystem": "linux",
          "osImage": "Debian GNU/Linux 12 (bookworm)",
          "systemUUID": "{system}"
        }}
      }}
    }}"#,
        boot = id("boot"),
        version = node.version.name(),
        machine = id("machine").replace('-', ""),
        system = id("system"),
    )
}

/// One condition of a node.
struct Condition<'a> {
    kind: &'a str,
    status: &'a str,
    since: &'a str,
    /// Reason and message.
    words: (&'a str, &'a str),
}

fn write_conditions(text: &mut String, node: &Node, now: HostTime) -> std::fmt::Result {
    let heartbeat = seconds(node.renewed(now));
    let created = seconds(node.created);
    // Whether the cluster hears of its kubelet.
    let ready = node.is_ready(now);
    let since = if ready {
        seconds(node.ready_since)
    } else {
        seconds(after(node.renewed(now), GRACE))
    };
    // Stays True on a dead server: no sign of life.
    let voter = node.is_member().then_some(Condition {
        kind: "EtcdIsVoter",
        status: "True",
        since: &created,
        words: VOTER,
    });
    let known = FINE.map(|(kind, fine)| Condition {
        kind,
        status: match (ready, kind) {
            (false, _) => "Unknown",
            (true, "Ready") if !node.unready => "True",
            (true, _) => "False",
        },
        since: &since,
        words: match (ready, kind) {
            (false, _) => LOST,
            (true, "Ready") if node.unready => UNREADY,
            (true, _) => fine,
        },
    });
    text.push_str("        \"conditions\": [");
    for (at, condition) in voter.into_iter().chain(known).enumerate() {
        text.push_str(if at == 0 { "\n" } else { ",\n" });
        let Condition {
            kind,
            status,
            since,
            words: (reason, message),
        } = condition;
        write!(
            text,
            r#"          {{
            "lastHeartbeatTime": "{heartbeat}",
            "lastTransitionTime": "{since}",
            "message": "{message}",
            "reason": "{reason}",
            "status": "{status}",
            "type": "{kind}"
          }}"#
        )?;
    }
    text.push_str("\n        ],\n");
    Ok(())
}

const VOTER: (&str, &str) = (
    "MemberNotLearner",
    "Node is a voting member of the etcd cluster",
);

const UNREADY: (&str, &str) = (
    "KubeletNotReady",
    "container runtime network not ready: NetworkReady=false",
);

const LOST: (&str, &str) = ("NodeStatusUnknown", "Kubelet stopped posting node status.");

const FINE: [(&str, (&str, &str)); 4] = [
    (
        "MemoryPressure",
        (
            "KubeletHasSufficientMemory",
            "kubelet has sufficient memory available",
        ),
    ),
    (
        "DiskPressure",
        ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ),
    (
        "PIDPressure",
        (
            "KubeletHasSufficientPID",
            "kubelet has sufficient PID available",
        ),
    ),
    ("Ready", ("KubeletReady", "kubelet is posting ready status")),
];
