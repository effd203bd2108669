//! Nodes and leases as the cluster tells them: with the lag that makes `Ready` prove so little.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::token;
use super::world::{after, micros, seconds};
use crate::model::HostTime;

/// How often a kubelet renews its lease.
const RENEWAL: Duration = Duration::from_secs(10);
/// How long a node stays Ready after its last renewal.
const GRACE: Duration = Duration::from_secs(50);

/// A node object and its lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its name, which need not be the host's.
    pub name: String,
    /// Internal address.
    pub address: String,
    /// When it was registered.
    pub created: HostTime,
    /// Roles such as `control-plane` and `etcd`; none for an agent.
    pub roles: Vec<String>,
    /// `k3s.io/node-args`
    pub args: String,
    /// `k3s.io/node-env`
    pub env: String,
    /// Since when it is Ready.
    pub ready_since: HostTime,
    /// The last renewal before the present process.
    pub last: HostTime,
    /// The first renewal of the present process; `None` while there is none.
    pub beat: Option<HostTime>,
    /// How far its clock is ahead, in microseconds.
    pub skew: i64,
}

impl Node {
    /// The last renewal of the lease at a moment.
    #[must_use]
    pub fn renewed(&self, now: HostTime) -> HostTime {
        match self.beat {
            Some(first) if first <= now => {
                let period = i64::try_from(RENEWAL.as_micros()).unwrap_or(1);
                HostTime(first.0 + (now.0 - first.0) / period * period)
            }
            _ => self.last,
        }
    }

    /// The kubelet renews from `first` on.
    pub fn begin(&mut self, first: HostTime) {
        if after(self.last, GRACE) < first {
            self.ready_since = first;
        }
        self.beat = Some(first);
    }

    /// The kubelet has died.
    pub fn end(&mut self, now: HostTime) {
        self.last = self.renewed(now);
        self.beat = None;
    }

    /// Whether the cluster still calls it Ready.
    #[must_use]
    pub fn is_ready(&self, now: HostTime) -> bool {
        now <= after(self.renewed(now), GRACE)
    }
}

/// `kubectl get nodes -o json`
#[must_use]
pub fn nodes_json(nodes: &[&Node], now: HostTime) -> String {
    let mut nodes = nodes.to_vec();
    nodes.sort_by(|a, b| a.name.cmp(&b.name));
    let items: Vec<Value> = nodes.into_iter().map(|node| node_json(node, now)).collect();
    list(&items)
}

/// `kubectl get leases -n kube-node-lease -o json`
#[must_use]
pub fn leases_json(nodes: &[&Node], now: HostTime) -> String {
    let mut nodes = nodes.to_vec();
    nodes.sort_by(|a, b| a.name.cmp(&b.name));
    let items: Vec<Value> = nodes
        .into_iter()
        .map(|node| lease_json(node, now))
        .collect();
    list(&items)
}

fn list(items: &[Value]) -> String {
    let list = json!({
        "apiVersion": "v1", "items": items, "kind": "List", "metadata": {"resourceVersion": ""},
    });
    format!("{list:#}\n")
}

/// A UUID that depends on its text alone.
#[must_use]
pub fn uid(text: &str) -> String {
    let hash = token::sha256(text.as_bytes());
    let part = |from: usize, to: usize| hash.get(from..to).unwrap_or_default();
    format!(
        "{}-{}-4{}-9{}-{}",
        part(0, 8),
        part(8, 12),
        part(13, 16),
        part(17, 20),
        part(20, 32)
    )
}

fn lease_json(node: &Node, now: HostTime) -> Value {
    let name = &node.name;
    let renewed = node.renewed(now);
    json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "creationTimestamp": seconds(node.created),
            "name": name,
            "namespace": "kube-node-lease",
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid(name)}],
            "resourceVersion": (renewed.0 / 1_000_000 % 1_000_000).to_string(),
            "uid": uid(&format!("lease {name}")),
        },
        "spec": {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": micros(HostTime(renewed.0 + node.skew))},
    })
}

fn node_json(node: &Node, now: HostTime) -> Value {
    let name = &node.name;
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "annotations": annotations(node),
            "creationTimestamp": seconds(node.created),
            "labels": labels(node),
            "name": name,
            "resourceVersion": (node.created.0 / 1_000_000 % 10_000).to_string(),
            "uid": uid(name),
        },
        "spec": {"podCIDR": "10.42.0.0/24", "podCIDRs": ["10.42.0.0/24"], "providerID": format!("k3s://{name}")},
        "status": {
            "addresses": [{"address": node.address, "type": "InternalIP"}, {"address": name, "type": "Hostname"}],
            "allocatable": capacity(),
            "capacity": capacity(),
            "conditions": conditions(node, now),
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "features": {"supplementalGroupsPolicy": true},
            "nodeInfo": {
                "architecture": "amd64", "bootID": uid(&format!("boot {name}")),
                "containerRuntimeVersion": "containerd://2.1.5-k3s1", "kernelVersion": "6.1.0-amd64",
                "kubeProxyVersion": "", "kubeletVersion": "v1.34.3+k3s1",
                "machineID": uid(&format!("machine {name}")).replace('-', ""),
                "operatingSystem": "linux", "osImage": "Debian GNU/Linux 12 (bookworm)",
                "systemUUID": uid(&format!("system {name}")),
            },
        },
    })
}

fn capacity() -> Value {
    json!({"cpu": "2", "memory": "4096000Ki", "pods": "110"})
}

fn annotations(node: &Node) -> Value {
    let mut all = json!({
        "alpha.kubernetes.io/provided-node-ip": node.address,
        "k3s.io/hostname": node.name,
        "k3s.io/internal-ip": node.address,
        "k3s.io/node-args": node.args,
        "k3s.io/node-env": node.env,
        "node.alpha.kubernetes.io/ttl": "0",
        "volumes.kubernetes.io/controller-managed-attach-detach": "true",
    });
    if let (true, Some(all)) = (is_member(node), all.as_object_mut()) {
        let hash = uid(&format!("member {}", node.name));
        let hash = hash.get(..8).unwrap_or_default();
        all.insert(
            "etcd.k3s.cattle.io/node-address".to_owned(),
            node.address.clone().into(),
        );
        all.insert(
            "etcd.k3s.cattle.io/node-name".to_owned(),
            format!("{}-{hash}", node.name).into(),
        );
    }
    all
}

fn is_member(node: &Node) -> bool {
    node.roles.iter().any(|role| role == "etcd")
}

fn labels(node: &Node) -> Value {
    let mut all = json!({
        "beta.kubernetes.io/arch": "amd64", "beta.kubernetes.io/instance-type": "k3s",
        "beta.kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": node.name, "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": "k3s",
    });
    if let Some(all) = all.as_object_mut() {
        for role in &node.roles {
            all.insert(format!("node-role.kubernetes.io/{role}"), "true".into());
        }
    }
    all
}

fn conditions(node: &Node, now: HostTime) -> Value {
    let heartbeat = seconds(node.renewed(now));
    let since = seconds(node.ready_since);
    let condition = |kind: &str, status: &str, since: &str, (reason, message): (&str, &str)| {
        json!({
            "lastHeartbeatTime": heartbeat, "lastTransitionTime": since,
            "message": message, "reason": reason, "status": status, "type": kind,
        })
    };
    let mut all = Vec::new();
    if is_member(node) {
        // Stays True on a dead server: no sign of life.
        let words = (
            "MemberNotLearner",
            "Node is a voting member of the etcd cluster",
        );
        all.push(condition(
            "EtcdIsVoter",
            "True",
            &seconds(node.created),
            words,
        ));
    }
    let lost = seconds(after(node.renewed(now), GRACE));
    for (kind, fine) in FINE {
        let ready = node.is_ready(now);
        let status = if kind == "Ready" { "True" } else { "False" };
        all.push(if ready {
            condition(kind, status, &since, fine)
        } else {
            let words = ("NodeStatusUnknown", "Kubelet stopped posting node status.");
            condition(kind, "Unknown", &lost, words)
        });
    }
    all.into()
}

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

#[cfg(test)]
mod tests;
