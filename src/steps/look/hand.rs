//! How a host's set-up is read: which files, in how many rounds, and which unit and program it is.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use camino::{Utf8Path, Utf8PathBuf};

use super::{Blind, Freshness};
use crate::facts::{Contents, FactError, Paths, Probe, UnitState};
use crate::k3s::install::{CONFIG, DATA_DIR, Fault, Install, Kind, Known, Wanted};
use crate::k3s::surface::Surface;
use crate::model::HostName;
use crate::wire::FileKind;

/// Rounds of reading after which a set-up that still asks for files is given up: more than any chain of settings needs.
const ROUNDS: usize = 6;

/// Looks at one host, now or lately.
pub(super) struct Hand<'a> {
    pub(super) probe: &'a Probe<'a>,
    pub(super) host: &'a HostName,
    pub(super) freshness: Freshness,
}

impl Hand<'_> {
    pub(super) async fn get<F: crate::facts::Fact>(&self, fact: F) -> Result<F::Value, FactError> {
        match self.freshness {
            Freshness::Now => self.probe.get_now(self.host, fact).await,
            Freshness::Lately => self.probe.get_on(self.host, fact).await,
        }
    }

    pub(super) async fn resolve(
        &self,
        unit: &UnitState,
        known: &mut Known,
    ) -> Result<Install, Blind> {
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
    pub(super) async fn follow_links(
        &self,
        mut install: Install,
        known: &mut Known,
    ) -> Result<Install, Blind> {
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
                    if surface.file.file_name() == Some("node-token") {
                        return Err(Blind::Faulty(node_token(&surface.file)));
                    }
                    let content = known.files.get(&surface.file).cloned().flatten();
                    known.files.insert(to.clone(), content);
                    surface.file = to;
                    moved = true;
                }
            }
            if !moved {
                // Two names of one file lead to one place in it, which is edited once.
                let mut places = BTreeSet::new();
                install.surfaces.retain(|surface| {
                    places.insert((surface.file.clone(), surface.slot.range.start))
                });
                return Ok(install);
            }
        }
        Err(Blind::Faulty(Fault {
            name: "endless-links",
            what: format!(
                "a configuration of {} is a symbolic link that leads to more than {ROUNDS} others",
                install.unit
            ),
            next: "let it lead to its file directly".to_owned(),
        }))
    }
}

/// K3s makes this link anew at each start; what is written through it is K3s's own `server/token`.
fn node_token(path: &Utf8Path) -> Fault {
    Fault {
        name: "token-file-is-node-token",
        what: format!("the token-file is {path}, a link that K3s itself makes"),
        next: "write the token into a file of your own, mode 0600, and name that one".to_owned(),
    }
}

/// Whose times count.
pub(super) fn watched(install: &Install) -> BTreeSet<Utf8PathBuf> {
    let own = match install.kind {
        Kind::Server => vec![install.data("server/cred/passwd"), install.ca()],
        Kind::Agent => Vec::new(),
    };
    files(install).into_iter().chain(own).collect()
}

fn files(install: &Install) -> BTreeSet<Utf8PathBuf> {
    install
        .surfaces
        .iter()
        .map(|surface| surface.file.clone())
        .collect()
}

/// What a usual set-up has, so that one round trip is enough for it.
pub(super) static USUAL: LazyLock<Wanted> = LazyLock::new(usual_places);

fn usual_places() -> Wanted {
    let data = [
        "server/token",
        "server/cred/passwd",
        "server/.keyroll/old",
        "server/.keyroll/proven",
        "server/.keyroll/rotated",
        "server/.keyroll/saved",
        "server/.keyroll/withdrawn",
        "server/.keyroll/rescue",
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
pub(super) fn files_of(install: &Install, known: &Known) -> Wanted {
    let staged = install.surfaces.iter().map(Surface::staged);
    let data = match install.kind {
        Kind::Server => [
            "server/token",
            "server/cred/passwd",
            "server/.keyroll/old",
            "server/.keyroll/proven",
            "server/.keyroll/rotated",
            "server/.keyroll/saved",
            "server/.keyroll/withdrawn",
            "server/.keyroll/rescue",
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

pub(super) fn binaries(unit: &UnitState) -> Vec<Utf8PathBuf> {
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
        .chain(on_path)
        .chain(beside)
        .chain(usual)
    {
        if !all.contains(&path) {
            all.push(path);
        }
    }
    all
}

pub(super) fn one_unit(host: &HostName, mut units: Vec<UnitState>) -> Result<UnitState, Blind> {
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

pub(super) fn no_binary(host: &HostName, unit: &UnitState) -> Blind {
    Blind::Faulty(Fault {
        name: "no-binary",
        what: format!(
            "no k3s binary was found on {host}, neither beside {} nor in the usual places",
            unit.text.argv.join(" ")
        ),
        next: "put k3s on the PATH of the unit".to_owned(),
    })
}
