//! The kube-apiservers of a cluster: the addresses of the service `default/kubernetes`.

use std::time::Duration;

/// How long one that has ended is still listed, at most: its lease runs out after 15 s, and the others look every 10 s
/// (Kubernetes: `--endpoint-reconciler-type=lease`).
pub const LINGERS: Duration = Duration::from_secs(25);

/// `kubectl get endpoints -n default kubernetes -o json`
#[must_use]
pub fn json(addresses: &[&str]) -> String {
    let mut addresses = addresses.to_vec();
    addresses.sort_unstable();
    addresses.dedup();
    let listed: Vec<_> = addresses
        .iter()
        .map(|ip| serde_json::json!({ "ip": ip }))
        .collect();
    let mut endpoints = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {
            "labels": { "endpointslice.kubernetes.io/skip-mirror": "true" },
            "name": "kubernetes",
            "namespace": "default",
        },
    });
    if !listed.is_empty()
        && let Some(all) = endpoints.as_object_mut()
    {
        let ports = serde_json::json!([{ "name": "https", "port": 6443, "protocol": "TCP" }]);
        let subset = serde_json::json!([{ "addresses": listed, "ports": ports }]);
        all.insert("subsets".to_owned(), subset);
    }
    format!("{endpoints:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_listed_in_order_and_where_there_is_none_there_is_no_subset() {
        let listed: serde_json::Value = serde_json::from_str(&json(&["b", "a"])).unwrap();
        let ips = ["0", "1"].map(|at| {
            let ip = listed.pointer(&format!("/subsets/0/addresses/{at}/ip"));
            ip.and_then(serde_json::Value::as_str).unwrap().to_owned()
        });
        assert_eq!(ips, ["a", "b"]);
        assert!(!json(&[]).contains("subsets"));
    }
}
