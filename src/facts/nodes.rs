//! Nodes and their leases, as an API server tells them.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Admin, Fact, FactError, succeeded, unreadable};
use crate::k3s::others::ENCRYPTION;
use crate::model::HostTime;
use crate::wire::{Query, Response};

/// `kubectl get nodes` on a server.
#[derive(Debug, Clone)]
pub struct Nodes(pub Admin);

/// `kubectl get leases -n kube-node-lease` on a server.
#[derive(Debug, Clone)]
pub struct Leases(pub Admin);

/// An annotation of the namespace `kube-system`; `None` when it has none of that
/// name.
#[derive(Debug, Clone)]
pub struct Annotation {
    /// How it is asked.
    pub admin: Admin,
    /// Its name.
    pub key: &'static str,
}

/// A node, as far as keyroll looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// `metadata.name`.
    pub name: String,
    /// Changes when the node is registered anew.
    pub uid: String,
    /// Whether condition Ready is True.
    pub ready: bool,
    /// Status and reason of the condition Ready: `True KubeletReady`.
    pub ready_words: String,
    /// Whether it is part of the control plane or of etcd.
    pub is_server: bool,
    /// Whether it carries the etcd role.
    pub is_etcd: bool,
    /// Its addresses and host names.
    pub addresses: Vec<String>,
    /// `nodeInfo.kubeletVersion`.
    pub version: String,
    /// On a server that encrypts secrets: the stage of the rotation of their keys, and a hash of these.
    pub encryption: Option<String>,
}

#[derive(Deserialize)]
struct List<T> {
    items: Vec<T>,
}

#[derive(Deserialize)]
struct RawNode {
    metadata: Metadata,
    status: Status,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    #[serde(default)]
    uid: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    #[serde(default)]
    conditions: Vec<Condition>,
    #[serde(default)]
    addresses: Vec<Address>,
    #[serde(default)]
    node_info: NodeInfo,
}

#[derive(Deserialize)]
struct Condition {
    r#type: String,
    status: String,
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
struct Address {
    address: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct NodeInfo {
    #[serde(default)]
    kubelet_version: String,
}

#[derive(Deserialize)]
struct RawNamespace {
    metadata: Annotated,
}

#[derive(Deserialize)]
struct Annotated {
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct RawLease {
    metadata: Metadata,
    spec: LeaseSpec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LeaseSpec {
    renew_time: Option<jiff::Timestamp>,
}

impl From<RawNode> for Node {
    fn from(raw: RawNode) -> Self {
        let ready = raw
            .status
            .conditions
            .iter()
            .find(|condition| condition.r#type == "Ready");
        let role = |name: &str| {
            raw.metadata
                .labels
                .contains_key(&format!("node-role.kubernetes.io/{name}"))
        };
        Self {
            ready: ready.is_some_and(|condition| condition.status == "True"),
            ready_words: ready.map_or_else(String::new, |c| format!("{} {}", c.status, c.reason)),
            is_server: role("control-plane") || role("master") || role("etcd"),
            is_etcd: role("etcd"),
            addresses: raw
                .status
                .addresses
                .into_iter()
                .map(|address| address.address)
                .collect(),
            version: raw.status.node_info.kubelet_version,
            encryption: raw.metadata.annotations.get(ENCRYPTION).cloned(),
            name: raw.metadata.name,
            uid: raw.metadata.uid,
        }
    }
}

pub(super) fn listed(admin: &Admin, what: &[&str]) -> Vec<Query> {
    admin.ask(&[&["get"], what, &["-o", "json"]].concat())
}

fn list<T: serde::de::DeserializeOwned>(
    responses: &[Response],
    what: &str,
) -> Result<Vec<T>, FactError> {
    json::<List<T>>(responses, what).map(|list| list.items)
}

pub(super) fn json<T: serde::de::DeserializeOwned>(
    responses: &[Response],
    what: &str,
) -> Result<T, FactError> {
    let ran = succeeded(responses, 0, what)?;
    serde_json::from_slice(ran.stdout.bytes()).map_err(|error| unreadable(what, error.to_string()))
}

impl Fact for Nodes {
    type Value = Vec<Node>;

    fn queries(&self) -> Vec<Query> {
        listed(&self.0, &["nodes"])
    }

    fn parse(&self, responses: &[Response]) -> Result<Vec<Node>, FactError> {
        Ok(list::<RawNode>(responses, "the list of nodes")?
            .into_iter()
            .map(Node::from)
            .collect())
    }
}

impl Fact for Annotation {
    type Value = Option<String>;

    fn queries(&self) -> Vec<Query> {
        listed(&self.admin, &["namespace", "kube-system"])
    }

    fn parse(&self, responses: &[Response]) -> Result<Option<String>, FactError> {
        let what = "the namespace kube-system";
        let mut namespace: RawNamespace = json(responses, what)?;
        Ok(namespace.metadata.annotations.remove(self.key))
    }
}

impl Fact for Leases {
    /// `renewTime` of each node, on its own clock.
    type Value = BTreeMap<String, HostTime>;

    fn queries(&self) -> Vec<Query> {
        listed(&self.0, &["leases", "-n", "kube-node-lease"])
    }

    fn parse(&self, responses: &[Response]) -> Result<BTreeMap<String, HostTime>, FactError> {
        let leases = list::<RawLease>(responses, "the nodes' leases")?;
        let named = |lease: RawLease| {
            Some((
                lease.metadata.name,
                HostTime(lease.spec.renew_time?.as_microsecond()),
            ))
        };
        Ok(leases.into_iter().filter_map(named).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::answer;

    #[test]
    fn nodes_and_leases_are_asked_for_through_the_servers_own_kubeconfig() {
        for query in [
            Nodes(Admin::of_a_server()).queries(),
            Leases(Admin::of_a_server()).queries(),
        ]
        .concat()
        {
            let Query::Run(command) = query else {
                panic!("{query:?}")
            };
            let own = "--kubeconfig=/data/server/cred/admin.kubeconfig";
            assert_eq!(command.argv[..3], ["k3s", "kubectl", own]);
        }
    }

    #[test]
    fn recorded_nodes_are_read() {
        let json = include_str!("../../tests/facts/nodes-ha.json");
        let nodes = Nodes(Admin::of_a_server())
            .parse(&[answer(0, json, "")])
            .unwrap();
        let names: Vec<_> = nodes
            .iter()
            .map(|n| (n.name.as_str(), n.ready, n.is_server, n.is_etcd))
            .collect();
        assert_eq!(names[0], ("h1", true, true, true));
        assert_eq!(names[3], ("h4", true, false, false));
        assert_eq!(
            (nodes.len(), nodes[1].addresses.as_slice()),
            (5, ["10.77.0.3".to_owned(), "h2".to_owned()].as_slice())
        );
        assert_eq!(nodes[0].version, "v1.34.3+k3s1");
    }

    #[test]
    fn recorded_leases_are_read() {
        let json = include_str!("../../tests/facts/leases-ha.json");
        let leases = Leases(Admin::of_a_server())
            .parse(&[answer(0, json, "")])
            .unwrap();
        assert_eq!(leases["h1"], HostTime(1_795_319_487_798_754));
        assert_eq!(leases.len(), 5);
    }

    #[test]
    fn an_annotation_is_found_by_its_name() {
        let key = "keyroll/server-token-proven";
        let read = |annotations: &str| {
            let json = format!(
                "{{\"kind\": \"Namespace\", \"metadata\": {{\"name\": \"kube-system\"{annotations}}}}}"
            );
            let admin = Admin::of_a_server();
            Annotation { admin, key }
                .parse(&[answer(0, &json, "")])
                .unwrap()
        };
        assert_eq!(read(""), None);
        assert_eq!(read(", \"annotations\": {\"a\": \"b\"}"), None);
        let set = format!(", \"annotations\": {{\"{key}\": \"2026-01-01T00:00:00Z\"}}");
        assert_eq!(read(&set).as_deref(), Some("2026-01-01T00:00:00Z"));
    }

    #[test]
    fn a_cut_answer_and_a_failed_command_are_errors() {
        let json = include_str!("../../tests/facts/nodes-ha.json");
        let nodes = Nodes(Admin::of_a_server());
        assert!(nodes.parse(&[answer(0, &json[..4000], "")]).is_err());
        let refused = "The connection to the server 127.0.0.1:6443 was refused";
        assert!(
            nodes
                .parse(&[answer(1, "", refused)])
                .unwrap_err()
                .to_string()
                .contains(refused)
        );
    }
}
