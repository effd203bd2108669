//! On which loopback address the processes of a host listen for themselves.

use super::Kind;
use super::settings::Settings;

impl Settings {
    /// The first address that the node is given decides (k3s: agent/run); on a server the one that it binds, if any.
    pub(super) fn loopback(&self, kind: Kind) -> &'static str {
        let bound = self.value("bind-address", "");
        let bound = bound.filter(|_| kind == Kind::Server);
        let first = bound.or_else(|| self.list("node-ip").first().cloned());
        loopback(first.is_some_and(|address| address.contains(':')))
    }

    /// etcd listens on the loopback address of the services' family: in a cluster of both newer K3s takes the first
    /// range's, older the one of IPv4 (k3s: `daemons/config`, `Loopback`). Without a range the node's address decides.
    pub(super) fn etcd(&self, kind: Kind) -> Vec<String> {
        let ranges = self.list("service-cidr");
        let is_v6 = |range: &String| range.contains(':');
        let (first, all) = match ranges.first() {
            Some(first) => (loopback(is_v6(first)), ranges.iter().all(is_v6)),
            None => (self.loopback(kind), true),
        };
        let mut hosts = vec![first];
        if first != LOOPBACK && !all {
            hosts.push(LOOPBACK);
        }
        hosts
            .iter()
            .map(|host| format!("http://{host}:2381"))
            .collect()
    }

    /// The values of a flag that takes several, in the order in which K3s sees them: files first.
    fn list(&self, flag: &str) -> Vec<String> {
        let config = self.config.iter().filter(|(_, entry)| entry.key == flag);
        let config = config.flat_map(|(_, entry)| entry.values.iter().flatten());
        let arguments = self.arguments.iter().filter(|set| set.name == flag);
        config
            .chain(arguments.map(|set| &set.value))
            .flat_map(|value| value.split(','))
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty())
            .collect()
    }
}

const LOOPBACK: &str = "127.0.0.1";

fn loopback(is_v6: bool) -> &'static str {
    if is_v6 { "[::1]" } else { LOOPBACK }
}
