//! The k3s binary on a host of the fleet: kubectl against the supervisor, the apiserver and etcd.

use std::collections::BTreeMap;
use std::time::Duration;

use super::cluster::{Silence, status};
use super::perform::{Reply, Trouble, ran};
use super::{Fleet, Life};
use crate::sim::bootstrap::Replica;
use crate::sim::call::Call;
use crate::sim::etcd;
use crate::sim::fault::Fault;
use crate::sim::kube::{self, endpoints, namespace};
use crate::sim::kubectl::{self, Ended, Kubectl, Target, Verb};
use crate::sim::parse::Kubeconfig;
use crate::sim::server::{Backend, Server};
use crate::sim::unpack;
use crate::sim::world::{Answer, Asked, Files as _};
use crate::wire::Command;

const KUBECTL: Duration = Duration::from_millis(400);
const SNAPSHOT: Duration = Duration::from_secs(2);
/// The CLI waits a second for etcd.
const ROTATE: Duration = Duration::from_millis(1_400);
const RESET: Duration = Duration::from_secs(6);

fn reply(ended: &Ended, takes: Duration) -> Reply {
    Reply {
        takes,
        ..Reply::at_once(ran(ended.status, &ended.stdout, &ended.stderr))
    }
}

/// What an error is called that has nothing to do with a token.
pub(super) const PASSING: &str = "token error ID 31337";

impl Fleet {
    pub(super) fn k3s(
        &mut self,
        at: usize,
        call: &Call,
        command: &Command,
    ) -> Result<Reply, Trouble> {
        if call.unpacks()
            && let Err(ended) = self.unpack(at, call.told())?
        {
            return Ok(reply(&ended, KUBECTL));
        }
        match call {
            Call::Version => Ok(reply(&Ended::fine(self.program(at).banner()), KUBECTL / 4)),
            Call::Kubectl(kubectl) => Ok(reply(&self.kubectl(at, kubectl, command)?, KUBECTL)),
            Call::SaveSnapshot { name } => Ok(reply(&self.snapshot(at, name), SNAPSHOT)),
            Call::EncryptionStatus => Ok(reply(&self.encryption(at), KUBECTL)),
            Call::Rotate(asked) => Ok(reply(&self.rotate_by_cli(at, asked)?, ROTATE)),
            Call::CreateToken(wanted) => Ok(reply(&self.create_token(at, wanted), KUBECTL)),
            Call::DeleteTokens {
                ids, kubeconfig, ..
            } => {
                let ended = self.delete_tokens(at, kubeconfig.as_deref(), ids);
                Ok(reply(&ended, KUBECTL))
            }
            Call::ListTokens => Ok(reply(&self.list_tokens(at), KUBECTL)),
            Call::Serve(args) => match self.reset(at, args) {
                Some(ended) => Ok(reply(&ended, RESET)),
                None => Err(Trouble::Unmodelled(command.argv.join(" "))),
            },
        }
    }

    /// What the binary does before it does anything.
    pub(super) fn unpack(
        &mut self,
        at: usize,
        told: Option<&str>,
    ) -> Result<Result<(), Ended>, Trouble> {
        let host = self.hosts.get_mut(at).ok_or(Trouble::Cut)?;
        let unpacked = unpack::for_call(told, &BTreeMap::new(), &mut host.disk);
        Ok(unpacked.map_err(|error| {
            Ended::bad(1, format!("level=fatal msg=\"extracting data: {error}\""))
        }))
    }

    fn kubectl(&mut self, at: usize, call: &Kubectl, command: &Command) -> Result<Ended, Trouble> {
        let stdin = command.stdin.as_ref().map(|input| input.text());
        let kubeconfig = match call.kubeconfig() {
            "/dev/stdin" => Some(stdin.unwrap_or_default().into_owned()),
            path => self.text(at, path),
        };
        let target = match call.target(kubeconfig.as_deref()) {
            Ok(target) => target,
            Err(ended) => return Ok(ended),
        };
        if let Target::Url(door) = &target
            && !command.direct
            && let Some(ended) = self.proxied(at, &door.server)
        {
            return Ok(ended);
        }
        if let Some(ended) = call.lacks_schema(&target, self.program(at)) {
            return Ok(ended);
        }
        let (path, body) = match &call.verb {
            Verb::Nodes | Verb::Leases | Verb::Apiservers | Verb::Namespace => {
                return Ok(self.listed(at, &call.verb, &target));
            }
            Verb::Lines(lines) => return Ok(self.lines(at, *lines, &target)),
            Verb::Annotate { key, value } => return Ok(self.annotate(at, key, value, &target)),
            Verb::CreateRaw { path, .. } => return Ok(self.posted(at, path, &target)),
            Verb::GetRaw(path) => (path, None),
            Verb::ReplaceRaw { path, file, .. } => {
                let body = match file.as_str() {
                    "/dev/fd/3" => command.fd3.as_ref().map(|input| input.bytes().to_vec()),
                    "-" => command.stdin.as_ref().map(|input| input.bytes().to_vec()),
                    file => self.hosts.get(at).and_then(|host| host.disk.read(file)),
                };
                let Some(body) = body else {
                    let text = format!("error: the path \"{file}\" does not exist");
                    return Ok(Ended::bad(1, text));
                };
                (path, Some(body))
            }
        };
        match target {
            Target::Admin => Ok(self.admin_raw(at, path)),
            Target::Url(door) if door.server.starts_with("http://") => {
                Ok(self.etcd(at, &door.server, path))
            }
            Target::Url(door) => self.knock(at, &door, path, body.as_deref()),
        }
    }

    /// What comes of a request that goes through a proxy of `/etc/environment`, which knows nothing of the cluster.
    fn proxied(&self, at: usize, url: &str) -> Option<Ended> {
        let environment = self.text(at, "/etc/environment")?;
        let is_own = ["://127.", "://[::1]", "://localhost"]
            .iter()
            .any(|own| url.contains(own));
        let text = "Unable to connect to the server: Forbidden";
        (!is_own && environment.contains("_PROXY=")).then(|| Ended::bad(1, text))
    }

    pub(super) fn text(&self, at: usize, path: &str) -> Option<String> {
        self.hosts.get(at)?.disk.text(path)
    }

    /// Which supervisor a URL leads to from a host.
    pub(super) fn supervisor(&self, at: usize, url: &str) -> Option<usize> {
        let host = self.hosts.get(at)?;
        let rest = url.strip_prefix("https://")?;
        let (name, port) = rest.split_once(':')?;
        if !matches!(name, "127.0.0.1" | "localhost") {
            return self.behind(url);
        }
        match (&host.life, port) {
            (Life::Joining(agent) | Life::Joined(agent), "6444") => {
                let named = agent.door().and_then(|(url, _)| self.behind(&url));
                let serves =
                    |at: &usize| self.hosts.get(*at).is_some_and(|h| h.serving().is_some());
                let other = self.servers.iter().copied().find(|at| serves(at));
                named.filter(serves).or(other)
            }
            (Life::Up(server) | Life::Starting(server, _), port) => {
                (port == server.settings.port().to_string() || port == "6444").then_some(at)
            }
            _ => None,
        }
    }

    /// One request with basic credentials to a supervisor.
    fn knock(
        &mut self,
        at: usize,
        door: &Kubeconfig,
        path: &str,
        body: Option<&[u8]>,
    ) -> Result<Ended, Trouble> {
        let address = door.server.trim_start_matches("https://").to_owned();
        if let Some(ca) = door.ca.as_deref().filter(|ca| self.text(at, ca).is_none()) {
            let text = format!(
                "error: unable to read certificate-authority {ca} for k due to open {ca}: no such file or directory"
            );
            return Ok(Ended::bad(1, text));
        }
        let Some(peer) = self.supervisor(at, &door.server) else {
            return Ok(kubectl::refused(&address));
        };
        let basic = door
            .basic
            .as_ref()
            .map(|(user, pass)| (user.as_str(), pass.as_str()));
        let asked = Asked {
            method: if body.is_some() { "PUT" } else { "GET" },
            path,
            basic,
            bearer: None,
            body: body.unwrap_or_default(),
        };
        if body.is_some() {
            let answer = self.put(at, peer, asked)?;
            return Ok(said(answer, &address));
        }
        let answer = match self.ask(peer, asked) {
            Ok(Answer::Said { status: 200, .. }) if path == "/db/info" => Ok(self.members(peer)),
            answer => answer,
        };
        Ok(said(answer, &address))
    }

    /// The members of etcd, as this one tells a joining server.
    fn members(&self, teller: usize) -> Answer {
        let teller = self.hosts.get(teller);
        let alone = teller.filter(|host| host.has(Fault::EtcdListsItself));
        let is_told = |host: &&super::Host| alone.is_none_or(|teller| teller.name == host.name);
        let members = self.hosts.iter().filter(|host| host.is_member);
        let members = members.filter(is_told).flat_map(|host| {
            let each = 0..=host.stale_members;
            each.map(|before| (host.name.as_str(), before, host.address.as_str()))
        });
        etcd::members(members)
    }

    /// The one request that changes something, and the faults that wait for it.
    pub(super) fn put(
        &mut self,
        at: usize,
        peer: usize,
        asked: Asked<'_>,
    ) -> Result<Result<Answer, Silence>, Trouble> {
        let now = self.now;
        let Some(host) = self.hosts.get_mut(at) else {
            return Err(Trouble::Cut);
        };
        host.changes += 1;
        if host.spend(Fault::CutPutUndone) {
            return Err(Trouble::Cut);
        }
        if host.spend(Fault::Put500) {
            return Ok(Ok(status(
                500,
                &format!("Internal error occurred: {PASSING}"),
                "InternalError",
            )));
        }
        if let (true, Life::Up(server)) = (host.spend(Fault::PutTorn), &mut host.life) {
            return Ok(Ok(server.answer(
                asked,
                &mut host.disk,
                &mut Replica::default(),
                now,
            )));
        }
        let cut = host.spend(Fault::CutPutDone);
        let answer = self.ask(peer, asked);
        if cut { Err(Trouble::Cut) } else { Ok(answer) }
    }

    /// Whether the kube-apiserver of this host answers its admin.
    pub(super) fn apiserver(&self, at: usize) -> Result<(), Ended> {
        let Some(host) = self.hosts.get(at) else {
            return Err(kubectl::refused("127.0.0.1:6443"));
        };
        match &host.life {
            _ if !host.is_server => Err(kubectl::refused("localhost:8080")),
            Life::Up(server) if server.settings.is_set("disable-apiserver") => {
                Err(kubectl::refused("127.0.0.1:6443"))
            }
            Life::Up(_) if host.has(Fault::Api503) => Err(kubectl::words(&Answer::said(503, ""))),
            Life::Up(_) if host.has(Fault::Api429) => Err(kubectl::words(&status(
                429,
                "the server has received too many requests and has asked us to try again later",
                "TooManyRequests",
            ))),
            Life::Up(_) if host.has(Fault::Api500) => Err(kubectl::words(&status(
                500,
                "an error on the server has prevented the request from succeeding",
                "InternalError",
            ))),
            Life::Up(_) if !self.has_quorum() || host.has(Fault::NoLeader) => Err(Ended::bad(
                1,
                "Error from server: etcdserver: request timed out",
            )),
            Life::Up(_) => Ok(()),
            _ => Err(kubectl::refused("127.0.0.1:6443")),
        }
    }

    fn listed(&self, at: usize, verb: &Verb, target: &Target) -> Ended {
        if *target != Target::Admin {
            return Ended::bad(
                1,
                "error: You must be logged in to the server (Unauthorized)",
            );
        }
        if let Err(ended) = self.apiserver(at) {
            return ended;
        }
        let text = match verb {
            Verb::Nodes => kube::nodes_json(&self.nodes(), self.now),
            Verb::Namespace => namespace::json(&self.store),
            Verb::Apiservers => endpoints::json(&self.apiservers()),
            _ => kube::leases_json(&self.nodes(), self.now),
        };
        let cut = self
            .hosts
            .get(at)
            .is_some_and(|host| host.has(Fault::KubectlCut));
        let half = text.get(..text.len() / 2).unwrap_or_default();
        Ended::fine(if cut { half } else { &text })
    }

    fn annotate(&mut self, at: usize, key: &str, value: &str, target: &Target) -> Ended {
        if *target != Target::Admin {
            return Ended::bad(
                1,
                "error: You must be logged in to the server (Unauthorized)",
            );
        }
        if let Err(ended) = self.apiserver(at) {
            return ended;
        }
        if let Some(host) = self.hosts.get_mut(at) {
            host.changes += 1;
        }
        namespace::annotate(&mut self.store, key, value);
        Ended::fine(namespace::ANNOTATED)
    }

    fn admin_raw(&self, at: usize, path: &str) -> Ended {
        let server = self.hosts.get(at).and_then(super::Host::serving);
        let version = server.map(|server| server.version).unwrap_or_default();
        match (self.apiserver(at), path.split('?').next()) {
            (Err(ended), _) => ended,
            (Ok(()), Some("/version")) => Ended::fine(kube::version_json(version)),
            (Ok(()), Some("/readyz" | "/livez" | "/healthz")) => Ended::fine("ok"),
            (Ok(()), _) => Ended::bad(
                1,
                "Error from server (NotFound): the server could not find the requested resource",
            ),
        }
    }

    /// etcd's gateway takes no JSON; what else is posted has no model of its effect, and is not let in.
    fn posted(&self, at: usize, path: &str, target: &Target) -> Ended {
        let is_etcd = |door: &Kubeconfig| door.server == etcd::CLIENTS;
        match target {
            Target::Url(door) if is_etcd(door) && self.is_etcd(at) => {
                kubectl::words(&etcd::gateway(path))
            }
            Target::Url(door) if is_etcd(door) => kubectl::refused("127.0.0.1:2379"),
            _ => Ended::bad(
                1,
                "error: You must be logged in to the server (Unauthorized)",
            ),
        }
    }

    fn is_etcd(&self, at: usize) -> bool {
        let server = self.hosts.get(at).and_then(super::Host::serving);
        server.is_some_and(|server| server.backend == Backend::Etcd)
    }

    /// etcd's own plain-text listener on the loopback address of the services' family.
    fn etcd(&self, at: usize, url: &str, path: &str) -> Ended {
        let address = url.trim_start_matches("http://");
        let Some(host) = self.hosts.get(at) else {
            return kubectl::refused(address);
        };
        let listens = |server: &Server| {
            server.backend == Backend::Etcd && server.settings.metrics().contains(&url.to_owned())
        };
        if !host.serving().is_some_and(listens) {
            return kubectl::refused(address);
        }
        let quorum = self.has_quorum() && !host.has(Fault::NoLeader);
        let id = kube::uid(host.name.as_str()).replace('-', "");
        let member = etcd::Member {
            id: id.get(..16).unwrap_or_default().to_owned(),
            revision: self.revision(),
            has_leader: quorum,
            is_leader: quorum && self.leader() == Some(at),
            is_learner: host.has(Fault::EtcdLearner),
            is_healthy: !host.has(Fault::EtcdIll),
        };
        kubectl::words(&member.answer(path))
    }
}

fn said(answer: Result<Answer, Silence>, address: &str) -> Ended {
    match answer {
        Ok(answer) => kubectl::words(&answer),
        Err(Silence::Refused) => kubectl::refused(address),
    }
}
