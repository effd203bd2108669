//! What all servers say together.

use std::sync::Arc;

use futures::future::join_all;

use super::api::ask_api;
use super::{Blind, Freshness, Seen};
use crate::facts::{FactError, Fleet, Knocked, Node, NodeName, Nodes, Overlay, Probe, Scope};
use crate::k3s::install::{Datastore, Kind};
use crate::k3s::knock::{Heard, Knock, Role};
use crate::k3s::order::{self, Joiner};
use crate::k3s::phase::{Memory, Phase, ServerView, Standing, Torn, Wish, judge};
use crate::k3s::token;
use crate::model::HostName;
use crate::secret::Secret;
use crate::steps::{StepError, Unmet};
use crate::wire::Become;

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
    /// Those that could be looked at, in the inventory's order.
    pub servers: Vec<ServerSeen>,
    /// Those that could not, and why.
    pub blind: Vec<(HostName, Blind)>,
    /// Where the rotation stands.
    pub standing: Result<Standing, Torn>,
}

impl Cluster {
    /// Looks at every server of the inventory. `fresh` says which hosts must be looked at now.
    pub async fn look(probe: &Probe<'_>, fresh: impl Fn(&HostName) -> bool) -> Self {
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
                Ok(seen) if seen.install.kind == Kind::Server => found.push((seen, freshness)),
                Ok(seen) => blind.push((host.clone(), Blind::Faulty(wrong_kind(&seen)))),
                Err(why) => blind.push((host.clone(), why)),
            }
        }
        let candidates = candidates(probe, found.iter().map(|(seen, _)| seen));
        let servers = join_all(
            found
                .into_iter()
                .map(|(seen, freshness)| remember(probe, seen, freshness, &candidates)),
        );
        let servers = servers.await;
        let views: Vec<ServerView> = servers.iter().map(ServerSeen::view).collect();
        let options = probe.options();
        let standing = judge(
            &views,
            Wish {
                given: options.given.as_ref(),
                generated: &options.generated,
                run: &options.run,
                proof_only: options.words.proof_only,
            },
        );
        Self {
            servers,
            blind,
            standing,
        }
    }

    /// The usual look of a task: its own host now, the others lately. Agents share one look at the servers.
    pub async fn around(probe: &Probe<'_>) -> Arc<Self> {
        if !probe.fleet().is_server(probe.host()) {
            let look = async {
                let cluster = Self::now(probe).await;
                if cluster.has_heard_all() {
                    Ok(cluster)
                } else {
                    Err(cluster)
                }
            };
            if let Some(cluster) = probe.shared(look).await {
                return cluster;
            }
        }
        Arc::new(Self::look(probe, |host| host == probe.host()).await)
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
    pub async fn now(probe: &Probe<'_>) -> Self {
        Self::look(probe, |_| true).await
    }

    /// A server by name.
    #[must_use]
    pub fn server(&self, host: &HostName) -> Option<&ServerSeen> {
        self.servers.iter().find(|server| server.seen.host == *host)
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

    /// The server on which the datastore is or was re-encrypted: where it can be seen, else the first in restart order.
    #[must_use]
    pub fn rotator(&self, fleet: &Fleet, nodes: &[(HostName, Node)]) -> Option<HostName> {
        let seen = self
            .standing
            .as_ref()
            .ok()
            .and_then(|standing| standing.rotator.clone());
        seen.or_else(|| {
            order::restart_order(&self.joiners(fleet, nodes))
                .into_iter()
                .next()
        })
    }

    /// What the restart order depends on.
    #[must_use]
    pub fn joiners(&self, fleet: &Fleet, nodes: &[(HostName, Node)]) -> Vec<Joiner> {
        let address = |host: &HostName| {
            fleet
                .servers
                .iter()
                .find(|member| member.name == *host)
                .map(|m| m.address.clone())
        };
        self.servers
            .iter()
            .map(|server| server.joiner(address(&server.seen.host), nodes))
            .collect()
    }

    /// Whether it is certain that the datastore holds NEW. The rotator's files alone do not tell: a rotate that fails
    /// in the middle has changed them, and not the datastore. A server that started with NEW tells, and so does the
    /// mark that a rotate leaves which was answered well.
    #[must_use]
    pub fn is_witnessed(&self, standing: &Standing) -> bool {
        let tag = token::tag(&standing.new);
        let knows = |server: &ServerSeen| {
            server.memory.secret() == Some(&standing.new)
                || server.seen.rotated().as_ref() == Some(&tag)
        };
        standing.is_rotated() && self.servers.iter().any(knows)
    }

    /// Why a server must not be set or started with NEW yet, when only files say that the datastore holds it.
    #[must_use]
    pub fn unwitnessed(&self, standing: &Standing) -> Option<Unmet> {
        (standing.is_rotated() && !self.is_witnessed(standing)).then(|| {
            Unmet::new(
                "rotate-not-certain",
                "files say that the datastore was encrypted with the new token, and nothing shows that it was: a rotate \
                 that fails half way leaves the same files",
                "let `k3s_token: { state: rotated }` come first, which asks for the rotate once more",
            )
        })
    }

    /// Whether NEW is what every running server accepts, and why not otherwise.
    #[must_use]
    pub fn not_on_new(&self, standing: &Standing) -> Vec<Unmet> {
        let behind = |server: &&ServerSeen| standing.phase(&server.seen.host) != Some(Phase::New);
        let unmet = |server: &ServerSeen| {
            let phase = standing.phase(&server.seen.host);
            Unmet::new(
                "server-not-on-new",
                format!(
                    "{} does not run with the new token yet ({})",
                    server.seen.host,
                    words(phase)
                ),
                "let the play for the servers end well first",
            )
        };
        self.servers.iter().filter(behind).map(unmet).collect()
    }
}

/// A phase in words.
#[must_use]
pub fn words(phase: Option<Phase>) -> &'static str {
    match phase {
        Some(Phase::Old) => "it has the old token",
        Some(Phase::Staged) => "it has the old token, the new one waits beside it",
        Some(Phase::Rotated) => {
            "the datastore has the new token, its configuration the old one: a restart now would be fatal"
        }
        Some(Phase::Flipped) => "it was not restarted since its configuration was changed",
        Some(Phase::New) => "it has the new token",
        Some(Phase::Ahead) => {
            "its configuration has the new token, the datastore the old one: a restart now would be fatal"
        }
        Some(Phase::Reverted) => "something wrote the old token back into its configuration",
        Some(Phase::Silent) => "it does not answer",
        Some(Phase::Foreign) | None => "it has another token",
    }
}

impl ServerSeen {
    pub(super) fn view(&self) -> ServerView {
        ServerView {
            host: self.seen.host.clone(),
            surface: self.seen.surface().cloned(),
            on_disk: self.seen.on_disk(),
            passwd: self.seen.passwd().server,
            memory: self.memory.clone(),
            kept: self.seen.kept(),
            staged: self.seen.staged(),
            proven: self.seen.proven(),
            started: self.seen.unit.started,
        }
    }

    fn joiner(&self, address: Option<String>, nodes: &[(HostName, Node)]) -> Joiner {
        let node = nodes
            .iter()
            .find(|(host, _)| *host == self.seen.host)
            .map(|(_, node)| node);
        let known_as = node
            .into_iter()
            .flat_map(|node| node.addresses.iter().chain([&node.name]))
            .cloned();
        Joiner {
            host: self.seen.host.clone(),
            known_as: known_as
                .chain([self.seen.host.to_string()])
                .chain(address)
                .collect(),
            joins: self.seen.install.url.as_deref().and_then(order::host_of),
            has_data: self.seen.install.datastore != Datastore::Elsewhere,
        }
    }
}

fn wrong_kind(seen: &Seen) -> crate::k3s::install::Fault {
    crate::k3s::install::Fault {
        name: "wrong-group",
        what: format!(
            "{} stands in the group of servers, but {} runs `k3s agent`",
            seen.host, seen.unit.text.id
        ),
        next: "move it to the other group of the inventory".to_owned(),
    }
}

/// Every secret that a server might hold.
fn candidates<'a>(probe: &Probe<'_>, servers: impl Iterator<Item = &'a Seen>) -> Vec<Secret> {
    let mut all: Vec<Secret> = Vec::new();
    let found = servers.flat_map(|seen| {
        [
            seen.surface().cloned(),
            seen.on_disk(),
            seen.passwd().server,
            seen.kept(),
            seen.staged(),
        ]
        .into_iter()
        .flatten()
    });
    let options = probe.options();
    for secret in found
        .chain(options.given.clone())
        .chain(options.words.old.clone())
    {
        if !all.contains(&secret) {
            all.push(secret);
        }
    }
    all
}

async fn remember(
    probe: &Probe<'_>,
    seen: Seen,
    freshness: Freshness,
    candidates: &[Secret],
) -> ServerSeen {
    if !seen.unit.is_active() {
        let memory = Memory::Silent(format!("{} is {}", seen.unit.text.id, seen.unit.words()));
        return ServerSeen { seen, memory };
    }
    let knock = |secret: &Secret| Knock {
        door: seen.door(),
        role: Role::Server,
        secret: secret.clone(),
    };
    let knocks = Knocked(candidates.iter().map(knock).collect());
    let heard = match freshness {
        Freshness::Now => probe.get_now(&seen.host, knocks).await,
        Freshness::Lately => probe.get_on(&seen.host, knocks).await,
    };
    let memory = match heard {
        Ok(heard) => memory(candidates, &heard),
        Err(error) => Memory::Silent(error.to_string()),
    };
    ServerSeen { seen, memory }
}

fn memory(candidates: &[Secret], heard: &[Heard]) -> Memory {
    let accepted = candidates
        .iter()
        .zip(heard)
        .find(|(_, heard)| **heard == Heard::Accepted);
    if let Some((secret, _)) = accepted {
        return Memory::Holds(secret.clone());
    }
    let trouble = heard.iter().find_map(|heard| match heard {
        Heard::NotYet(said) | Heard::Odd(said) => Some(said.clone()),
        Heard::Accepted | Heard::Rejected | Heard::WrongRole => None,
    });
    trouble.map_or(Memory::Foreign, Memory::Silent)
}

/// Nodes of the cluster, each with the inventory's host that it is, found through any server whose API answers.
///
/// # Errors
/// When no server's API answers.
pub(in crate::steps) async fn nodes(
    probe: &Probe<'_>,
    servers: &[ServerSeen],
) -> Result<Vec<Node>, FactError> {
    let nodes = |seen: &Seen| Nodes {
        k3s: seen.k3s.clone(),
    };
    ask_api(probe, servers, "the list of nodes", nodes).await
}

/// Servers paired with their nodes; a server without a node object is left out.
pub(in crate::steps) async fn server_nodes(
    probe: &Probe<'_>,
    servers: &[ServerSeen],
) -> Vec<(HostName, Node)> {
    let Ok(nodes) = nodes(probe, servers).await else {
        return Vec::new();
    };
    let mut pairs = Vec::new();
    for server in servers {
        let certificate = NodeName {
            certificate: server.seen.kubelet_certificate(),
        };
        let Ok(Some(name)) = probe.get_on(&server.seen.host, certificate).await else {
            continue;
        };
        if let Some(node) = nodes.iter().find(|node| node.name == name) {
            pairs.push((server.seen.host.clone(), node.clone()));
        }
    }
    pairs
}

/// The order in which servers are restarted, looked up on the servers.
///
/// # Errors
/// When a server cannot be asked.
pub async fn restart_order(scope: &Scope) -> Result<Vec<HostName>, FactError> {
    let Some(first) = scope.fleet.servers.first() else {
        return Ok(Vec::new());
    };
    let (vars, overlay) = (crate::template::Vars::default(), Overlay::default());
    let probe = Probe::new(&first.name, &Become::Root, &vars, scope, &overlay);
    let cluster = Cluster::look(&probe, |_| false).await;
    for (_, blind) in &cluster.blind {
        if let Blind::Unasked(error) = blind {
            return Err(error.clone());
        }
    }
    let nodes = server_nodes(&probe, &cluster.servers).await;
    let mut order = order::restart_order(&cluster.joiners(&scope.fleet, &nodes));
    // What could not be made out is refused by the preflight, which must still see it.
    order.extend(cluster.blind.into_iter().map(|(host, _)| host));
    Ok(order)
}
