//! A probe of the supervisor that needs only the k3s binary and puts no secret on an argv.
//!
//! `k3s kubectl --kubeconfig=/dev/stdin get --raw PATH`, with the credentials in the kubeconfig. Measured on
//! v1.34.3 and v1.32.4: a server's secret answers 405 on `/v1-k3s/token`, a node's 200 on `/v1-k3s/readyz`,
//! a wrong one 401, a right one in the wrong role 403.

use camino::Utf8PathBuf;
use serde::Serialize;

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
    /// Path or name of the k3s binary.
    pub k3s: Utf8PathBuf,
    /// Such as `https://127.0.0.1:6443`.
    pub url: String,
    /// The CA that the supervisor's certificate must come from.
    pub ca: Utf8PathBuf,
}

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
    /// The secret is right in this role (405 for a server, 200 for a node).
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
        if status == 0 && self.role == Role::Node && stdout.trim() == "ok"
            || said.contains("(MethodNotAllowed)")
        {
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
        let config = serde_json::json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "k",
            "clusters": [{"name": "k", "cluster": {"server": self.url, "certificate-authority": self.ca}}],
            "users": [{"name": "k", "user": {"username": role.user(), "password": secret.expose()}}],
            "contexts": [{"name": "k", "context": {"cluster": "k", "user": "k"}}],
        });
        Content::new(config.to_string())
    }
}
