//! An agent process: its client certificate lets it in whatever its token is; without one the token counts.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::settings::Settings;
use super::token::{self, Token};
use super::tokens::UNPINNED;
use super::world::{Files, Level, Line, Pki};
use crate::model::HostTime;

/// The kubelet's client certificate, below the data directory.
pub const CERTIFICATE: &str = "agent/client-kubelet.crt";
/// The server CA as the agent keeps it.
pub const CA: &str = "agent/server-ca.crt";

/// An agent process with its token in memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// What it was told at its start.
    pub settings: Settings,
}

/// What its server said to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerReply {
    /// Connection refused, reset or EOF: the words.
    Away(String),
    /// The server is up but not ready: 503.
    Starting,
    /// `GET /cacerts`, and the status of `GET /v1-k3s/config` as `node` with the agent's secret.
    Here {
        /// The CA's PEM.
        ca: String,
        /// 200 or 401.
        status: u16,
    },
}

/// How one attempt to join went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Joining {
    /// It has its configuration and becomes active.
    Joined,
    /// It tries again after this time, for ever.
    Again(Duration),
}

impl Agent {
    /// Where to knock, and the secret to show as user `node`.
    #[must_use]
    pub fn door(&self) -> Option<(String, String)> {
        let url = self.settings.join()?.trim_end_matches('/').to_owned();
        let token = self.settings.token.as_deref().unwrap_or_default();
        Some((url, Token::secret_of(token)))
    }

    /// Tries to join once; on success the files of section 2.2 are there.
    #[expect(
        clippy::too_many_arguments,
        reason = "what a host hands in, and what its server said"
    )]
    pub fn attempt(
        &self,
        files: &mut dyn Files,
        pki: &mut dyn Pki,
        reply: &ServerReply,
        node: &str,
        now: HostTime,
    ) -> (Joining, Vec<Line>) {
        let url = self.settings.join().unwrap_or_default();
        let has_certificate = files.stat(&self.settings.path(CERTIFICATE)).is_some();
        let waiting = |level, text: String, seconds| {
            let again = Joining::Again(Duration::from_secs(seconds));
            (again, vec![Line::new(now, level, text)])
        };
        let not_ready = "Waiting to retrieve agent configuration; server is not ready";
        let (ca, status) = match reply {
            ServerReply::Away(why) => {
                let text = format!(
                    "{not_ready}: failed to get CA certs: Get \"https://127.0.0.1:6444/cacerts\": {why}"
                );
                return waiting(Level::Info, text, 5);
            }
            ServerReply::Starting => {
                let text = format!(
                    "{not_ready}: https://127.0.0.1:6444/v1-k3s/serving-kubelet.crt: 503 Service Unavailable"
                );
                return waiting(Level::Info, text, 5);
            }
            ServerReply::Here { ca, status } => (ca, *status),
        };
        let token = self.settings.token.as_deref().and_then(Token::parse);
        let pinned = token.and_then(|token| token.ca_hash);
        let served = pinned.as_ref().map(|_| token::sha256(ca.as_bytes()));
        let served = served.unwrap_or_default();
        match pinned {
            Some(hash) if hash != served => {
                let text = format!(
                    "Failed to validate connection to cluster at {url}: token CA hash does not match the Cluster CA certificate hash: {hash} != {served}"
                );
                waiting(Level::Error, text, 2)
            }
            _ if !has_certificate && status != 200 => {
                let text = format!(
                    "{not_ready}: failed to retrieve configuration from server: not authorized"
                );
                waiting(Level::Info, text, 10)
            }
            pinned => {
                let mut lines = Vec::new();
                if pinned.is_none() {
                    lines.push(Line::new(now, Level::Warning, UNPINNED));
                }
                keep(files, pki, &self.settings, (ca, node), now);
                (Joining::Joined, lines)
            }
        }
    }
}

/// Writes what a kubelet keeps: its certificate and the server CA. Servers run one as well.
pub fn keep(
    files: &mut dyn Files,
    pki: &mut dyn Pki,
    settings: &Settings,
    (ca, node): (&str, &str),
    now: HostTime,
) {
    let certificate = settings.path(CERTIFICATE);
    if files.stat(&certificate).is_none() {
        let pem = pki.node_certificate(node, now);
        // A full disk leaves the kubelet without files; it runs on from memory.
        files.write(&certificate, pem.as_bytes(), 0o600).ok();
    }
    let path = settings.path(CA);
    if files.text(&path).as_deref() != Some(ca) {
        files.write(&path, ca.as_bytes(), 0o600).ok();
    }
    if files.stat(PASSWORD).is_none() {
        let drawn = token::sha256(node.as_bytes());
        let drawn = drawn.get(..32).unwrap_or_default();
        files
            .write(PASSWORD, format!("{drawn}\n").as_bytes(), 0o600)
            .ok();
    }
}

const PASSWORD: &str = "/etc/rancher/node/password";
