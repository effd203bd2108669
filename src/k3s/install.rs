//! How K3s is set up on a host, worked out from its unit and files alone.
//!
//! Precedence as K3s has it: token-file > argument > config file > environment (measured: agent-precedence).
//! A file that is not known yet is asked for, and the work begins again when it was read.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use camino::Utf8PathBuf;

use super::surface::Surface;
use super::version::Version;
use crate::secret::{Content, Secret};
use reader::Reader;
use settings::Settings;

/// The external database on which a rotation was measured.
pub const POSTGRES: &str = "PostgreSQL";
/// Where K3s keeps things unless told otherwise.
pub const DATA_DIR: &str = "/var/lib/rancher/k3s";
/// Its config file unless told otherwise.
pub const CONFIG: &str = "/etc/rancher/k3s/config.yaml";

/// What systemd knows of the unit that runs K3s.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnitText {
    /// Such as `k3s.service`.
    pub id: String,
    /// `ExecStart`: the program and its arguments.
    pub argv: Vec<String>,
    /// `Environment=`, in order.
    pub environment: Vec<(String, String)>,
    /// `EnvironmentFile=`, in order; the later wins. May be patterns.
    pub environment_files: Vec<Utf8PathBuf>,
    /// Those without which systemd does not start it: written without a `-`.
    pub required_files: Vec<Utf8PathBuf>,
    /// The unit file and its drop-ins.
    pub texts: Vec<Utf8PathBuf>,
    /// What starts it.
    pub manager: Manager,
}

/// What starts and supervises K3s.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Manager {
    /// systemd.
    #[default]
    Systemd,
    /// OpenRC: read and shown, never changed.
    OpenRc,
}

/// What was read of a host so far.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Files; `None` when there is no such file.
    pub files: HashMap<Utf8PathBuf, Option<Content>>,
    /// Names in directories; empty when there is no such directory.
    pub folders: HashMap<Utf8PathBuf, Vec<String>>,
    /// The version of K3s, or why it could not be told; `None` as long as nothing asked for it.
    pub version: Option<Result<Version, String>>,
}

/// What must be read before more can be said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Files.
    pub files: BTreeSet<Utf8PathBuf>,
    /// Directories.
    pub folders: BTreeSet<Utf8PathBuf>,
    /// The version of K3s, where a setting counts on some versions alone.
    pub version: bool,
}

/// Server or agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// `k3s server`.
    Server,
    /// `k3s agent`.
    Agent,
}

/// Where a server keeps the cluster's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Datastore {
    /// A file of its own.
    Sqlite,
    /// Embedded etcd.
    Etcd,
    /// A database elsewhere.
    External,
    /// On other servers: control plane only.
    Elsewhere,
}

/// Something about a set-up that keyroll will not work with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// A stable name.
    pub name: &'static str,
    /// What was seen.
    pub what: String,
    /// What to do next.
    pub next: String,
}

/// How K3s is set up on one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Install {
    /// Server or agent.
    pub kind: Kind,
    /// The unit's name.
    pub unit: String,
    /// Absolute.
    pub data_dir: Utf8PathBuf,
    /// The supervisor's port on a server; the load balancer's on an agent.
    pub port: u16,
    /// `server:`.
    pub url: Option<String>,
    /// A server's datastore.
    pub datastore: Datastore,
    /// Where a database elsewhere is, which may hold its password.
    pub endpoint: Option<Secret>,
    /// The name that its node is to have, where one is configured; with an id behind it nobody knows the whole one.
    pub node_name: Option<String>,
    /// Whether an API server runs here.
    pub has_api: bool,
    /// Whether a node object stands for this host.
    pub has_node: bool,
    /// Whether an agent token of its own is configured.
    pub agent_token: bool,
    /// Where snapshots go.
    pub snapshots: Utf8PathBuf,
    /// Every place that holds a token, the winner first. Empty on an agent that has none.
    pub surfaces: Vec<Surface>,
    /// Files and the directory of drop-ins that all this was read from, there or not: while they stay, K3s starts the same way.
    pub sources: Wanted,
    /// Every place that holds a server's own agent token, the winner first.
    pub agent_surfaces: Vec<Surface>,
    /// What keeps those from being edited; it stands in the way of a new agent token alone.
    pub agent_faults: Vec<Fault>,
    /// The agent token that its next start takes, where it can be read, editable or not.
    pub agent_secret: Option<Secret>,
    /// Flags that must be the same on all servers, with the values that they have here.
    pub critical: BTreeMap<&'static str, String>,
    /// Where its process listens for itself: what a server binds, else `[::1]` when its first node address is of IPv6.
    pub address: String,
    /// The file that K3s writes its log to, in place of the journal.
    pub log: Option<String>,
    /// Where its etcd tells of its health: the first of these that listens.
    pub etcd: Vec<String>,
    /// Variables among its arguments that its unit does not set: empty to systemd, unless its own settings set them.
    pub unset: Vec<String>,
    /// What is wrong with it.
    pub faults: Vec<Fault>,
    /// What people should know of it, and stands in the way of nothing.
    pub remarks: Vec<Fault>,
}

impl Install {
    /// Why a token that is configured is none of the surfaces: it stands there in a way that cannot be read or edited.
    #[must_use]
    pub fn unread(&self) -> Option<&Fault> {
        let mut faults = self.faults.iter();
        faults.find(|fault| matches!(fault.name, "token-not-editable" | "token-malformed"))
    }

    /// Works out the set-up, or says what must be read first.
    ///
    /// # Errors
    /// With what must be read.
    pub fn resolve(unit: &UnitText, known: &Known) -> Result<Self, Wanted> {
        let mut reader = Reader {
            known,
            wanted: Wanted::default(),
            read: Wanted::default(),
            faults: Vec::new(),
            remarks: Vec::new(),
        };
        let settings = Settings::read(unit, &mut reader);
        if unit.manager == Manager::OpenRc {
            reader.fault(
                "openrc",
                format!(
                    "{} is run by OpenRC, under which no rotation was measured",
                    unit.id
                ),
                "rotate by hand as K3s documents it, or let systemd run K3s",
            );
        }
        let install = settings.install(unit, &mut reader);
        let nothing = Wanted::default();
        if reader.wanted == nothing {
            Ok(Self {
                sources: reader.read,
                faults: reader.faults,
                remarks: reader.remarks,
                ..install
            })
        } else {
            Err(reader.wanted)
        }
    }

    /// The surface that K3s takes its token from.
    #[must_use]
    pub fn winner(&self) -> Option<&Surface> {
        self.surfaces.first()
    }

    /// Every place that holds a token, of the server token and of an agent token of its own.
    pub fn all_surfaces(&self) -> impl Iterator<Item = &Surface> {
        self.surfaces.iter().chain(&self.agent_surfaces)
    }

    /// Which database an external datastore is, by its endpoint's scheme.
    #[must_use]
    pub fn database(&self) -> Option<&'static str> {
        let endpoint = self.endpoint.as_ref();
        let endpoint = endpoint.filter(|_| self.datastore == Datastore::External)?;
        let scheme = endpoint.expose().split_once("://");
        Some(match scheme.map(|(scheme, _)| scheme) {
            Some("postgres" | "postgresql") => POSTGRES,
            Some("mysql") => "MySQL or MariaDB",
            Some("nats" | "jetstream") => "NATS",
            Some("http" | "https") => "an etcd of its own",
            _ => "a database that keyroll does not know",
        })
    }

    /// A file below the data directory.
    #[must_use]
    pub fn data(&self, path: &str) -> Utf8PathBuf {
        self.data_dir.join(path)
    }

    /// The CA that this host trusts for the supervisor.
    #[must_use]
    pub fn ca(&self) -> Utf8PathBuf {
        self.data(if self.kind == Kind::Server {
            "server/tls/server-ca.crt"
        } else {
            "agent/server-ca.crt"
        })
    }
}

mod arguments;
mod loopback;
mod owner;
mod reader;
mod settings;
mod surfaces;

pub use owner::{NIX_STORE, is_of_owner, owned, owner};

#[cfg(test)]
mod precedence;
#[cfg(test)]
mod tests;
