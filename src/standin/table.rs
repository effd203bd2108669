//! `k3s kubectl get nodes` as a person reads it.

use hyper::Method;
use serde_json::Value;

use super::{kubectl, now};
use crate::sim::kubectl::Ended;

/// Answers when the arguments ask for the table.
pub(super) async fn get_nodes(args: &[String]) -> Option<Ended> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    if words != ["kubectl", "get", "nodes"] {
        return None;
    }
    let door = match kubectl::admin_door() {
        Ok(door) => door,
        Err(ended) => return Some(ended),
    };
    let listed = kubectl::knock(&door, Method::GET, "/api/v1/nodes", Vec::new()).await;
    if listed.status != 0 {
        return Some(listed);
    }
    let list: Value = serde_json::from_str(&listed.stdout).unwrap_or_default();
    let nodes = list.get("items").and_then(Value::as_array);
    let rows = nodes.into_iter().flatten().map(row);
    let head = ["NAME", "STATUS", "ROLES", "AGE", "VERSION"].map(str::to_owned);
    let lines = std::iter::once(head)
        .chain(rows)
        .map(|[name, status, roles, age, version]| {
            format!("{name:<6} {status:<8} {roles:<20} {age:<5} {version}\n")
        });
    Some(Ended::fine(lines.collect::<String>()))
}

fn row(node: &Value) -> [String; 5] {
    let text = |pointer: &str| node.pointer(pointer).and_then(Value::as_str);
    let conditions = node.pointer("/status/conditions").and_then(Value::as_array);
    let ready = conditions.into_iter().flatten().any(|condition| {
        condition.get("type").and_then(Value::as_str) == Some("Ready")
            && condition.get("status").and_then(Value::as_str) == Some("True")
    });
    let labels = node.pointer("/metadata/labels").and_then(Value::as_object);
    let roles = labels.into_iter().flat_map(|labels| labels.keys());
    let roles: Vec<&str> = roles
        .filter_map(|label| label.strip_prefix("node-role.kubernetes.io/"))
        .collect();
    let made = text("/metadata/creationTimestamp").and_then(|t| t.parse::<jiff::Timestamp>().ok());
    let age = made.map_or(0, |made| now().0 / 1_000_000 - made.as_second());
    [
        text("/metadata/name").unwrap_or_default().to_owned(),
        if ready { "Ready" } else { "NotReady" }.to_owned(),
        if roles.is_empty() {
            "<none>".to_owned()
        } else {
            roles.join(",")
        },
        format!("{age}s"),
        text("/status/nodeInfo/kubeletVersion")
            .unwrap_or_default()
            .to_owned(),
    ]
}
