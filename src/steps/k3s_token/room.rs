//! Whether the files that hold a token can be replaced at all: found before anything is changed.

use std::collections::BTreeSet;

use camino::Utf8PathBuf;

use crate::facts::{Fact, FreeSpace, Probe, Replaceable, Tried};
use crate::k3s::surface::Surface;
use crate::steps::look::Seen;
use crate::steps::{StepError, Unmet};

/// Free space that a second copy of a config file needs, in KiB.
const FREE_KIB: u64 = 1024;

/// What is asked of the files that hold a token, and of their folders.
pub(in crate::steps) type Room = (Replaceable, Vec<Tried<FreeSpace>>);

/// What to ask of a host's surfaces.
pub(in crate::steps) fn room(seen: &Seen) -> Room {
    of(seen.install.surfaces.iter())
}

/// The same of the surfaces of both tokens.
pub(in crate::steps) fn room_of_both(seen: &Seen) -> Room {
    of(seen.install.all_surfaces())
}

fn of<'a>(surfaces: impl Iterator<Item = &'a Surface>) -> Room {
    let files: BTreeSet<Utf8PathBuf> = surfaces.map(|surface| surface.file.clone()).collect();
    let free = folders(&files)
        .into_iter()
        .map(|folder| Tried(FreeSpace(folder)));
    let free = free.collect();
    (Replaceable(files), free)
}

fn folders(files: &BTreeSet<Utf8PathBuf>) -> BTreeSet<Utf8PathBuf> {
    let folders = files.iter().filter_map(|file| file.parent());
    folders.map(camino::Utf8Path::to_owned).collect()
}

/// What keeps this host's surfaces from being replaced.
pub(in crate::steps) fn obstacles(
    seen: &Seen,
    asked: &Room,
    (found, free): &<Room as Fact>::Value,
) -> Vec<Unmet> {
    let host = &seen.host;
    let obstacles = found.iter().map(|obstacle| {
        let what = format!("{} on {host} is {}", obstacle.path, obstacle.what);
        Unmet::new("not-writable", what, &obstacle.next)
    });
    // What a file system does not tell stands in nobody's way.
    let full = folders(&asked.0.0).into_iter().zip(free);
    let full = full.filter_map(|(folder, free)| {
        let free = free.as_ref().ok().filter(|free| **free < FREE_KIB)?;
        Some(Unmet::new(
            "disk-full",
            format!("{host} has only {free} KiB free below {folder}"),
            "free 1 MiB there",
        ))
    });
    obstacles.chain(full).collect()
}

/// The same, looked at now.
pub(in crate::steps) async fn look_for_obstacles(
    probe: &Probe<'_>,
    seen: &Seen,
) -> Result<Vec<Unmet>, StepError> {
    let asked = room(seen);
    let answers = probe.get(asked.clone()).await?;
    Ok(obstacles(seen, &asked, &answers))
}
