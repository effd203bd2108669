//! Files of one host: what they are, who can read them, whether they contradict each other.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};

use super::Finding;
use crate::facts::Paths;
use crate::k3s::install::Kind;
use crate::k3s::phase::Standing;
use crate::k3s::surface::{Place, Surface, envfile};
use crate::k3s::token::TokenKind;
use crate::secret::Secret;
use crate::steps::look::{PASSWD, REPLACED, Seen, WITHDRAWN};
use crate::wire::{FileKind, FileStat};

type Stats = BTreeMap<Utf8PathBuf, Option<FileStat>>;

/// What `stat` is asked about.
pub(super) fn paths(seen: &Seen) -> Paths {
    let data = |path: &str| seen.install.data(path);
    let mut paths = BTreeSet::from([data("agent/db/token")]);
    if seen.install.kind == Kind::Server {
        paths.extend(SERVER.map(data));
        paths.insert(data("server/node-token"));
    }
    let surfaces = seen.install.all_surfaces();
    paths.extend(surfaces.map(|surface| surface.file.clone()));
    Paths(paths)
}

/// What `stat` gives away: links that are none, modes that are too wide, a file that no K3s reads.
pub(super) fn judge(seen: &Seen, stats: &Stats) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(node_token(seen, stats));
    found.extend(folklore(seen, stats));
    found.extend(stats.iter().filter_map(|(path, stat)| {
        let stat = stat.as_ref().filter(|stat| stat.kind == FileKind::File)?;
        too_wide(seen, path, stat.mode)
    }));
    found
}

/// Files of a server that hold a token.
const SERVER: [&str; 7] = [
    TokenKind::Server.own_file(),
    TokenKind::Agent.own_file(),
    PASSWD,
    TokenKind::Server.kept(),
    TokenKind::Agent.kept(),
    WITHDRAWN,
    REPLACED,
];

fn node_token(seen: &Seen, stats: &Stats) -> Option<Finding> {
    let (path, token) = (
        seen.install.data("server/node-token"),
        seen.install.data("server/token"),
    );
    let what = match &stats.get(&path)?.as_ref()?.kind {
        FileKind::Symlink(to) if path.with_file_name(to) == token => return None,
        FileKind::Symlink(to) => format!("{path} leads to {to}"),
        _ => format!("{path} is a file of its own"),
    };
    let next = format!("as root: mv {path} {path}.odd; K3s makes the link anew at its next start");
    Some(Finding::of("node-token-no-link", what).next(next))
}

fn folklore(seen: &Seen, stats: &Stats) -> Option<Finding> {
    let path = seen.install.data("agent/db/token");
    stats.get(&path)?.as_ref()?;
    Some(Finding::of("agent-db-token", format!("{path} is there")))
}

fn too_wide(seen: &Seen, path: &Utf8Path, mode: u32) -> Option<Finding> {
    if path == seen.install.data("server/node-token") || path == seen.install.data("agent/db/token")
    {
        return None;
    }
    let mut surfaces = seen.install.all_surfaces().filter(|it| it.file == path);
    let is_unit = surfaces.any(|surface| surface.place.is_unit_text());
    if is_unit && mode & 0o004 != 0 {
        let what = format!("{path} holds the token and has mode {mode:04o}");
        return Some(Finding::of("token-in-unit-file", what));
    }
    if !is_unit && mode & 0o077 != 0 && is_config(seen, path) {
        // Every `k3s` command reads it, and before v1.32 ends where it may not (k3s: #11237).
        let what = format!(
            "{path} has mode {mode:04o}, and a rotation makes it 0600: `kubectl` of users other than root, where it is \
             k3s itself, reads this file too; on K3s before v1.32.0 it then fails, on newer ones it warns"
        );
        let next = "--keep-modes leaves it readable, or take the token out of it into a file of its own (`token-file`); \
                    take the token for leaked and rotate it";
        return Some(Finding::of("token-file-mode", what).next(next));
    }
    (!is_unit && mode & 0o077 != 0).then(|| {
        Finding::of("token-file-mode", format!("{path} has mode {mode:04o}")).next(format!(
            "chmod 600 {path}; then take the token for leaked and rotate it"
        ))
    })
}

/// Whether K3s reads it as its configuration.
fn is_config(seen: &Seen, path: &Utf8Path) -> bool {
    let is_it = |surface: &Surface| surface.file == path && surface.place == Place::Config;
    seen.install.all_surfaces().any(is_it)
}

/// `server/token` and passwd, unless a rotation that goes on explains both.
pub(super) fn disagree(seen: &Seen, in_flight: &[Secret]) -> Option<Finding> {
    let (token, passwd) = (seen.on_disk()?, seen.passwd().server?);
    let explained = in_flight.contains(&token) && in_flight.contains(&passwd);
    (token != passwd && !explained).then(|| {
        let (one, other) = (
            seen.install.data("server/token"),
            seen.install.data("server/cred/passwd"),
        );
        let what = format!("{one} and {other} hold different secrets");
        Finding::of("token-and-passwd-disagree", what).on(seen)
    })
}

/// Files that an earlier run let wait beside a surface, with a token that is neither OLD nor this run's NEW.
pub(super) fn stale(seen: &Seen, standing: &Standing) -> Vec<Finding> {
    let known = standing
        .old
        .iter()
        .chain([&standing.new, &standing.datastore]);
    let known: Vec<&Secret> = known.collect();
    let is_stale = |surface: &&Surface| {
        let waits = seen.waiting(surface);
        waits.is_some_and(|secret| !known.contains(&&secret))
    };
    let files = seen.install.surfaces.iter().filter(is_stale);
    let files: BTreeSet<Utf8PathBuf> = files.map(Surface::staged).collect();
    let finding = |file: Utf8PathBuf| {
        let what = format!("{file} holds a token that is neither the old nor the new one");
        let next = format!("nothing, if a rotation follows: it writes over it; else: rm {file}");
        Finding::of("staged-file-stale", what).next(next)
    };
    files.into_iter().map(finding).collect()
}

/// Variables that two environment files set differently; the token itself is judged with the surfaces.
pub(super) fn set_twice(seen: &Seen) -> Vec<Finding> {
    let mut set: BTreeMap<String, Vec<(&Utf8Path, String)>> = BTreeMap::new();
    for path in &seen.unit.text.environment_files {
        let text = seen.file(path).map(|file| file.text().into_owned());
        for variable in envfile::variables(&text.unwrap_or_default()) {
            if variable.key.starts_with("K3S_") && variable.key != "K3S_TOKEN" {
                set.entry(variable.key)
                    .or_default()
                    .push((path, variable.value));
            }
        }
    }
    let finding = |(key, places): (String, Vec<(&Utf8Path, String)>)| {
        let (last, value) = places.last()?;
        let (other, _) = places
            .iter()
            .find(|(path, other)| path != last && other != value)?;
        let what = format!("{other} and {last} set {key} differently; {last} wins");
        Some(Finding::of("env-files-set-twice", what).next(format!("remove {key} from {other}")))
    };
    set.into_iter().filter_map(finding).collect()
}
