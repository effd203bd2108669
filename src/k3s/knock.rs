//! A probe of the supervisor that needs only the k3s binary and puts no secret on an argv.
//!
//! `k3s kubectl --kubeconfig=/dev/stdin get --raw PATH`, with the credentials in the kubeconfig. Measured on
//! v1.34.3 and v1.32.4: a server's secret answers 405 on `/v1-k3s/token`, a node's 200 on `/v1-k3s/readyz`,
//! a wrong one 401, a right one in the wrong role 403. By its source older K3s (v1.28 to about v1.31) answers an empty
//! 400 in place of 405, from behind the same check of the secret.

use camino::Utf8PathBuf;
use serde::Serialize;

use super::program::Program;
use crate::secret::{Content, Secret};

/// Which user of the supervisor a secret is tried as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum Role {
    /// `server`: may rotate. Tried on `/v1-k3s/token`.
    Server,
    /// `node`: may join as an agent. Tried on `/v1-k3s/readyz`.
    Node,
}

impl Role {
    /// The basic-auth user.
    #[must_use]
    pub fn user(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Node => "node",
        }
    }

    /// The path that answers without side effects.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Server => "/v1-k3s/token",
            Self::Node => "/v1-k3s/readyz",
        }
    }
}

/// Where and how a host reaches a supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Door {
    /// The k3s binary that knocks.
    pub k3s: Program,
    /// Such as `https://127.0.0.1:6443`.
    pub url: String,
    /// The CA that the supervisor's certificate must come from.
    pub ca: Utf8PathBuf,
    /// The name that the certificate must have, where it is not the URL's.
    pub name: Option<&'static str>,
}

/// A name that every supervisor's certificate has.
pub const ANY_SERVER: &str = "kubernetes";

/// One secret tried at one door.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Knock {
    /// Where.
    pub door: Door,
    /// As whom.
    pub role: Role,
    /// With what.
    pub secret: Secret,
}

/// What a supervisor said to a knock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Heard {
    /// The secret is right in this role (405, once 400, for a server; 200 for a node).
    Accepted,
    /// The secret is wrong (401). In a start window this also means "not yet".
    Rejected,
    /// The secret is right, the role is not (403).
    WrongRole,
    /// It is starting (503), overloaded (429), or not there (refused, EOF).
    NotYet(String),
    /// Anything else, in the words of kubectl.
    Odd(String),
}

impl Knock {
    /// Reads kubectl's status and words.
    #[must_use]
    pub fn heard(&self, status: i32, stdout: &str, stderr: &str) -> Heard {
        let said = stderr.trim();
        let accepted = match self.role {
            Role::Server => said.contains("(MethodNotAllowed)") || said.contains(EMPTY_400),
            Role::Node => status == 0 && stdout.trim() == "ok",
        };
        if accepted {
            Heard::Accepted
        } else if said.contains("must be logged in") || said.contains("Unauthorized") {
            Heard::Rejected
        } else if said.contains("(Forbidden)") {
            Heard::WrongRole
        } else if NOT_YET.iter().any(|sign| said.contains(sign)) || status == 124 {
            Heard::NotYet(said.to_owned())
        } else {
            Heard::Odd(if said.is_empty() {
                format!("status {status}: {}", stdout.trim())
            } else {
                said.to_owned()
            })
        }
    }
}

/// What kubectl makes of a 400 without a body: only a handler that the secret has let in answers so.
const EMPTY_400: &str = "(BadRequest): the server rejected our request for an unknown reason";

const NOT_YET: [&str; 16] = [
    "Client.Timeout",
    "context deadline exceeded",
    "TLS handshake timeout",
    "net/http: request canceled",
    "no route to host",
    "connection timed out",
    "Timeout: request did not complete",
    "refused",
    "ServiceUnavailable",
    "unable to handle the request",
    "runtime core not ready",
    "EOF",
    "connection reset",
    "Too many requests",
    "TooManyRequests",
    "i/o timeout",
];

impl Door {
    /// A kubeconfig for this door with basic credentials.
    #[must_use]
    pub fn kubeconfig(&self, role: Role, secret: &Secret) -> Content {
        let mut cluster = serde_json::json!({"server": self.url, "certificate-authority": self.ca});
        if let (Some(name), Some(cluster)) = (self.name, cluster.as_object_mut()) {
            cluster.insert("tls-server-name".to_owned(), name.into());
        }
        let config = serde_json::json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "k",
            "clusters": [{"name": "k", "cluster": cluster}],
            "users": [{"name": "k", "user": {"username": role.user(), "password": secret.expose()}}],
            "contexts": [{"name": "k", "context": {"cluster": "k", "user": "k"}}],
        });
        Content::new(config.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOT_ALLOWED: &str = "Error from server (MethodNotAllowed): the server does not allow this method on the requested resource";
    const EMPTY: &str =
        "Error from server (BadRequest): the server rejected our request for an unknown reason";
    const UNAUTHORIZED: &str = "error: You must be logged in to the server (not authorized)";
    const NO_BODY: &str = "error: You must be logged in to the server (the server has asked for the client to provide credentials)";
    const PROXY: &str =
        "Error from server (BadRequest): 400 The plain HTTP request was sent to HTTPS port";

    fn heard(role: Role, status: i32, stdout: &str, stderr: &str) -> Heard {
        let door = Door {
            k3s: "k3s".into(),
            url: "https://127.0.0.1:6443".to_owned(),
            ca: "/ca".into(),
            name: None,
        };
        let secret = Secret::new("s");
        Knock { door, role, secret }.heard(status, stdout, stderr)
    }

    #[test]
    fn each_answer_is_told_from_the_others() {
        use Role::{Node, Server};
        for (role, status, stdout, stderr, wanted) in [
            (Server, 1, "", NOT_ALLOWED, Heard::Accepted),
            (Server, 1, "", EMPTY, Heard::Accepted),
            (Node, 1, "", EMPTY, Heard::Odd(EMPTY.to_owned())),
            (Node, 1, "", NOT_ALLOWED, Heard::Odd(NOT_ALLOWED.to_owned())),
            (Server, 1, "", PROXY, Heard::Odd(PROXY.to_owned())),
            (Server, 1, "", UNAUTHORIZED, Heard::Rejected),
            (Server, 1, "", NO_BODY, Heard::Rejected),
            (Node, 0, "ok", "", Heard::Accepted),
            (
                Node,
                1,
                "",
                "Error from server (Forbidden): forbidden",
                Heard::WrongRole,
            ),
        ] {
            assert_eq!(
                heard(role, status, stdout, stderr),
                wanted,
                "{role:?} {stderr}"
            );
        }
    }
}
