//! What usual set-ups have, and what belongs to one in particular: asked for at once, so that one round trip is enough.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use camino::Utf8PathBuf;

use super::marks::{ASKED, REPLACED, RESCUE, ROTATED, WITHDRAWN};
use super::passwd::PASSWD;
use super::unsaved::SAVED;
use crate::facts::Survey;
use crate::k3s::install::{CONFIG, DATA_DIR, Install, Kind, Known, Wanted};
use crate::k3s::openrc;
use crate::k3s::surface::{Surface, beside};
use crate::k3s::token::TokenKind;
use crate::wire::Folder;

/// Units as installers name them, without their suffix.
const UNITS: [&str; 3] = ["k3s", "k3s-agent", "k3s-node"];
/// Where the k3s binary usually is.
pub(super) const BINARIES: [&str; 4] = [
    "/usr/local/bin/k3s",
    "/opt/bin/k3s",
    "/usr/bin/k3s",
    "/opt/k3s/bin/k3s",
];
/// The ending of a file that waits beside a surface.
const STAGED: &str = ".keyroll-new";

/// Files of a server below its data directory.
const SERVER: [&str; 13] = [
    TokenKind::Server.own_file(),
    TokenKind::Agent.own_file(),
    PASSWD,
    TokenKind::Server.kept(),
    TokenKind::Server.proven(),
    TokenKind::Agent.kept(),
    TokenKind::Agent.proven(),
    ROTATED,
    WITHDRAWN,
    RESCUE,
    REPLACED,
    ASKED,
    SAVED,
];
const AUTHORITIES: [&str; 2] = ["server/tls/server-ca.crt", "agent/server-ca.crt"];

/// All of them.
pub(super) static USUAL: LazyLock<Survey> = LazyLock::new(|| Survey {
    paths: paths(),
    folders: folders(),
});

fn paths() -> Vec<Utf8PathBuf> {
    let data = SERVER.iter().chain(&AUTHORITIES);
    let data = data.map(|path| format!("{DATA_DIR}/{path}"));
    let surfaces = UNITS.iter().flat_map(|name| {
        [
            format!("/etc/default/{name}"),
            format!("/etc/sysconfig/{name}"),
            format!("/etc/systemd/system/{name}.service.env"),
            format!("/etc/systemd/system/{name}.service"),
        ]
    });
    let others = [
        CONFIG.to_owned(),
        "/etc/rancher/k3s/cluster-token".to_owned(),
        "/etc/rancher/k3s/token".to_owned(),
        format!("{DATA_DIR}/server/token"),
    ];
    let surfaces: Vec<Utf8PathBuf> = surfaces.chain(others).map(Utf8PathBuf::from).collect();
    let staged = surfaces.iter().map(|file| beside(file, "keyroll-new"));
    let mut all: BTreeSet<Utf8PathBuf> = data.map(Utf8PathBuf::from).collect();
    all.extend(staged);
    all.extend(openrc::FILES.map(Utf8PathBuf::from));
    all.extend(surfaces);
    all.into_iter().collect()
}

fn folders() -> Vec<Folder> {
    let folder = |path: String, endings: &[&str]| Folder {
        path: path.into(),
        endings: endings.iter().map(|end| (*end).to_owned()).collect(),
    };
    let drop_ins = UNITS.iter().map(|name| {
        folder(
            format!("/etc/systemd/system/{name}.service.d"),
            &[".conf", STAGED],
        )
    });
    std::iter::once(folder(format!("{CONFIG}.d"), &[".yaml", ".yml", STAGED]))
        .chain(drop_ins)
        .collect()
}

/// Folders of which the names count.
pub(super) fn listed() -> Wanted {
    let folders = [
        format!("{CONFIG}.d"),
        format!("{DATA_DIR}/server/db"),
        format!("{DATA_DIR}/server/db/etcd/member"),
        format!("{DATA_DIR}/server/db/snapshots"),
    ];
    Wanted {
        folders: folders.into_iter().map(Utf8PathBuf::from).collect(),
        ..Wanted::default()
    }
}

/// What belongs to this set-up and was not read yet.
pub(super) fn files_of(install: &Install, known: &Known) -> Wanted {
    let staged = install.all_surfaces().map(Surface::staged);
    let data = match install.kind {
        Kind::Server => SERVER.map(|path| install.data(path)).to_vec(),
        Kind::Agent => Vec::new(),
    };
    let mut wanted = Wanted {
        files: staged.chain(data).chain([install.ca()]).collect(),
        ..Wanted::default()
    };
    // Of these folders all was read, so that what was not found there is not there.
    let surveyed = |path: &Utf8PathBuf| USUAL.folders.iter().any(|folder| folder.holds(path));
    let unread = |path: &Utf8PathBuf| !known.files.contains_key(path) && !surveyed(path);
    wanted.files.retain(unread);
    if install.kind == Kind::Server && !known.folders.contains_key(&install.snapshots) {
        wanted.folders.insert(install.snapshots.clone());
    }
    wanted
}
