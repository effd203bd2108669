//! On which address the processes of a host listen for themselves: loopback ones, unless they are told otherwise.

use super::Kind;
use camino::Utf8PathBuf;

use super::settings::Settings;
use crate::k3s::surface::yaml::Entry;

impl Settings {
    /// Older K3s listens on the address that a server binds, and on no other; newer listens there too (k3s: cluster/https).
    pub(super) fn address(&self, kind: Kind) -> String {
        let bound = self.value("bind-address", "");
        let bound =
            bound.filter(|address| kind == Kind::Server && !EVERY.contains(&address.as_str()));
        match bound {
            Some(address) if address.contains(':') && !address.starts_with('[') => {
                format!("[{address}]")
            }
            Some(address) => address,
            None => self.loopback(kind).to_owned(),
        }
    }

    /// The first address that the node is given decides (k3s: agent/run); on a server the one that it binds, if any.
    fn loopback(&self, kind: Kind) -> &'static str {
        let bound = self.value("bind-address", "");
        let bound = bound.filter(|_| kind == Kind::Server);
        let first = bound.or_else(|| self.list("node-ip").first().cloned());
        loopback(first.is_some_and(|address| address.contains(':')))
    }

    /// etcd listens on the loopback address of the services' family: in a cluster of both newer K3s takes the first
    /// range's, older the one of IPv4 (k3s: `daemons/config`, `Loopback`). Without a range the node's address decides.
    /// An argument for etcd overrides both.
    pub(super) fn etcd(&self, kind: Kind) -> Vec<String> {
        if let Some(urls) = self.metrics() {
            return urls;
        }
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

    /// Where etcd is told to tell of its health: the last argument counts (k3s: `daemons/executor`, `ToConfigFile`). A host
    /// that listens on every address listens on loopback.
    fn metrics(&self) -> Option<Vec<String>> {
        let told = self.items("etcd-arg").rev().find_map(|argument| {
            let (name, urls) = argument.trim().split_once('=')?;
            (name.trim_start_matches('-') == "listen-metrics-urls").then_some(urls)
        })?;
        let urls = told.split(',').map(str::trim).filter(|url| !url.is_empty());
        let urls = urls.map(|url| {
            let url = url.replace("://0.0.0.0:", "://127.0.0.1:");
            url.replace("://[::]:", "://[::1]:")
        });
        let urls: Vec<String> = urls.collect();
        (!urls.is_empty()).then_some(urls)
    }

    /// The values of a flag that takes several, each of which may be a list with commas.
    fn list(&self, flag: &str) -> Vec<String> {
        self.items(flag)
            .flat_map(|value| value.split(','))
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty())
            .collect()
    }

    /// The values of a flag that takes several, in the order in which K3s sees them: files first.
    fn items<'a>(&'a self, flag: &'a str) -> impl DoubleEndedIterator<Item = &'a String> {
        let of_flag = move |(_, entry): &&(Utf8PathBuf, Entry)| entry.key == flag;
        // A later file replaces an earlier one's list unless it appends.
        let from = self
            .config
            .iter()
            .rposition(|it| of_flag(&it) && !it.1.appends);
        let config = self.config.iter().skip(from.unwrap_or(0)).filter(of_flag);
        let config = config.flat_map(|(_, entry)| entry.values.iter().flatten());
        let arguments = self.arguments.iter().filter(move |set| set.name == flag);
        config.chain(arguments.map(|set| &set.value))
    }
}

const LOOPBACK: &str = "127.0.0.1";

/// What binds every address.
const EVERY: [&str; 2] = ["0.0.0.0", "::"];

fn loopback(is_v6: bool) -> &'static str {
    if is_v6 { "[::1]" } else { LOOPBACK }
}
