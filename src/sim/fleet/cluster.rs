//! How hosts reach each other's supervisors.

use std::time::Duration;

use super::furnish::VIP;
use super::{Fleet, Host, Life};
use crate::model::HostName;
use crate::sim::agent::ServerReply;
use crate::sim::fault::Fault;
use crate::sim::kube::Node;
use crate::sim::server::{Backend, PeerReply, reason_of};
use crate::sim::token;
use crate::sim::world::{Answer, Asked, Datastore as _};

/// Why a supervisor said nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Silence {
    /// Nobody listens.
    Refused,
}

impl Fleet {
    /// The host that a URL leads to.
    pub(super) fn behind(&self, url: &str) -> Option<usize> {
        let rest = url.strip_prefix("https://")?;
        let name = rest.split([':', '/']).next()?;
        let by_name = || {
            HostName::new(name)
                .ok()
                .and_then(|name| self.by_name.get(&name))
        };
        if name == VIP {
            let serves = |at: &&usize| self.hosts.get(**at).is_some_and(|h| h.serving().is_some());
            let first = self.servers.iter().find(serves).or(self.servers.first());
            return first.copied();
        }
        self.by_address.get(name).or_else(by_name).copied()
    }

    /// Asks the supervisor of a host.
    pub(super) fn ask(&mut self, at: usize, asked: Asked<'_>) -> Result<Answer, Silence> {
        let quorum = self.has_quorum();
        let now = self.now;
        let host = self.hosts.get_mut(at).ok_or(Silence::Refused)?;
        let time = host.time(now);
        host.disk.now = time;
        let put = asked.method == "PUT";
        let server = match &mut host.life {
            Life::Starting(_, ready) => {
                let half = host.unit.started.map_or(i64::MAX, |started| {
                    let started = started.0 - host.skew;
                    started.saturating_add(ready.0.saturating_sub(started) / 2)
                });
                return if now.0 < half {
                    Err(Silence::Refused)
                } else {
                    Ok(not_ready())
                };
            }
            Life::Up(server) => server,
            _ => return Err(Silence::Refused),
        };
        if put && matches!(server.backend, Backend::Etcd | Backend::Remote) && !quorum {
            return Ok(internal("etcdserver: request timed out"));
        }
        let answer = server.answer(asked, &mut host.disk, &mut self.store, time);
        if put {
            if let Some(reason) = reason_of(&answer, time) {
                host.log(reason.logged());
            }
            self.replicate();
            self.rotated();
        }
        Ok(answer)
    }

    /// A rotate was asked for: what waits for that happens.
    fn rotated(&mut self) {
        for at in 0..self.hosts.len() {
            for (fault, seconds, event) in [
                (Fault::RebootMidRotation, 2, super::Event::Reboot),
                (Fault::SecondRotation, 1, super::Event::RotateByHand),
            ] {
                let host = self.hosts.get_mut(at);
                if host.is_some_and(|host| host.spend(fault)) {
                    self.later(at, Duration::from_secs(seconds), event);
                }
            }
        }
    }

    /// Whether a majority of etcd's members lives; always without embedded etcd.
    pub(super) fn has_quorum(&self) -> bool {
        let members = || {
            let hosts = self.servers.iter().filter_map(|at| self.hosts.get(*at));
            hosts.filter(|host| host.is_member)
        };
        let alive = members().filter(|host| !matches!(host.life, Life::Down));
        let total: usize = members()
            .map(|host| 1 + usize::from(host.stale_members))
            .sum();
        total == 0 || alive.count() * 2 > total
    }

    /// The member that leads: the first that serves.
    pub(super) fn leader(&self) -> Option<usize> {
        let serves = |at: &&usize| {
            let host = self.hosts.get(**at);
            host.is_some_and(|host| host.is_member && host.serving().is_some())
        };
        self.servers.iter().find(serves).copied()
    }

    /// What a server hears from its join target before it starts.
    pub(super) fn peer_reply(&mut self, at: usize, join: Option<(String, String)>) -> PeerReply {
        let Some((url, secret)) = join else {
            return PeerReply::Away("nobody was asked".to_owned());
        };
        let away = || {
            let text = format!(
                "failed to get CA certs: Get \"{url}/cacerts\": dial tcp: connect: connection refused"
            );
            PeerReply::Away(text)
        };
        let Some(peer) = self.behind(&url).filter(|peer| *peer != at) else {
            return away();
        };
        let asked = Asked {
            method: "GET",
            path: "/v1-k3s/server-bootstrap",
            basic: Some(("server", &secret)),
            bearer: None,
            body: &[],
        };
        match self.ask(peer, asked) {
            Ok(Answer::Said { status: 200, body }) => PeerReply::Payload(body),
            Ok(Answer::Said {
                status: 401 | 403, ..
            }) => PeerReply::Refused,
            _ => away(),
        }
    }

    /// What an agent hears: from the server that it names, else from any other that its load balancer knows.
    pub(super) fn agent_reply(&mut self, door: Option<(String, String)>) -> ServerReply {
        let away = ServerReply::Away("EOF".to_owned());
        let Some((url, secret)) = door else {
            return away;
        };
        let Some(named) = self.behind(&url) else {
            return away;
        };
        let serves = |at: &usize| self.hosts.get(*at).is_some_and(|h| h.serving().is_some());
        let others = self.servers.iter().copied().find(|at| serves(at));
        let at = if serves(&named) {
            named
        } else {
            others.unwrap_or(named)
        };
        let (basic, bearer) = token::shown("node", &secret);
        let asked = Asked {
            method: "GET",
            path: "/v1-k3s/config",
            basic,
            bearer,
            body: &[],
        };
        match self.ask(at, asked) {
            Ok(Answer::Said { status: 503, .. }) => ServerReply::Starting,
            Ok(Answer::Said { status, .. }) => {
                let ca = self.hosts.get(at).and_then(|host| host.serving());
                ServerReply::Here {
                    ca: ca.map(|server| server.ca().to_owned()).unwrap_or_default(),
                    status,
                }
            }
            _ => away,
        }
    }

    /// Every node of the cluster.
    pub(super) fn nodes(&self) -> Vec<&Node> {
        self.hosts
            .iter()
            .filter_map(|host| host.node.as_ref())
            .collect()
    }

    /// Addresses of every kube-apiserver that is listed: those that serve, and those that went away a moment ago. Several may
    /// advertise one (k3s: `advertise-address`, else the first `node-external-ip`).
    pub(super) fn apiservers(&self) -> Vec<&str> {
        let lingers = |host: &Host| host.listed_until.is_some_and(|until| self.now < until);
        let listed = |host: &&Host| host.has_apiserver() || lingers(host);
        let hosts = self.hosts.iter().filter(listed);
        hosts.map(advertised).collect()
    }

    /// A revision that every member has; grows with writes and with time.
    pub(super) fn revision(&self) -> i64 {
        let writes = i64::try_from(self.store.revision()).unwrap_or(0);
        500 + writes + (self.now.0 - self.began.0) / 1_000_000
    }
}

fn not_ready() -> Answer {
    status(503, "runtime core not ready", "ServiceUnavailable")
}

fn internal(message: &str) -> Answer {
    status(
        500,
        &format!("Internal error occurred: {message}"),
        "InternalError",
    )
}

pub(super) fn status(code: u16, message: &str, reason: &str) -> Answer {
    let body = serde_json::json!({
        "kind": "Status", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    });
    Answer::said(code, format!("{body:#}"))
}

fn advertised(host: &Host) -> &str {
    let settings = host.serving().map(|server| &server.settings);
    let told = settings.and_then(|it| it.flag("advertise-address"));
    let external = || settings?.flag("node-external-ip")?.split(',').next();
    told.or_else(external).unwrap_or(&host.address)
}
