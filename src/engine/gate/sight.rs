//! Asks the hosts and the API what the gate's rule judges. How a host is set up is found out once a gate; all else
//! is looked at anew each time.

mod site;

use std::collections::{BTreeMap, HashMap};

use futures::future::{BoxFuture, FutureExt as _};
use futures::stream::{self, StreamExt as _};

use super::rule::{Look, Node, Sight, Unit};
use crate::engine::look;
use crate::facts::{FactError, Leases, Nodes, Scope};
use crate::k3s::install::Datastore;
use crate::k3s::phase::names;
use crate::model::{HostName, HostTime};
use crate::playbook::{Etcd, Health};
use site::Site;

/// How many hosts are asked at once.
const AT_ONCE: usize = 50;

/// The API's view: nodes with the time of their leases.
type Api = BTreeMap<String, (bool, Option<HostTime>)>;

/// The looks of one gate.
pub(super) struct Sights<'a> {
    scope: &'a Scope,
    health: &'a Health,
    hosts: &'a [HostName],
    sites: HashMap<HostName, Site>,
}

impl<'a> Sights<'a> {
    pub(super) fn new(scope: &'a Scope, health: &'a Health, hosts: &'a [HostName]) -> Self {
        Self {
            scope,
            health,
            hosts,
            sites: HashMap::new(),
        }
    }

    /// One look at all of it.
    pub(super) async fn look(&mut self) -> Look {
        let blind = self.settle_sites().await;
        let api = if self.health.nodes_ready {
            Some(self.api().await)
        } else {
            None
        };
        let this = &*self;
        let (api, blind) = (api.as_ref(), &blind);
        let each = |host| this.host(host, api, blind).boxed();
        let hosts = at_once(this.hosts.iter().map(each).collect()).await;
        let cluster = this.etcd(blind).await;
        Look { hosts, cluster }
    }

    /// What the gate was asked for and cannot look at here.
    pub(super) fn not_applicable(&self) -> Vec<String> {
        let mut all = Vec::new();
        let servers = || self.servers().filter_map(|host| self.sites.get(host));
        let has_no_etcd = |site: &Site| site.datastore != Datastore::Etcd;
        let asks_etcd = self.health.etcd != Etcd::Nobody && servers().next().is_some();
        if asks_etcd && servers().all(has_no_etcd) {
            all.push("`etcd` does not apply: no server keeps etcd data".to_owned());
        } else if asks_etcd {
            let without =
                self.visited(|host, site| has_no_etcd(site) && self.scope.fleet.is_server(host));
            let say = |hosts| format!("`etcd` does not apply to {hosts}: no etcd data there");
            all.extend(without.map(say));
        }
        if self.health.nodes_ready {
            let say = |hosts| format!("`nodes` does not apply to {hosts}: no kubelet runs there");
            all.extend(self.visited(|_, site| !site.has_node).map(say));
        }
        all
    }

    /// The names of the visited hosts that are set up so; `None` when there is none.
    fn visited(&self, is_so: impl Fn(&HostName, &Site) -> bool) -> Option<String> {
        let sites = self
            .hosts
            .iter()
            .filter_map(|host| Some((host, self.sites.get(host)?)));
        let so = sites.filter(|(host, site)| is_so(host, site));
        let so: Vec<&HostName> = so.map(|(host, _)| host).collect();
        (!so.is_empty()).then(|| names(so.into_iter()))
    }

    fn servers(&self) -> impl Iterator<Item = &HostName> {
        self.scope.fleet.servers.iter().map(|member| &member.name)
    }

    /// Finds out how hosts are set up that are not known yet; why it failed for the others.
    async fn settle_sites(&mut self) -> HashMap<HostName, String> {
        let missing: Vec<&HostName> = self
            .servers()
            .chain(self.hosts)
            .filter(|host| !self.sites.contains_key(*host))
            .collect();
        let scope = self.scope;
        let look = |host: HostName| async move {
            let site = site::look(scope, &host).await;
            (host, site)
        };
        let looks = missing.into_iter().cloned().map(|host| look(host).boxed());
        let found = at_once(looks.collect()).await;
        let mut blind = HashMap::new();
        for (host, site) in found {
            match site {
                Ok(site) => {
                    self.sites.insert(host, site);
                }
                Err(why) => {
                    blind.insert(host, why);
                }
            }
        }
        blind
    }

    async fn host(
        &self,
        host: &HostName,
        api: Option<&Result<Api, String>>,
        blind: &HashMap<HostName, String>,
    ) -> Sight {
        let Some(site) = self.sites.get(host) else {
            let why = blind.get(host).cloned().unwrap_or_default();
            return Sight {
                host: host.clone(),
                unit: Err(why),
                node: None,
            };
        };
        let unit = look::unit(self.scope, host, &site.unit)
            .await
            .map_err(|error| error.to_string());
        let unit = unit.map(|state| Unit {
            name: site.unit.clone(),
            active_state: state.active_state,
            sub_state: state.sub_state,
            result: state.result,
            invocation: state.invocation,
            n_restarts: state.n_restarts,
            started: state.started,
            now: state.now,
        });
        let node = api.filter(|_| site.has_node).map(|api| node(site, api));
        Sight {
            host: host.clone(),
            unit,
            node,
        }
    }

    /// Nodes and leases, through the first server whose API answers.
    async fn api(&self) -> Result<Api, String> {
        let mut last = "no server with an API is known yet".to_owned();
        for host in self.servers() {
            let Some(site) = self.sites.get(host).filter(|site| site.has_api) else {
                continue;
            };
            let facts = (Nodes(site.admin.clone()), Leases(site.admin.clone()));
            match self.scope.look(host, facts).await {
                Ok((nodes, leases)) => {
                    let entry = |node: crate::facts::Node| {
                        let renewed = leases.get(&node.name).copied();
                        (node.name, (node.ready, renewed))
                    };
                    return Ok(nodes.into_iter().map(entry).collect());
                }
                Err(error) => last = format!("{host}: {error}"),
            }
        }
        Err(format!("no API answers: {last}"))
    }

    /// What is wrong with the etcd members that count.
    async fn etcd(&self, blind: &HashMap<HostName, String>) -> Vec<String> {
        let counts = |host: &&HostName| match self.health.etcd {
            Etcd::Nobody => false,
            Etcd::Voters => true,
            Etcd::Visited => self.hosts.contains(host),
        };
        let servers = self.servers().filter(counts);
        let looks = servers.map(|host| self.member(host, blind).boxed());
        at_once(looks.collect())
            .await
            .into_iter()
            .flatten()
            .collect()
    }

    async fn member(&self, host: &HostName, blind: &HashMap<HostName, String>) -> Option<String> {
        let Some(site) = self.sites.get(host) else {
            return blind.get(host).map(|why| format!("{host}: {why}"));
        };
        if site.datastore != Datastore::Etcd {
            return None;
        }
        match self.scope.look(host, site.member.clone()).await {
            Ok(member) if member.is_well() => None,
            Ok(member) => Some(format!("{host}: its etcd member: {}", member.words())),
            Err(error @ FactError::Transport(_)) => Some(error.to_string()),
            Err(error) => Some(format!("{host}: {error}")),
        }
    }
}

/// Looks side by side, in order. Boxed: the compiler cannot tell the lifetimes of closures' futures in a task.
async fn at_once<T>(looks: Vec<BoxFuture<'_, T>>) -> Vec<T> {
    stream::iter(looks).buffered(AT_ONCE).collect().await
}

fn node(site: &Site, api: &Result<Api, String>) -> Result<Node, String> {
    let api = api.as_ref().map_err(Clone::clone)?;
    let name = site
        .node
        .as_ref()
        .ok_or("it has no kubelet certificate that names its node")?;
    let (ready, renewed) = api
        .get(name)
        .ok_or_else(|| format!("there is no node {name}"))?;
    Ok(Node {
        name: name.clone(),
        ready: *ready,
        renewed: *renewed,
    })
}
