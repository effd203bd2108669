//! YAML as K3s and kubectl read it: `config.yaml` and kubeconfigs.

use serde::Deserialize;
use serde_yaml::Value;

/// One `key: value` of a configuration file; a list has several values, `key+:` adds to earlier ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Without a trailing `+`.
    pub key: String,
    /// Whether it adds to what earlier files said.
    pub adds: bool,
    /// As text.
    pub values: Vec<String>,
}

/// Reads a configuration file.
///
/// # Errors
/// What is wrong with it, in the parser's words.
pub fn config(text: &str) -> Result<Vec<Entry>, String> {
    let value: Value = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
    let Value::Mapping(mapping) = value else {
        return if value.is_null() {
            Ok(Vec::new())
        } else {
            Err("it is not a mapping".to_owned())
        };
    };
    Ok(mapping.iter().filter_map(entry).collect())
}

fn entry((key, value): (&Value, &Value)) -> Option<Entry> {
    let key = key.as_str()?;
    let values = match value {
        Value::Sequence(items) => items.iter().filter_map(scalar).collect(),
        other => scalar(other).into_iter().collect(),
    };
    Some(Entry {
        key: key.trim_end_matches('+').to_owned(),
        adds: key.ends_with('+'),
        values,
    })
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// What a kubeconfig says about where to knock and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kubeconfig {
    /// Such as `https://127.0.0.1:6443`.
    pub server: String,
    /// Path of the CA file.
    pub ca: Option<String>,
    /// User and password.
    pub basic: Option<(String, String)>,
    /// Whether the user shows a certificate: here only admins have one.
    pub is_admin: bool,
}

#[derive(Deserialize)]
struct File {
    clusters: Vec<NamedCluster>,
    #[serde(default)]
    users: Vec<NamedUser>,
}

#[derive(Deserialize)]
struct NamedCluster {
    cluster: Cluster,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    server: String,
    certificate_authority: Option<String>,
}

#[derive(Deserialize)]
struct NamedUser {
    user: User,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct User {
    username: Option<String>,
    password: Option<String>,
    client_certificate: Option<String>,
}

/// Reads a kubeconfig with one cluster and one user.
#[must_use]
pub fn kubeconfig(text: &str) -> Option<Kubeconfig> {
    let file: File = serde_yaml::from_str(text).ok()?;
    let cluster = file.clusters.into_iter().next()?.cluster;
    let user = file.users.into_iter().next().map(|named| named.user);
    Some(Kubeconfig {
        server: cluster.server,
        ca: cluster.certificate_authority,
        is_admin: user
            .as_ref()
            .is_some_and(|user| user.client_certificate.is_some()),
        basic: user.and_then(|user| Some((user.username?, user.password?))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::k3s::knock::{Door, Role};
    use crate::secret::Secret;

    #[test]
    fn the_products_own_kubeconfig_is_read() {
        let door = Door {
            k3s: "k3s".into(),
            url: "https://127.0.0.1:6443".to_owned(),
            ca: "/ca".into(),
            name: None,
        };
        let text = door
            .kubeconfig(Role::Node, &Secret::new("s"))
            .text()
            .into_owned();
        let read = kubeconfig(&text).unwrap();
        assert_eq!(read.basic, Some(("node".to_owned(), "s".to_owned())));
        assert_eq!(read.server, "https://127.0.0.1:6443");
    }

    #[test]
    fn lists_and_appending_keys_are_told_apart() {
        let entries = config("disable: [a, b]\nnode-label+: c\n").unwrap();
        assert_eq!(entries[0].values, ["a", "b"]);
        assert!(entries[1].adds && entries[1].key == "node-label");
    }
}
