//! What a server answers: the model's words, and beside them the little of an apiserver that is needed.

use std::cell::{Cell, RefCell};

use super::disk::Disk;
use super::launch::Place;
use super::{admin, log, now, snapshot};
use crate::sim::bootstrap::Replica;
use crate::sim::etcd;
use crate::sim::kube::{self, Node, endpoints, namespace};
use crate::sim::kubectl::Lines;
use crate::sim::objects;
use crate::sim::server::{Backend, Server, reason_of};
use crate::sim::tokens::Bootstrap;
use crate::sim::world::{Answer, Asked};

/// A server's memory, at which all its connections ask.
pub(super) struct Desk {
    /// The model's server.
    pub(super) server: RefCell<Server>,
    /// Where it is.
    pub(super) place: Place,
    /// Whether its start is over.
    pub(super) ready: Cell<bool>,
    /// Writes to the datastore that this member has seen.
    pub(super) writes: Cell<u64>,
}

/// Where bootstrap tokens are asked for, and below it one of them.
pub(super) const SECRETS: &str = "/api/v1/namespaces/kube-system/secrets";
pub(super) const TOKEN: &str = "/api/v1/namespaces/kube-system/secrets/bootstrap-token-";
/// Where the members of etcd are listed.
const MEMBERS: &str = "/db/info";
/// What a joining server asks for; it is answered before the start is over, as one with etcd alone waits for those that join.
const BOOTSTRAP: &str = "/v1-k3s/server-bootstrap";
/// The namespace `kube-system`.
pub(super) const NAMESPACE: &str = "/api/v1/namespaces/kube-system";
/// Where each kube-apiserver lists itself.
pub(super) const APISERVERS: &str = "/api/v1/namespaces/default/endpoints/kubernetes";
/// What its program calls itself.
const VERSION: &str = "/version";
const WORKLOADS: &str = "/apis/apps/v1/daemonsets,deployments";
const PLANS: &str = "/apis/upgrade.cattle.io/v1/plans";
const JOIN_TOKENS: &str = "/api/v1/namespaces/kube-system/secrets?join";

/// Where lines are asked for.
pub(super) fn path_of(lines: Lines) -> &'static str {
    match lines {
        Lines::Workloads => WORKLOADS,
        Lines::Plans => PLANS,
        Lines::JoinTokens => JOIN_TOKENS,
    }
}

const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";

impl Desk {
    /// Answers on the supervisor's port.
    pub(super) fn answer(&self, asked: Asked<'_>) -> Answer {
        if !self.ready.get() && asked.path != BOOTSTRAP {
            return status(503, "runtime core not ready", "ServiceUnavailable");
        }
        match asked.path {
            path if path.starts_with(TOKEN) => self.api(asked),
            "/api/v1/nodes" | LEASES | APISERVERS | SECRETS | NAMESPACE | WORKLOADS | PLANS
            | JOIN_TOKENS | VERSION | "/readyz" | "/livez" | "/healthz" => self.api(asked),
            path if path.starts_with(snapshot::PATH) => self.snapshot(asked),
            MEMBERS => self.members(asked),
            _ => {
                let answer = self.supervisor(asked);
                let reason = reason_of(&answer, now());
                log(reason.as_slice());
                answer
            }
        }
    }

    fn supervisor(&self, asked: Asked<'_>) -> Answer {
        let mut server = self.server.borrow_mut();
        let needs = matches!(server.backend, Backend::Etcd | Backend::Remote);
        if asked.method == "PUT" && needs && !self.place.shared.has_quorum() {
            return timed_out();
        }
        let answer = self
            .place
            .shared
            .with(|store| server.answer(asked, &mut Disk, store, now()));
        answer.unwrap_or_else(|error| status(500, &error.to_string(), "InternalError"))
    }

    fn members(&self, asked: Asked<'_>) -> Answer {
        let answer = self.supervisor(asked);
        if !matches!(answer, Answer::Said { status: 200, .. }) {
            return answer;
        }
        let peers = self.place.shared.peers();
        let members = peers.iter().filter(|(peer, _)| peer.is_member);
        etcd::members(members.map(|(peer, _)| {
            let host = peer.address.split(':').next();
            (peer.name.as_str(), 0, host.unwrap_or_default())
        }))
    }

    fn api(&self, asked: Asked<'_>) -> Answer {
        let shared = &self.place.shared;
        let serves = !self.server.borrow().settings.is_set("disable-apiserver");
        if !serves || !admin::is_admin(asked.basic, shared) {
            return status(401, "Unauthorized", "Unauthorized");
        }
        if !shared.has_quorum() {
            return timed_out();
        }
        if let Some(id) = asked.path.strip_prefix(TOKEN) {
            return self.forget_token(id);
        }
        if asked.path == SECRETS {
            return self.tokens(asked);
        }
        match asked.path {
            NAMESPACE => return self.namespace(asked),
            WORKLOADS => return self.lines(Lines::Workloads),
            PLANS => return self.lines(Lines::Plans),
            JOIN_TOKENS => return self.lines(Lines::JoinTokens),
            APISERVERS => return self.apiservers(),
            VERSION => {
                let version = self.server.borrow().version;
                return Answer::said(200, kube::version_json(version));
            }
            _ => {}
        }
        let nodes = shared.nodes();
        let nodes: Vec<&Node> = nodes.iter().collect();
        Answer::said(
            200,
            match asked.path {
                "/api/v1/nodes" => kube::nodes_json(&nodes, now()),
                LEASES => kube::leases_json(&nodes, now()),
                _ => "ok".to_owned(),
            },
        )
    }

    /// Those that live: one that has ended is not listed here for the moment that it is by Kubernetes.
    fn apiservers(&self) -> Answer {
        let peers = self.place.shared.peers();
        let listed = peers.iter().filter(|(peer, alive)| *alive && peer.has_api);
        let addresses = listed.filter_map(|(peer, _)| peer.address.split(':').next());
        Answer::said(200, endpoints::json(&addresses.collect::<Vec<_>>()))
    }

    /// The namespace: a PATCH sets annotations.
    fn namespace(&self, asked: Asked<'_>) -> Answer {
        let patch: serde_json::Value = serde_json::from_slice(asked.body).unwrap_or_default();
        let pairs = patch.pointer("/metadata/annotations");
        let pairs = pairs.and_then(|pairs| pairs.as_object());
        let told = self.place.shared.with(|store| {
            for (key, value) in pairs.into_iter().flatten() {
                namespace::annotate(store, key, value.as_str().unwrap_or_default());
            }
            namespace::json(store)
        });
        match told {
            Ok(body) => Answer::said(200, body),
            Err(error) => status(500, &error.to_string(), "InternalError"),
        }
    }

    /// What kubectl makes lines of, as lines already.
    fn lines(&self, of: Lines) -> Answer {
        let server = self.server.borrow();
        let told = self
            .place
            .shared
            .with(|store| objects::lines(of, &server.settings, &Disk, store, now()));
        match told {
            Ok(ended) if ended.status == 0 => Answer::said(200, ended.stdout),
            Ok(ended) => status(404, ended.stderr.trim_end(), "NotFound"),
            Err(error) => status(500, &error.to_string(), "InternalError"),
        }
    }

    /// Bootstrap tokens: a POST keeps one, and all are told.
    fn tokens(&self, asked: Asked<'_>) -> Answer {
        let new: Option<Bootstrap> = serde_json::from_slice(asked.body).ok();
        let told = self.place.shared.with(|store| {
            if let Some(new) = new {
                new.keep(store);
            }
            serde_json::to_string(&Bootstrap::all(store, now())).unwrap_or_default()
        });
        match told {
            Ok(body) => Answer::said(200, body),
            Err(error) => status(500, &error.to_string(), "InternalError"),
        }
    }

    /// One bootstrap token, which a DELETE takes away.
    fn forget_token(&self, id: &str) -> Answer {
        let forgotten = self.place.shared.with(|store| Bootstrap::forget(id, store));
        match forgotten {
            Ok(true) => Answer::said(200, "{}"),
            Ok(false) => {
                let message = format!("secrets \"bootstrap-token-{id}\" not found");
                status(404, &message, "NotFound")
            }
            Err(error) => status(500, &error.to_string(), "InternalError"),
        }
    }

    fn snapshot(&self, asked: Asked<'_>) -> Answer {
        let knock = Asked {
            method: "GET",
            path: "/v1-k3s/token",
            ..asked
        };
        match self.supervisor(knock) {
            Answer::Said {
                status: 400 | 405, ..
            } => {}
            refused => return refused,
        }
        let server = self.server.borrow();
        if server.backend != Backend::Etcd {
            return status(400, "etcd datastore disabled", "BadRequest");
        }
        match self.place.shared.with(|store| Replica::of(store)) {
            Ok(data) => snapshot::write(&server.settings, &self.place.name, asked.path, &data),
            Err(error) => status(500, &error.to_string(), "InternalError"),
        }
    }

    /// Answers on etcd's port for health and metrics.
    pub(super) fn etcd(&self, path: &str) -> Answer {
        let (shared, name) = (&self.place.shared, &self.place.name);
        let quorum = shared.has_quorum();
        let id = kube::uid(name).replace('-', "");
        let member = etcd::Member {
            id: id.get(..16).unwrap_or_default().to_owned(),
            revision: shared.revision(self.writes.get()),
            has_leader: quorum,
            is_leader: quorum && shared.leader().as_ref() == Some(name),
            is_learner: false,
            is_healthy: true,
        };
        member.answer(path)
    }
}

fn timed_out() -> Answer {
    status(
        500,
        "Internal error occurred: etcdserver: request timed out",
        "InternalError",
    )
}

fn status(code: u16, message: &str, reason: &str) -> Answer {
    let body = serde_json::json!({
        "kind": "Status", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    });
    Answer::said(code, format!("{body:#}"))
}
