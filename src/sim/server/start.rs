//! How a server starts: the token against the datastore, the disk against both.

use std::io;

use super::{Backend, Server, Started};
use crate::model::HostTime;
use crate::sim::bootstrap::{self, Found, Payload, Replica};
use crate::sim::passwd::Passwd;
use crate::sim::settings::Settings;
use crate::sim::token::{self, Token};
use crate::sim::version::Version;
use crate::sim::world::{Datastore, Files, Level, Line, Pki};

pub(super) const DIFFERENT: &str =
    "bootstrap data already found and encrypted with different token";

/// What the server named by `server:` said to `GET /v1-k3s/server-bootstrap` as user `server`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerReply {
    /// Nobody was asked, or nobody answered: why.
    Away(String),
    /// 401.
    Refused,
    /// 200 and the body.
    Payload(String),
}

/// Why a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// At once.
    Early,
    /// After it had begun to write.
    Late,
}

/// All that a start is handed.
pub struct Starting<'a> {
    /// The host's files.
    pub files: &'a mut dyn Files,
    /// The cluster's datastore.
    pub store: &'a mut dyn Datastore,
    /// Makes a CA for a new cluster.
    pub pki: &'a mut dyn Pki,
    /// What it was told.
    pub settings: Settings,
    /// Which K3s it is.
    pub version: Version,
    /// What the peer of [`join_of`] said.
    pub peer: PeerReply,
    /// Now.
    pub now: HostTime,
    /// The host's name, mixed into what real K3s draws by lot.
    pub host: &'a str,
}

/// The URL to ask before a start, and the secret to show there as user `server`; `None` when nobody is asked.
#[must_use]
pub fn join_of(settings: &Settings) -> Option<(String, String)> {
    let url = settings.join()?;
    let secret = Token::secret_of(settings.token.as_deref()?);
    matches!(Backend::of(settings), Backend::Etcd | Backend::Remote)
        .then(|| (url.trim_end_matches('/').to_owned(), secret))
}

/// Why a start ends, and when.
pub(super) struct End(pub(super) Failure, pub(super) String);

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        Self(Failure::Early, format!("Error: preparing server: {error}"))
    }
}

impl Starting<'_> {
    /// Starts the process.
    #[must_use]
    pub fn run(mut self) -> Started {
        let mut lines = Vec::new();
        let outcome = match self.attempt(&mut lines) {
            Ok(server) => Ok(server),
            Err(End(failure, text)) => {
                let level = if failure == Failure::Late {
                    Level::Error
                } else {
                    Level::Fatal
                };
                lines.push(Line::new(self.now, level, text));
                Err(failure)
            }
        };
        Started { lines, outcome }
    }

    fn attempt(&mut self, lines: &mut Vec<Line>) -> Result<Server, End> {
        if self
            .settings
            .token
            .as_deref()
            .is_some_and(token::is_bootstrap)
        {
            let text = "Error: failed to normalize server token; must be in format K10<CA-HASH>::<USERNAME>:<PASSWORD> or <PASSWORD>";
            return Err(End(Failure::Early, text.to_owned()));
        }
        let backend = Backend::of(&self.settings);
        let secret = self.secret();
        if let Some(payload) = self.payload(backend, &secret, lines)? {
            self.follow(&payload)?;
        }
        let passwd = self.write_passwd(&secret)?;
        let ca = self.write_ca()?;
        self.write_psk()?;
        self.write_tokens(&ca, &passwd)?;
        if backend == Backend::Etcd {
            // It has joined by then: what it reads of the token is its own copy, which has caught up.
            Replica::of(self.store).write(self.files, &self.settings)?;
        }
        self.save(&secret)?;
        if backend == Backend::Etcd {
            // What it has saved.
            Replica::of(self.store).write(self.files, &self.settings)?;
            self.files.remove(&self.settings.path(super::reset::FLAG))?;
        }
        Ok(Server {
            settings: self.settings.clone(),
            version: self.version,
            backend,
            secret: passwd.server,
            agent_secret: passwd.node,
            datastore_secret: secret,
            ca,
        })
    }

    /// The configured secret, else that of `server/token`, else a new one.
    pub(super) fn secret(&self) -> String {
        let configured = self.settings.token.clone();
        let on_disk = || self.files.text(&self.settings.path("server/token"));
        match configured.or_else(on_disk) {
            Some(text) => Token::secret_of(&text),
            None => self.drawn("token"),
        }
    }

    fn drawn(&self, what: &str) -> String {
        let hash = token::sha256(format!("{what} {} {}", self.host, self.now.0).as_bytes());
        hash.get(..32).unwrap_or_default().to_owned()
    }

    /// The bootstrap data to follow; `None` in a new cluster.
    fn payload(
        &self,
        backend: Backend,
        secret: &str,
        lines: &mut Vec<Line>,
    ) -> Result<Option<Payload>, End> {
        if let PeerReply::Payload(text) = &self.peer {
            return Ok(Payload::parse(text));
        }
        let asked = join_of(&self.settings).is_some();
        if asked {
            let why = match &self.peer {
                PeerReply::Away(why) => why,
                _ => "not authorized",
            };
            let text = format!("Unable to reconcile with remote datastore: {why}");
            lines.push(Line::new(self.now, Level::Warning, text));
        }
        let bootstrapping = "Error: preparing server: failed to bootstrap cluster data";
        let found = match backend {
            Backend::Etcd => match Replica::read(self.files, &self.settings) {
                Some(replica) => bootstrap::find(&replica, secret),
                None if asked => Found::OtherToken,
                None => Found::Nothing,
            },
            Backend::Remote => Found::OtherToken,
            Backend::Sqlite | Backend::External => bootstrap::find(self.store, secret),
        };
        match (found, backend) {
            (Found::Payload(payload), _) => Ok(Some(payload)),
            (Found::Nothing, _) => Ok(None),
            (Found::OtherToken, Backend::Etcd) if self.is_member() => {
                let text = format!("Failed to reconcile with temporary etcd: {DIFFERENT}");
                Err(End(Failure::Early, text))
            }
            (Found::OtherToken, Backend::Etcd | Backend::Remote) => Err(End(
                Failure::Early,
                format!("{bootstrapping}: not authorized"),
            )),
            (Found::OtherToken, _) => {
                lines.push(Line::new(
                    self.now,
                    Level::Info,
                    "Shutdown request received",
                ));
                Err(End(Failure::Early, format!("{bootstrapping}: {DIFFERENT}")))
            }
        }
    }

    fn is_member(&self) -> bool {
        Replica::read(self.files, &self.settings).is_some()
    }

    /// Lets the disk follow the payload, unless the disk's passwd is newer and differs: the trap.
    fn follow(&mut self, payload: &Payload) -> Result<(), End> {
        if let Some(path) = payload.newer_on_disk(self.files, &self.settings) {
            let text = format!(
                "{path} newer than datastore and could cause a cluster outage. Remove the file(s) from disk and restart to be recreated from datastore."
            );
            return Err(End(Failure::Early, text));
        }
        Ok(payload.lay_on_disk(self.files, &self.settings)?)
    }

    /// Rewrites passwd only when a row is not what the configuration wants, so that its time tells of changes.
    pub(super) fn write_passwd(&mut self, secret: &str) -> Result<Passwd, End> {
        let path = self.settings.path(bootstrap::PASSWD);
        let known = self.files.text(&path).as_deref().and_then(Passwd::parse);
        let configured = self.settings.token.is_some();
        let server = match &known {
            Some(known) if !configured => known.server.clone(),
            _ => secret.to_owned(),
        };
        let agent = self.settings.agent_token.as_deref().map(Token::secret_of);
        let wanted = Passwd {
            node: agent.unwrap_or_else(|| server.clone()),
            server,
        };
        if known.as_ref() != Some(&wanted) {
            let text = wanted.render(self.luck());
            self.files.replace(&path, text.as_bytes(), 0o600)?;
        }
        Ok(wanted)
    }

    fn luck(&self) -> i64 {
        let sum: i64 = self.host.bytes().map(i64::from).sum();
        self.now.0 / 1_000_000 + sum
    }

    /// Made once: what is there, or came from the datastore, stays.
    fn write_psk(&mut self) -> Result<(), End> {
        let path = self.settings.path(bootstrap::PSK);
        if self.files.text(&path).is_none() {
            let text = format!("{:096x}\n", self.luck());
            self.files.write(&path, text.as_bytes(), 0o600)?;
        }
        Ok(())
    }

    pub(super) fn write_ca(&mut self) -> Result<String, End> {
        let path = self.settings.path(bootstrap::CA);
        if let Some(ca) = self.files.text(&path) {
            return Ok(ca);
        }
        let ca = self.pki.make_ca(self.now);
        self.files.write(&path, ca.as_bytes(), 0o644)?;
        Ok(ca)
    }

    pub(super) fn write_tokens(&mut self, ca: &str, passwd: &Passwd) -> Result<(), End> {
        let token = self.settings.path("server/token");
        let text = token::full(ca, "server", &passwd.server) + "\n";
        self.files.write(&token, text.as_bytes(), 0o600)?;
        link(self.files, &token, &self.settings.path("server/node-token"))?;
        let agent_token = self.settings.path("server/agent-token");
        if self.settings.agent_token.is_some() {
            if is_link(self.files, &agent_token) {
                self.files.remove(&agent_token)?;
            }
            let text = token::full(ca, "node", &passwd.node) + "\n";
            self.files.write(&agent_token, text.as_bytes(), 0o600)?;
        } else {
            link(self.files, &token, &agent_token)?;
        }
        super::kubeconfig::write(self.files, &self.settings)?;
        Ok(())
    }

    /// Saves bootstrap data when there is none; under another token this ends the process.
    pub(super) fn save(&mut self, secret: &str) -> Result<(), End> {
        match bootstrap::find(self.store, secret) {
            Found::Payload(_) => Ok(()),
            Found::OtherToken => {
                let text = format!(
                    "Shutdown request received: failed to save bootstrap data: {DIFFERENT}"
                );
                Err(End(Failure::Late, text))
            }
            Found::Nothing => {
                let payload = Payload::from_disk(self.files, &self.settings);
                self.store.put(&token::key(secret), payload.render());
                Ok(())
            }
        }
    }
}

fn is_link(files: &dyn Files, path: &str) -> bool {
    let kind = files.stat(path).map(|stat| stat.kind);
    matches!(kind, Some(crate::wire::FileKind::Symlink(_)))
}

fn link(files: &mut dyn Files, target: &str, path: &str) -> io::Result<()> {
    if is_link(files, path) {
        return Ok(());
    }
    files.remove(path)?;
    files.symlink(target, path)
}
