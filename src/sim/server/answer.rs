//! What a running supervisor answers: statuses and bodies as measured; a bootstrap token opens what agents may ask (k3s: `clientaccess`).

use super::{Backend, Server};
use crate::model::HostTime;
use crate::sim::bootstrap::{self, Found, Payload};
use crate::sim::tokens::Bootstrap;
use crate::sim::world::{Answer, Asked, Datastore, Files};

/// Who a request comes from, judged by what it shows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Caller {
    Nobody,
    Wrong,
    Server,
    Node,
}

/// Who may call a path.
enum Route {
    Open(&'static str),
    Cacerts,
    Token,
    Bootstrap,
    DbInfo,
    Readyz,
    Config,
    Unrouted,
}

fn route(path: &str) -> Route {
    match path {
        "/ping" => Route::Open("pong"),
        "/cacerts" => Route::Cacerts,
        "/v1-k3s/token" => Route::Token,
        "/v1-k3s/server-bootstrap" => Route::Bootstrap,
        "/db/info" => Route::DbInfo,
        "/v1-k3s/readyz" => Route::Readyz,
        "/v1-k3s/config" => Route::Config,
        _ => Route::Unrouted,
    }
}

impl Server {
    /// Answers one request; a PUT of a token changes files and datastore.
    pub fn answer(
        &mut self,
        asked: Asked<'_>,
        files: &mut dyn Files,
        store: &mut dyn Datastore,
        now: HostTime,
    ) -> Answer {
        let caller = match asked.bearer {
            Some(token) if Bootstrap::lives(token, store, now) => Caller::Node,
            Some(_) => Caller::Wrong,
            None => self.caller(asked.basic),
        };
        let wanted = match route(asked.path) {
            Route::Token if !self.version.can_rotate() => return unrouted(),
            Route::Open(body) => return Answer::said(200, body),
            Route::Cacerts => return Answer::said(200, self.ca.clone()),
            Route::Unrouted => return unrouted(),
            Route::Token | Route::Bootstrap | Route::DbInfo => Caller::Server,
            Route::Readyz | Route::Config => Caller::Node,
        };
        if caller == Caller::Wrong {
            return supervisor(401, "not authorized", "Unauthorized");
        }
        if caller != wanted {
            return supervisor(403, "forbidden", "Forbidden");
        }
        match route(asked.path) {
            Route::Token if asked.method == "PUT" => self.rotate(asked.body, files, store, now),
            Route::Token if self.version.answers_empty_400() => Answer::said(400, ""),
            Route::Token => supervisor(
                405,
                "the server does not allow this method on the requested resource",
                "MethodNotAllowed",
            ),
            Route::Bootstrap if self.backend != Backend::Etcd => {
                supervisor(400, "etcd disabled", "BadRequest")
            }
            Route::Bootstrap => Answer::said(200, self.served(files, store).render()),
            Route::DbInfo if self.backend != Backend::Etcd => {
                supervisor(400, "etcd datastore disabled", "BadRequest")
            }
            Route::Config => Answer::said(200, "{\"ClusterIPRange\":\"10.42.0.0/16\"}"),
            Route::DbInfo => Answer::said(200, "{\"members\":[]}"),
            _ => Answer::said(200, "ok"),
        }
    }

    fn caller(&self, basic: Option<(&str, &str)>) -> Caller {
        match basic {
            None => Caller::Nobody,
            Some(("server", secret)) if secret == self.secret => Caller::Server,
            Some(("node", secret)) if secret == self.agent_secret => Caller::Node,
            Some(_) => Caller::Wrong,
        }
    }

    /// Bootstrap data for a joining server: the datastore's, else what is on disk.
    fn served(&self, files: &dyn Files, store: &dyn Datastore) -> Payload {
        match bootstrap::find(store, &self.datastore_secret) {
            Found::Payload(payload) => payload,
            _ => Payload::from_disk(files, &self.settings),
        }
    }

    /// The PEM of the CA that it serves.
    #[must_use]
    pub fn ca(&self) -> &str {
        &self.ca
    }
}

fn unrouted() -> Answer {
    let body = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "Unauthorized", "reason": "Unauthorized", "code": 401,
    });
    Answer::said(401, format!("{body:#}"))
}

/// A `metav1.Status` of the supervisor, which lacks `apiVersion`.
#[must_use]
pub(crate) fn supervisor(status: u16, message: &str, reason: &str) -> Answer {
    let body = serde_json::json!({
        "kind": "Status", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": status,
    });
    Answer::said(status, format!("{body:#}"))
}
