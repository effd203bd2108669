//! Flags that must be the same on all servers: K3s compares them when a server joins or starts again.

use std::collections::BTreeMap;

use super::Settings;

/// As K3s compares them, with the value that each has when nobody sets it.
const CRITICAL: [(&str, &str); 12] = [
    ("cluster-cidr", "10.42.0.0/16"),
    ("service-cidr", "10.43.0.0/16"),
    ("cluster-dns", "10.43.0.10"),
    ("cluster-domain", "cluster.local"),
    ("flannel-backend", "vxlan"),
    ("flannel-ipv6-masq", "false"),
    ("flannel-external-ip", "false"),
    ("egress-selector-mode", "agent"),
    ("secrets-encryption", "false"),
    ("disable-network-policy", "false"),
    ("disable-kube-proxy", "false"),
    ("disable-helm-controller", "false"),
];

impl Settings {
    /// Each critical flag with its value here.
    pub(super) fn critical(&self) -> BTreeMap<&'static str, String> {
        let each = CRITICAL.iter().map(|(flag, default)| {
            let value = self.whole(flag).unwrap_or_else(|| (*default).to_owned());
            (*flag, value)
        });
        each.collect()
    }

    /// The value of a flag that may be a list; arguments win over files, and the later over the earlier.
    fn whole(&self, flag: &str) -> Option<String> {
        let mut arguments = self.arguments.iter().rev();
        if let Some(argument) = arguments.find(|argument| argument.name == flag) {
            return Some(argument.value.clone());
        }
        let mut entries = self.config.iter().rev();
        let values =
            entries.find_map(|(_, entry)| entry.values.as_ref().filter(|_| entry.key == flag));
        values.map(|values| values.join(","))
    }
}
