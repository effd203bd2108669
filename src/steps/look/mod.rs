//! What the K3s steps look at: one host's set-up, and what all servers say together.

mod agent;
mod cluster;
mod passwd;

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};

pub use agent::AgentStanding;
pub use cluster::{Cluster, ServerSeen, restart_order, words};
pub(super) use cluster::{nodes, server_nodes};
pub use passwd::Passwd;

use crate::facts::{Binary, Contents, FactError, Paths, Probe, UnitState, Units};
use crate::k3s::install::{CONFIG, DATA_DIR, Fault, Install, Kind, Known, Wanted};
use crate::k3s::knock::Door;
use crate::k3s::phase::Proven;
use crate::k3s::surface::{Place, Surface};
use crate::k3s::token::Token;
use crate::model::{HostName, HostTime};
use crate::secret::{Content, Secret};
use crate::wire::{FileKind, FileStat};

/// How fresh a look at a host must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Looked at now.
    Now,
    /// An answer of the last half minute serves, unless something was changed there since.
    Lately,
}

/// One host's set-up and files.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Which host.
    pub host: HostName,
    /// The state of the unit that runs K3s.
    pub unit: UnitState,
    /// How K3s is set up.
    pub install: Install,
    /// The k3s binary.
    pub k3s: Utf8PathBuf,
    /// Files that were read.
    pub known: Known,
    /// What `stat` says of the surfaces.
    pub stats: BTreeMap<Utf8PathBuf, Option<FileStat>>,
}

/// Why a host's set-up could not be made out.
#[derive(Debug, Clone)]
pub enum Blind {
    /// It could not be asked.
    Unasked(FactError),
    /// It is not set up in a way that keyroll works with.
    Faulty(Fault),
}

impl From<FactError> for Blind {
    fn from(error: FactError) -> Self {
        Self::Unasked(error)
    }
}

impl std::fmt::Display for Blind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unasked(error) => error.fmt(f),
            Self::Faulty(fault) => f.write_str(&fault.what),
        }
    }
}

/// Rounds of reading after which a set-up that still asks for files is given up: more than any chain of settings needs.
const ROUNDS: usize = 6;

impl Seen {
    /// Looks at one host.
    ///
    /// # Errors
    /// When it cannot be asked, or no K3s is found there.
    pub async fn look(
        probe: &Probe<'_>,
        host: &HostName,
        freshness: Freshness,
    ) -> Result<Self, Blind> {
        let hand = Hand {
            probe,
            host,
            freshness,
        };
        let (units, mut known) = hand.get((Units, Contents(usual_places()))).await?;
        let unit = one_unit(host, units)?;
        let install = hand.resolve(&unit, &mut known).await?;
        let install = hand.follow_links(install, &mut known).await?;
        let (k3s, more, stats) = hand
            .get((
                Binary(binaries(&unit)),
                Contents(files_of(&install, &known)),
                Paths(files(&install)),
            ))
            .await?;
        known.files.extend(more.files);
        known.folders.extend(more.folders);
        let k3s = k3s.ok_or_else(|| no_binary(host, &unit))?;
        let seen = Self {
            host: host.clone(),
            unit,
            install,
            k3s,
            known,
            stats,
        };
        for secret in seen.secrets() {
            probe.learn(&secret);
        }
        Ok(seen)
    }

    /// A file that was read.
    #[must_use]
    pub fn file(&self, path: &Utf8Path) -> Option<&Content> {
        self.known.files.get(path)?.as_ref()
    }

    fn token_in(&self, path: &Utf8Path) -> Option<Token> {
        Token::parse(&self.file(path)?.text()).ok()
    }

    /// The secret that K3s would start with.
    #[must_use]
    pub fn surface(&self) -> Option<&Secret> {
        self.install.winner().map(|surface| &surface.token.secret)
    }

    /// The secret in `server/token`.
    #[must_use]
    pub fn on_disk(&self) -> Option<Secret> {
        self.token_in(&self.install.data("server/token"))
            .map(|token| token.secret)
    }

    /// `server/cred/passwd`.
    #[must_use]
    pub fn passwd(&self) -> Passwd {
        self.file(&self.install.data("server/cred/passwd"))
            .map(|file| Passwd::parse(&file.text()))
            .unwrap_or_default()
    }

    /// OLD as keyroll keeps it until the proof.
    #[must_use]
    pub fn kept(&self) -> Option<Secret> {
        self.token_in(&self.kept_path()).map(|token| token.secret)
    }

    /// What a green proof left here.
    #[must_use]
    pub fn proven(&self) -> Option<Proven> {
        Proven::parse(&self.file(&self.proven_path())?.text())
    }

    /// Where a green proof leaves its mark.
    #[must_use]
    pub fn proven_path(&self) -> Utf8PathBuf {
        self.install.data("server/.keyroll/proven")
    }

    /// Where OLD is kept.
    #[must_use]
    pub fn kept_path(&self) -> Utf8PathBuf {
        self.install.data("server/.keyroll/old")
    }

    /// The secret in the file that waits beside the winning surface.
    #[must_use]
    pub fn staged(&self) -> Option<Secret> {
        let surface = self.install.winner()?;
        let staged = self.file(&surface.staged())?;
        let original = self.file(&surface.file)?.bytes();
        let tail = original.len().checked_sub(surface.slot.range.end)?;
        let inner = staged
            .bytes()
            .get(surface.slot.range.start..staged.bytes().len().checked_sub(tail)?)?;
        let text = std::str::from_utf8(inner).ok()?.trim_matches(['"', '\'']);
        Token::parse(text).ok().map(|token| token.secret)
    }

    /// The files that hold a token, each with its bytes for another secret, where the secret is not that already.
    #[must_use]
    pub fn edits(&self, secret: &Secret) -> Vec<Edit<'_>> {
        let mut edits: Vec<Edit<'_>> = Vec::new();
        let mut surfaces: Vec<&Surface> = self
            .install
            .surfaces
            .iter()
            .filter(|s| s.token.secret != *secret)
            .collect();
        // From the end of a file to its beginning, so that an edit does not move the next one's bytes.
        surfaces.sort_by_key(|surface| std::cmp::Reverse(surface.slot.range.start));
        for surface in surfaces {
            let before = edits
                .iter()
                .position(|edit| edit.surface.file == surface.file);
            let file = before
                .and_then(|at| edits.get(at))
                .map(|edit| &edit.content)
                .or_else(|| self.file(&surface.file));
            let Some(content) = file.and_then(|file| surface.edited(file, secret)) else {
                continue;
            };
            match before.and_then(|at| edits.get_mut(at)) {
                Some(edit) => edit.content = content,
                None => edits.push(Edit { surface, content }),
            }
        }
        edits
    }

    /// When the last of the configured surfaces was changed; `None` when there is none. `server/token` does not
    /// count, since K3s writes it anew at each start.
    #[must_use]
    pub fn surface_changed(&self) -> Option<HostTime> {
        let configured = self
            .install
            .surfaces
            .iter()
            .filter(|surface| surface.place != Place::ServerToken);
        configured
            .filter_map(|surface| Some(self.stats.get(&surface.file)?.as_ref()?.ctime))
            .max()
    }

    /// Whether the running process was started after the last change of its surfaces.
    #[must_use]
    pub fn started_after_change(&self) -> bool {
        match (self.unit.started, self.surface_changed()) {
            (Some(started), Some(changed)) => started.0 + CLOCK_GRAIN > changed.0,
            (Some(_), None) => true,
            (None, _) => false,
        }
    }

    /// How this host reaches a supervisor: its own on a server, through its load balancer on an agent.
    #[must_use]
    pub fn door(&self) -> Door {
        let url = format!("https://127.0.0.1:{}", self.install.port);
        Door {
            k3s: self.k3s.clone(),
            url,
            ca: self.install.ca(),
        }
    }

    /// The CA that it trusts, as tokens pin it; `None` for a bundle or when there is none.
    #[must_use]
    pub fn ca_hash(&self) -> Option<String> {
        crate::k3s::token::ca_hash(self.file(&self.install.ca())?.bytes())
    }

    /// Path of the kubelet's client certificate, which names the node.
    #[must_use]
    pub fn kubelet_certificate(&self) -> Utf8PathBuf {
        self.install.data("agent/client-kubelet.crt")
    }

    fn secrets(&self) -> Vec<Secret> {
        let surfaces = self
            .install
            .surfaces
            .iter()
            .map(|surface| surface.token.secret.clone());
        let passwd = self.passwd();
        surfaces
            .chain(self.on_disk())
            .chain(self.kept())
            .chain(self.staged())
            .chain(passwd.server)
            .chain(passwd.node)
            .collect()
    }
}

/// The grain of a process's start time, in microseconds: a kernel tick and a little more.
const CLOCK_GRAIN: i64 = 20_000;

/// A file with its new bytes.
#[derive(Debug, Clone)]
pub struct Edit<'a> {
    /// The strongest surface in the file.
    pub surface: &'a Surface,
    /// The whole file with the other secret.
    pub content: Content,
}

struct Hand<'a> {
    probe: &'a Probe<'a>,
    host: &'a HostName,
    freshness: Freshness,
}

impl Hand<'_> {
    async fn get<F: crate::facts::Fact>(&self, fact: F) -> Result<F::Value, FactError> {
        match self.freshness {
            Freshness::Now => self.probe.get_now(self.host, fact).await,
            Freshness::Lately => self.probe.get_on(self.host, fact).await,
        }
    }

    async fn resolve(&self, unit: &UnitState, known: &mut Known) -> Result<Install, Blind> {
        for _ in 0..ROUNDS {
            match Install::resolve(&unit.text, known) {
                Ok(install) => return Ok(install),
                Err(wanted) => {
                    let more = self.get(Contents(wanted)).await?;
                    known.files.extend(more.files);
                    known.folders.extend(more.folders);
                }
            }
        }
        Err(Blind::Faulty(Fault {
            name: "endless-settings",
            what: format!(
                "the settings of {} lead from file to file without end",
                unit.text.id
            ),
            next: "look at the unit's EnvironmentFile, --config and token-file settings".to_owned(),
        }))
    }

    /// A surface that is a symbolic link is edited where it leads to.
    async fn follow_links(
        &self,
        mut install: Install,
        known: &mut Known,
    ) -> Result<Install, FactError> {
        for _ in 0..ROUNDS {
            let stats = self.get(Paths(files(&install))).await?;
            let target = |path: &Utf8PathBuf| match stats.get(path)?.as_ref().map(|stat| &stat.kind)
            {
                Some(FileKind::Symlink(to)) => Some(path.parent().unwrap_or(path).join(to)),
                _ => None,
            };
            let mut moved = false;
            for surface in &mut install.surfaces {
                if let Some(to) = target(&surface.file) {
                    let content = known.files.get(&surface.file).cloned().flatten();
                    known.files.insert(to.clone(), content);
                    surface.file = to;
                    moved = true;
                }
            }
            if !moved {
                break;
            }
        }
        Ok(install)
    }
}

fn files(install: &Install) -> BTreeSet<Utf8PathBuf> {
    install
        .surfaces
        .iter()
        .map(|surface| surface.file.clone())
        .collect()
}

/// What a usual set-up has, so that one round trip is enough for it.
fn usual_places() -> Wanted {
    let data = [
        "server/token",
        "server/cred/passwd",
        "server/.keyroll/old",
        "server/.keyroll/proven",
        "server/tls/server-ca.crt",
        "agent/server-ca.crt",
    ];
    let names = ["k3s", "k3s-agent"];
    let env = names.iter().flat_map(|name| {
        [
            format!("/etc/default/{name}"),
            format!("/etc/sysconfig/{name}"),
            format!("/etc/systemd/system/{name}.service.env"),
        ]
    });
    Wanted {
        files: data
            .iter()
            .map(|path| format!("{DATA_DIR}/{path}"))
            .chain(env)
            .chain([CONFIG.to_owned()])
            .map(Utf8PathBuf::from)
            .collect(),
        folders: [format!("{CONFIG}.d"), format!("{DATA_DIR}/server/db")]
            .into_iter()
            .map(Utf8PathBuf::from)
            .collect(),
    }
}

/// What belongs to this set-up and was not read yet.
fn files_of(install: &Install, known: &Known) -> Wanted {
    let staged = install.surfaces.iter().map(Surface::staged);
    let data = match install.kind {
        Kind::Server => [
            "server/token",
            "server/cred/passwd",
            "server/.keyroll/old",
            "server/.keyroll/proven",
        ]
        .map(|path| install.data(path))
        .to_vec(),
        Kind::Agent => Vec::new(),
    };
    let mut wanted = Wanted {
        files: staged.chain(data).chain([install.ca()]).collect(),
        folders: BTreeSet::new(),
    };
    wanted.files.retain(|path| !known.files.contains_key(path));
    if install.kind == Kind::Server {
        wanted.folders.insert(install.snapshots.clone());
    }
    wanted
}

fn binaries(unit: &UnitState) -> Vec<Utf8PathBuf> {
    let started = unit
        .text
        .argv
        .first()
        .map(Utf8PathBuf::from)
        .filter(|path| path.file_name() == Some("k3s"));
    let path = unit
        .text
        .environment
        .iter()
        .find(|(name, _)| name == "PATH")
        .map_or("", |(_, value)| value.as_str());
    let beside = unit
        .text
        .argv
        .first()
        .and_then(|path| Utf8Path::new(path).parent())
        .map(|dir| dir.join("k3s"));
    let on_path = path
        .split(':')
        .filter(|dir| dir.starts_with('/'))
        .map(|dir| Utf8Path::new(dir).join("k3s"));
    let usual = [
        "/usr/local/bin/k3s",
        "/opt/bin/k3s",
        "/usr/bin/k3s",
        "/opt/k3s/bin/k3s",
    ]
    .map(Utf8PathBuf::from);
    let mut all: Vec<Utf8PathBuf> = Vec::new();
    for path in started
        .into_iter()
        .chain(beside)
        .chain(on_path)
        .chain(usual)
    {
        if !all.contains(&path) {
            all.push(path);
        }
    }
    all
}

fn one_unit(host: &HostName, mut units: Vec<UnitState>) -> Result<UnitState, Blind> {
    let names = units
        .iter()
        .map(|unit| unit.text.id.as_str())
        .collect::<Vec<_>>()
        .join(", ");
    let fault = match (units.pop(), units.is_empty()) {
        (Some(unit), true) if unit.load_state == "masked" => Fault {
            name: "unit-masked",
            what: format!("{} on {host} is masked", unit.text.id),
            next: format!("systemctl unmask {}", unit.text.id),
        },
        (Some(unit), true) => return Ok(unit),
        (None, _) => Fault {
            name: "no-unit",
            what: format!("{host} has no systemd unit k3s*.service that runs `k3s server` or `k3s agent`"),
            next: "install K3s there, or take the host out of the inventory; hosts without systemd come later".to_owned(),
        },
        (Some(_), false) => Fault {
            name: "several-units",
            what: format!("{host} has several units that run K3s: {names}"),
            next: "disable and stop all but one".to_owned(),
        },
    };
    Err(Blind::Faulty(fault))
}

fn no_binary(host: &HostName, unit: &UnitState) -> Blind {
    Blind::Faulty(Fault {
        name: "no-binary",
        what: format!(
            "no k3s binary was found on {host}, neither beside {} nor in the usual places",
            unit.text.argv.join(" ")
        ),
        next: "put k3s on the PATH of the unit".to_owned(),
    })
}
