//! Flags that must be the same on all servers: K3s compares them when a server joins or starts again.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{Settings, is_no};

/// What K3s compares (k3s: `CriticalControlArgs`), with the value that each has when nobody sets it. A version that does
/// not know one of them yet has it nowhere.
const CRITICAL: [(&str, &str); 15] = [
    ("cluster-cidr", "10.42.0.0/16"),
    ("service-cidr", "10.43.0.0/16"),
    ("cluster-domain", "cluster.local"),
    ("flannel-backend", "vxlan"),
    ("flannel-ipv6-masq", "false"),
    ("flannel-ip-masq-disable-random-fully", "false"),
    ("flannel-external-ip", "false"),
    ("egress-selector-mode", "agent"),
    ("secrets-encryption", "false"),
    ("secrets-encryption-provider", "aescbc"),
    ("disable-network-policy", "false"),
    ("disable-helm-controller", "false"),
    ("disable-cloud-controller", "false"),
    ("embedded-registry", "false"),
    ("supervisor-metrics", "false"),
];

const DNS: &str = "cluster-dns";
/// Of everything that `disable` names K3s compares this alone.
const SERVICE_LB: &str = "disable=servicelb";

impl Settings {
    /// Each critical flag with its value here.
    pub(super) fn critical(&self) -> BTreeMap<&'static str, String> {
        let each = CRITICAL.iter().map(|(flag, default)| {
            let value = self.whole(flag).unwrap_or_else(|| (*default).to_owned());
            let value = match *default {
                "false" if !value.is_empty() => (!is_no(&value)).to_string(),
                _ => value,
            };
            (*flag, value)
        });
        let mut all: BTreeMap<&'static str, String> = each.collect();
        let services = all.get("service-cidr").map_or("", String::as_str);
        let dns = self.whole(DNS).unwrap_or_else(|| dns(services));
        all.insert(DNS, dns);
        let disabled = self.disabled();
        let is_disabled = disabled.iter().any(|name| name == "servicelb");
        all.insert(SERVICE_LB, is_disabled.to_string());
        all
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

    /// Every component that is not to be deployed: a later file replaces an earlier one's list unless it appends, and
    /// arguments add to it.
    fn disabled(&self) -> Vec<String> {
        let mut all: Vec<&str> = Vec::new();
        for (_, entry) in self.config.iter().filter(|(_, it)| it.key == "disable") {
            if !entry.appends {
                all.clear();
            }
            all.extend(entry.values.iter().flatten().map(String::as_str));
        }
        let arguments = self.arguments.iter().filter(|it| it.name == "disable");
        all.extend(arguments.map(|argument| argument.value.as_str()));
        let names = all.iter().flat_map(|names| names.split(','));
        names.map(|name| name.trim().to_owned()).collect()
    }
}

/// What K3s takes when nobody sets it: the tenth address of each range of services.
fn dns(services: &str) -> String {
    let tenth = |range: &str| -> Option<IpAddr> {
        let (address, bits) = range.trim().split_once('/')?;
        let bits: u32 = bits.parse().ok()?;
        Some(match address.parse().ok()? {
            IpAddr::V4(v4) => {
                let host = u32::MAX.checked_shr(bits).unwrap_or(0);
                IpAddr::V4(((u32::from(v4) & !host).wrapping_add(10)).into())
            }
            IpAddr::V6(v6) => {
                let host = u128::MAX.checked_shr(bits).unwrap_or(0);
                IpAddr::V6(((u128::from(v6) & !host).wrapping_add(10)).into())
            }
        })
    };
    let each = services.split(',').filter_map(tenth);
    let each: Vec<String> = each.map(|address| address.to_string()).collect();
    each.join(",")
}

#[cfg(test)]
mod tests {
    use super::dns;

    #[test]
    fn the_cluster_dns_follows_the_range_of_services() {
        assert_eq!(dns("10.43.0.0/16"), "10.43.0.10");
        assert_eq!(dns("10.53.7.1/16, fd00:43::/112"), "10.53.0.10,fd00:43::a");
        assert_eq!(dns("nonsense"), "");
    }
}
