//! What all servers say together.

use std::sync::Arc;

use futures::future::join_all;

use super::memory::{candidates, of_agents, remember, settle, standing, wish};
use super::{Blind, Freshness, Seen};
use crate::facts::{Probe, Settled};
use crate::k3s::install::Datastore;
use crate::k3s::phase::{Memory, ServerView, Standing, Torn};
use crate::k3s::token::TokenKind;
use crate::model::HostName;
use crate::steps::{StepError, Unmet};

/// One server with what its process accepts.
#[derive(Debug, Clone)]
pub struct ServerSeen {
    /// Its set-up.
    pub seen: Seen,
    /// What its process accepts.
    pub memory: Memory,
}

/// All servers of the inventory.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// Which token memories and standing are about.
    pub about: TokenKind,
    /// Those that could be looked at, in the inventory's order.
    pub servers: Vec<ServerSeen>,
    /// Those that could not, and why.
    pub blind: Vec<(HostName, Blind)>,
    /// What the run is for, of the server token.
    pub settled: Settled,
    /// Where the rotation stands.
    pub standing: Result<Standing, Torn>,
}

impl Cluster {
    /// Looks at every server of the inventory. `fresh` says which hosts must be looked at now.
    pub async fn look(
        probe: &Probe<'_>,
        about: TokenKind,
        fresh: impl Fn(&HostName) -> bool,
    ) -> Self {
        let looks = probe.fleet().servers.iter().map(|member| async {
            let freshness = if fresh(&member.name) {
                Freshness::Now
            } else {
                Freshness::Lately
            };
            (
                &member.name,
                freshness,
                Seen::look(probe, &member.name, freshness).await,
            )
        });
        let (mut found, mut blind) = (Vec::new(), Vec::new());
        for (host, freshness, look) in join_all(looks).await {
            match look {
                Ok(seen) => match seen.misplaced(probe.fleet()) {
                    Some(fault) => blind.push((host.clone(), Blind::Faulty(fault))),
                    None => found.push((seen.of(about), freshness)),
                },
                Err(why) => blind.push((host.clone(), why)),
            }
        }
        let known = candidates(probe, about, found.iter().map(|(seen, _)| seen));
        let looks = found
            .into_iter()
            .map(|(seen, freshness)| remember(probe, seen, freshness, &known));
        let mut servers = join_all(looks).await;
        if servers
            .iter()
            .any(|server| server.memory == Memory::Foreign)
        {
            let others = Box::pin(of_agents(probe, &known)).await;
            let looks = servers.into_iter().map(|it| it.once_more(probe, &others));
            servers = join_all(looks).await;
        }
        let mut wish = wish(probe, about);
        let settled = match about {
            TokenKind::Server => Some(probe.settled(Box::pin(settle(probe, &servers))).await),
            TokenKind::Agent => None,
        };
        // A rotation by hand that has forgotten its agents is finished with its own token.
        let left = settled.and_then(|settled| settled.left_behind.as_ref());
        wish.given = wish.given.or(left);
        let standing = standing(about, &servers, wish);
        Self {
            about,
            settled: settled.cloned().unwrap_or_default(),
            servers,
            blind,
            standing,
        }
    }

    /// `each of 3 servers`.
    #[must_use]
    pub fn each(&self) -> String {
        match self.servers.len() {
            1 => "the one server".to_owned(),
            servers => format!("each of {servers} servers"),
        }
    }

    /// The usual look of a task: its own host now, the others lately. Agents share one look at the servers.
    pub async fn around(probe: &Probe<'_>, about: TokenKind) -> Arc<Self> {
        if !probe.fleet().is_server(probe.host()) {
            let look = async {
                let cluster = Self::now(probe, about).await;
                if cluster.has_heard_all() {
                    Ok(cluster)
                } else {
                    Err(cluster)
                }
            };
            if let Some(cluster) = probe.shared(about, look).await {
                return cluster;
            }
        }
        Arc::new(Self::look(probe, about, |host| host == probe.host()).await)
    }

    /// Whether every server was asked and every running one answered: silence may be over in a moment.
    fn has_heard_all(&self) -> bool {
        let heard = |server: &ServerSeen| {
            !matches!(server.memory, Memory::Silent(_)) || !server.seen.unit.is_active()
        };
        let asked = |(_, blind): &(HostName, Blind)| matches!(blind, Blind::Faulty(_));
        self.servers.iter().all(heard) && self.blind.iter().all(asked)
    }

    /// Looks at every server now, whatever was seen lately.
    pub async fn now(probe: &Probe<'_>, about: TokenKind) -> Self {
        Self::look(probe, about, |_| true).await
    }

    /// Whether agents join with a token of their own.
    #[must_use]
    pub fn has_agent_token(&self) -> bool {
        self.servers.iter().any(|it| it.seen.has_agent_token())
    }

    /// That a host trusts another CA than the servers have.
    #[must_use]
    pub fn stranger(&self, seen: &Seen) -> Option<Unmet> {
        let mut theirs = self.servers.iter().filter_map(|it| it.seen.ca_hash());
        let (ours, theirs, host) = (seen.ca_hash()?, theirs.next()?, &seen.host);
        (ours != theirs).then(|| {
            Unmet::new(
                "another-cluster",
                format!(
                    "{host} trusts another CA than the servers have: it belongs to another cluster"
                ),
                format!("take {host} out of the inventory, or join it to this cluster"),
            )
        })
    }

    /// A server by name.
    #[must_use]
    pub fn server(&self, host: &HostName) -> Option<&ServerSeen> {
        self.servers.iter().find(|server| server.seen.host == *host)
    }

    /// Servers that are members of embedded etcd.
    pub fn members(&self) -> impl Iterator<Item = &ServerSeen> {
        let servers = self.servers.iter();
        servers.filter(|server| server.seen.install.datastore == Datastore::Etcd)
    }

    /// How many servers keep their data in this way.
    #[must_use]
    pub fn count(&self, kind: Datastore) -> usize {
        let servers = self.servers.iter();
        servers
            .filter(|server| server.seen.install.datastore == kind)
            .count()
    }

    /// Where the rotation stands, or the error of the first server that could not be asked, or why nobody can say.
    ///
    /// # Errors
    /// [`StepError::Fact`] for a host that cannot be asked, else what stands in the way.
    pub fn standing(&self) -> Result<Result<&Standing, Vec<Unmet>>, StepError> {
        if let Some(error) = self.blind.iter().find_map(|(_, blind)| match blind {
            Blind::Unasked(error) => Some(error),
            Blind::Faulty(_) => None,
        }) {
            return Err(error.clone().into());
        }
        let faults: Vec<Unmet> = self
            .blind
            .iter()
            .filter_map(|(_, blind)| Unmet::of_blind(blind))
            .collect();
        if !faults.is_empty() {
            return Ok(Err(faults));
        }
        Ok(self
            .standing
            .as_ref()
            .map_err(|torn| vec![Unmet::of_torn(torn)]))
    }

    /// Servers that would not let another one go down now: silent, or with an etcd member that is not well.
    #[must_use]
    pub fn silent(&self) -> Vec<(&HostName, String)> {
        let why = |server: &'_ ServerSeen| match &server.memory {
            Memory::Holds(_) => None,
            Memory::Silent(why) => Some(why.clone()),
            Memory::Foreign => Some("it accepts no token that was found on any server".to_owned()),
        };
        self.servers
            .iter()
            .filter_map(|server| Some((&server.seen.host, why(server)?)))
            .collect()
    }
}

impl ServerSeen {
    pub(super) fn view(&self) -> ServerView {
        ServerView {
            host: self.seen.host.clone(),
            surface: self.seen.surface().cloned(),
            on_disk: self.seen.on_disk(),
            passwd: self.seen.in_passwd(),
            memory: self.memory.clone(),
            kept: self.seen.kept(),
            staged: self.seen.staged(),
            aside: self.seen.aside(),
            proven: self.seen.proven(),
            is_starting: self.seen.unit.is_first_start(),
            started: self.seen.unit.started,
            put: self.seen.put(),
            written: self.seen.passwd_written(),
            told: self.seen.vouched(),
            denied: self.seen.denied(),
        }
    }
}
