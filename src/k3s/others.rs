//! Who else works on a cluster, as kubectl is asked: names, marks and times, and no more of an object than that, since
//! plans may hold secrets and join tokens do.

/// Words after `kubectl` for workloads, a line each: kind, namespace, name and the lock that kured keeps on its own.
pub const WORKLOADS: [&str; 5] = [
    "get",
    "daemonsets,deployments",
    "-A",
    "-o",
    r#"jsonpath={range .items[*]}{.kind}{"\t"}{.metadata.namespace}{"\t"}{.metadata.name}{"\t"}{.metadata.annotations.weave\.works/kured-node-lock}{"\n"}{end}"#,
];

/// Words for plans of system-upgrade-controller, a line each: namespace, name and the nodes that it is applied to now.
pub const PLANS: [&str; 5] = [
    "get",
    "plans.upgrade.cattle.io",
    "-A",
    "-o",
    r#"jsonpath={range .items[*]}{.metadata.namespace}{"\t"}{.metadata.name}{"\t"}{.status.applying}{"\n"}{end}"#,
];

/// Words for join tokens, a line each: the secret's name, which ends with the token's id, when it ends, whether nodes can
/// join with it and check a server by it, and its description. All but the name come as base64.
pub const JOIN_TOKENS: [&str; 8] = [
    "get",
    "secrets",
    "-n",
    "kube-system",
    "--field-selector",
    "type=bootstrap.kubernetes.io/token",
    "-o",
    r#"jsonpath={range .items[*]}{.metadata.name}{"\t"}{.data.expiration}{"\t"}{.data.usage-bootstrap-authentication}{"\t"}{.data.usage-bootstrap-signing}{"\t"}{.data.description}{"\n"}{end}"#,
];

/// What begins the name of a join token's secret.
pub const TOKEN_PREFIX: &str = "bootstrap-token-";

/// The mark that kured keeps on its own `DaemonSet` while a node reboots.
pub const KURED_LOCK: &str = "weave.works/kured-node-lock";

/// The annotation of a server's node with the stage of the rotation of secrets' keys, a dash, and a hash of the keys.
pub const ENCRYPTION: &str = "k3s.io/encryption-config-hash";
