//! Whether the files that hold a token can be replaced at all: found before anything is changed.

use camino::{Utf8Path, Utf8PathBuf};

use crate::facts::{FactError, FreeSpace, Probe, Replaceable};
use crate::steps::look::Seen;
use crate::steps::{StepError, Unmet};

/// Free space that a second copy of a config file needs, in KiB.
const FREE_KIB: u64 = 1024;

/// What keeps this host's surfaces from being replaced.
pub(in crate::steps) async fn obstacles(
    probe: &Probe<'_>,
    seen: &Seen,
) -> Result<Vec<Unmet>, StepError> {
    let files = seen.install.surfaces.iter().map(|surface| &surface.file);
    let files: std::collections::BTreeSet<Utf8PathBuf> = files.cloned().collect();
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let host = &seen.host;
    let mut unmet: Vec<Unmet> = Vec::new();
    for obstacle in probe.get(Replaceable(files.clone())).await? {
        let what = format!("{} on {host} is {}", obstacle.path, obstacle.what);
        unmet.push(Unmet::new("not-writable", what, obstacle.next));
    }
    let folders: std::collections::BTreeSet<&Utf8Path> =
        files.iter().filter_map(|file| file.parent()).collect();
    for folder in folders {
        match probe.get(FreeSpace(folder.to_owned())).await {
            Ok(free) if free < FREE_KIB => unmet.push(Unmet::new(
                "disk-full",
                format!("{host} has only {free} KiB free below {folder}"),
                "free 1 MiB there",
            )),
            Ok(_) | Err(FactError::Unreadable { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(unmet)
}
