//! The namespace `kube-system`, as far as its annotations go.

use std::collections::BTreeMap;

use crate::sim::world::Datastore;

/// Where it is in the datastore.
const KEY: &str = "/registry/namespaces/kube-system";

/// What `kubectl annotate` prints.
pub const ANNOTATED: &str = "namespace/kube-system annotated\n";

type Annotations = BTreeMap<String, String>;

fn annotations(store: &dyn Datastore) -> Annotations {
    let text = store.get(KEY);
    text.and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default()
}

/// Sets an annotation.
pub fn annotate(store: &mut dyn Datastore, key: &str, value: &str) {
    let mut all = annotations(store);
    all.insert(key.to_owned(), value.to_owned());
    store.put(KEY, serde_json::to_string(&all).unwrap_or_default());
}

/// `kubectl get namespace kube-system -o json`
#[must_use]
pub fn json(store: &dyn Datastore) -> String {
    let mut metadata = serde_json::json!({
        "labels": { "kubernetes.io/metadata.name": "kube-system" },
        "name": "kube-system",
    });
    let all = annotations(store);
    if !all.is_empty()
        && let Some(metadata) = metadata.as_object_mut()
    {
        metadata.insert("annotations".to_owned(), serde_json::json!(all));
    }
    let namespace = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": metadata,
        "spec": { "finalizers": ["kubernetes"] },
        "status": { "phase": "Active" },
    });
    format!("{namespace:#}\n")
}
