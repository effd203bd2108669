//! How a host's set-up is read, in how many rounds: one where it is set up as usual.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use camino::{Utf8Path, Utf8PathBuf};

use super::marks::{ASKED, ROTATED};
use super::passwd::PASSWD;
use super::unsaved::{PSK, SAVED};
use super::usual::{BINARIES, USUAL, files_of, listed};
use super::{Blind, Freshness, unit};
use crate::facts::{
    Contents, Environment, Environments, FactError, K3sVersion, Paths, Probe, Programs, Tried,
    UnitState, Units, Unmanaged,
};
use crate::k3s::install::{DATA_DIR, Fault, Install, Kind, Known, Wanted};
use crate::k3s::openrc;
use crate::k3s::program::Program;
use crate::k3s::surface::beside;
use crate::k3s::token::TokenKind;
use crate::k3s::version::Version;
use crate::model::HostName;
use crate::wire::{FileKind, FileStat};

/// Rounds of reading after which a set-up that still asks for files is given up: more than any chain of settings needs.
const ROUNDS: usize = 6;

/// Looks at one host, now or lately.
pub(super) struct Hand<'a> {
    pub(super) probe: &'a Probe<'a>,
    pub(super) host: &'a HostName,
    pub(super) freshness: Freshness,
}

/// What was found so far.
pub(super) struct Found {
    units: Result<Vec<UnitState>, Unmanaged>,
    pub(super) known: Known,
    pub(super) stats: HashMap<Utf8PathBuf, Option<FileStat>>,
    pub(super) environments: BTreeMap<u32, Environment>,
    programs: BTreeMap<Utf8PathBuf, bool>,
}

impl Found {
    /// The unit that runs K3s, of systemd or of OpenRC.
    pub(super) fn unit(&mut self, host: &HostName) -> Result<UnitState, Blind> {
        match std::mem::replace(&mut self.units, Ok(Vec::new())) {
            Ok(units) => unit::one(host, units),
            Err(Unmanaged(said)) => match openrc::unit(&self.known) {
                Some(text) => Ok(UnitState {
                    load_state: "openrc".to_owned(),
                    text,
                    ..UnitState::default()
                }),
                None => Err(unit::unmanaged(host, &said)),
            },
        }
    }

    /// The first of these programs that is there, as far as is known.
    fn program<'a>(&self, programs: &'a [Utf8PathBuf]) -> Option<&'a Utf8PathBuf> {
        let mut programs = programs.iter();
        programs.find(|path| self.programs.get(*path) == Some(&true))
    }

    fn learn(&mut self, more: Known) {
        self.known.files.extend(more.files);
        self.known.folders.extend(more.folders);
    }
}

impl Hand<'_> {
    async fn get<F: crate::facts::Fact>(&self, fact: F) -> Result<F::Value, FactError> {
        match self.freshness {
            Freshness::Now => self.probe.get_now(self.host, fact).await,
            Freshness::Lately => self.probe.get_on(self.host, fact).await,
        }
    }

    /// Everything that a usual set-up has, in one round trip.
    pub(super) async fn first(&self) -> Result<Found, FactError> {
        let (units, surveyed, environments, more, (programs, times)) = self
            .get((
                Units,
                USUAL.clone(),
                Environments(vec!["k3s*.service".to_owned()]),
                Contents(listed()),
                (
                    Programs(BINARIES.map(Utf8PathBuf::from).to_vec()),
                    Paths(BTreeSet::from([Utf8PathBuf::from(DATA_DIR).join(PSK)])),
                ),
            ))
            .await?;
        let mut found = Found {
            units,
            known: surveyed.known,
            stats: surveyed.stats,
            environments,
            programs,
        };
        found.learn(more);
        found.stats.extend(times);
        Ok(found)
    }

    pub(super) async fn resolve(
        &self,
        unit: &UnitState,
        found: &mut Found,
    ) -> Result<Install, Blind> {
        for _ in 0..ROUNDS {
            match Install::resolve(&unit.text, &found.known) {
                Ok(install) => return Ok(install),
                Err(wanted) => self.fetch(wanted, unit, found).await?,
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

    /// What is wanted, with what `stat` says of it and what waits beside it, since it may be a surface.
    async fn fetch(
        &self,
        mut wanted: Wanted,
        unit: &UnitState,
        found: &mut Found,
    ) -> Result<(), FactError> {
        if wanted.version {
            found.known.version = Some(self.version(unit, found).await?);
        }
        let files = wanted.files.clone();
        wanted
            .files
            .extend(files.iter().map(|file| beside(file, "keyroll-new")));
        let (more, stats) = self.get((Contents(wanted), Paths(files))).await?;
        found.learn(more);
        found.stats.extend(stats);
        Ok(())
    }

    /// What the program says of itself, which it tells without its data directory; or why it does not.
    async fn version(
        &self,
        unit: &UnitState,
        found: &mut Found,
    ) -> Result<Result<Version, String>, FactError> {
        let programs = unit::binaries(unit);
        let mut unknown = programs.clone();
        unknown.retain(|path| !found.programs.contains_key(path));
        if !unknown.is_empty() {
            found.programs.extend(self.get(Programs(unknown)).await?);
        }
        let Some(path) = found.program(&programs) else {
            return Ok(Err("no k3s binary was found".to_owned()));
        };
        let k3s = Program::from(path.as_str());
        let said = self.get(Tried(K3sVersion { k3s })).await?;
        Ok(said.map_err(|error| error.to_string()))
    }

    /// A surface that is a symbolic link is edited where it leads to.
    pub(super) async fn follow_links(
        &self,
        mut install: Install,
        found: &mut Found,
    ) -> Result<Install, Blind> {
        for _ in 0..ROUNDS {
            let mut unknown = files(&install);
            unknown.retain(|path| !found.stats.contains_key(path));
            if !unknown.is_empty() {
                found.stats.extend(self.get(Paths(unknown)).await?);
            }
            let mut moved = false;
            let both = install.surfaces.iter_mut();
            for surface in both.chain(&mut install.agent_surfaces) {
                if let Some(to) = target(&found.stats, &surface.file) {
                    if surface.file.file_name() == Some("node-token") {
                        return Err(Blind::Faulty(node_token(&surface.file)));
                    }
                    let content = found.known.files.get(&surface.file).cloned().flatten();
                    found.known.files.insert(to.clone(), content);
                    surface.file = to;
                    moved = true;
                }
            }
            if !moved {
                // Two names of one file lead to one place in it, which is edited once.
                for surfaces in [&mut install.surfaces, &mut install.agent_surfaces] {
                    let mut places = BTreeSet::new();
                    surfaces.retain(|surface| {
                        places.insert((surface.file.clone(), surface.slot.range.start))
                    });
                }
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

    /// The program, and the files that belong to this set-up alone.
    pub(super) async fn rest(
        &self,
        unit: &UnitState,
        install: &Install,
        found: &mut Found,
    ) -> Result<Result<Utf8PathBuf, Blind>, FactError> {
        let wanted = files_of(install, &found.known);
        let mut programs = unit::binaries(unit);
        let known = |path: &Utf8PathBuf| found.programs.get(path).copied();
        // Those behind the first one that is there need no look.
        if let Some(first) = programs.iter().position(|path| known(path) == Some(true)) {
            programs.truncate(first + 1);
        }
        let mut times = watched(install);
        times.retain(|path| !found.stats.contains_key(path));
        let mut unknown = programs.clone();
        unknown.retain(|path| known(path).is_none());
        if !unknown.is_empty() || !times.is_empty() || wanted != Wanted::default() {
            let (more, runs, stats) = self
                .get((Contents(wanted), Programs(unknown), Paths(times)))
                .await?;
            found.learn(more);
            found.programs.extend(runs);
            found.stats.extend(stats);
        }
        let k3s = found.program(&programs).cloned();
        Ok(k3s.ok_or_else(|| unit::no_binary(self.host, unit)))
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
fn watched(install: &Install) -> BTreeSet<Utf8PathBuf> {
    let own = match install.kind {
        Kind::Server => vec![
            install.data(PASSWD),
            install.data(TokenKind::Server.proven()),
            install.data(SAVED),
            install.data(ASKED),
            install.data(ROTATED),
            install.data(PSK),
            install.ca(),
        ],
        Kind::Agent => Vec::new(),
    };
    files(install).into_iter().chain(own).collect()
}

fn target(
    stats: &HashMap<Utf8PathBuf, Option<FileStat>>,
    path: &Utf8PathBuf,
) -> Option<Utf8PathBuf> {
    match &stats.get(path)?.as_ref()?.kind {
        FileKind::Symlink(to) => Some(path.parent().unwrap_or(path).join(to)),
        _ => None,
    }
}

fn files(install: &Install) -> BTreeSet<Utf8PathBuf> {
    let both = install.all_surfaces();
    both.map(|surface| surface.file.clone()).collect()
}
