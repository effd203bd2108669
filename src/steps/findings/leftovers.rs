//! Copies of a token that were left behind in scripts, histories and templates.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};

use super::Finding;
use crate::facts::{Leftovers, Probe};
use crate::k3s::leftovers::{Copy, Found, SHORTEST};
use crate::k3s::surface::Surface;
use crate::secret::Secret;
use crate::steps::look::Seen;

/// Places that are named one by one; more are counted.
const NAMED: usize = 10;

/// Searches a host for copies of these secrets. What K3s itself reads there is no copy; nothing is changed, and a
/// search that could not be made is a finding, not an error.
pub async fn leftovers(probe: &Probe<'_>, seen: &Seen, secrets: &[Secret]) -> Vec<Finding> {
    let (long, short): (Vec<Secret>, Vec<Secret>) = secrets
        .iter()
        .cloned()
        .partition(|secret| secret.expose().len() >= SHORTEST);
    let mut found = Vec::new();
    if !short.is_empty() {
        let what = format!("a token of fewer than {SHORTEST} characters is not searched for");
        found.push(Finding::of("leftovers-not-searched", what));
    }
    if long.is_empty() {
        return found;
    }
    let fact = Leftovers {
        secrets: long.clone(),
        data_dir: seen.install.data_dir.clone(),
    };
    match probe.get_now(&seen.host, fact).await {
        Ok(search) => {
            found.extend(named(seen, &search.copies, &long));
            found.extend(unsearched(&search));
        }
        Err(error) => found.push(Finding::of("leftovers-not-searched", error.to_string())),
    }
    found
}

/// What was not looked at, if anything.
fn unsearched(search: &Found) -> Vec<Finding> {
    let large = search
        .left
        .split_first()
        .map(|(first, others)| match others.len() {
            0 => format!("{first} is too large"),
            more => format!("{first} and {more} more files are too large"),
        });
    let rest = (!search.complete).then(|| {
        "there were too many files, one has a line break in its name, or it took too long"
            .to_owned()
    });
    let all = large.into_iter().chain(rest);
    all.map(|what| Finding::of("leftovers-not-searched", what))
        .collect()
}

/// Files that hold the token because keyroll is about to put it there, or because K3s reads it there and nobody can say where
/// in them.
fn own(seen: &Seen) -> BTreeSet<Utf8PathBuf> {
    let staged = seen.install.all_surfaces().map(Surface::staged);
    // K3s reads one that cannot be edited all the same.
    let unread = seen.install.unread().map(|_| &seen.install.sources.files);
    staged
        .chain(unread.into_iter().flatten().cloned())
        .collect()
}

/// Lines from which K3s reads it, and that have it nowhere else: in a comment it is a copy.
fn read<'a>(seen: &'a Seen, secrets: &[Secret]) -> BTreeSet<(&'a Utf8Path, usize)> {
    let surfaces = seen.install.all_surfaces();
    let surfaces = surfaces.filter(|it| !has_another(seen, it, secrets));
    let line = |it| seen.line(it).unwrap_or_default();
    surfaces.map(|it| (it.file.as_path(), line(it))).collect()
}

/// Whether the line of a surface has one of these secrets in a place from which K3s does not read it.
fn has_another(seen: &Seen, surface: &Surface, secrets: &[Secret]) -> bool {
    let Some(file) = seen.file(&surface.file) else {
        return false;
    };
    let mut text = file.bytes().to_vec();
    let here = seen.install.all_surfaces();
    for other in here.filter(|other| other.file == surface.file) {
        if let Some(slot) = text.get_mut(other.slot.range.clone()) {
            slot.fill(b' ');
        }
    }
    let line = seen.line(surface).unwrap_or_default().saturating_sub(1);
    let rest = text.split(|byte| *byte == b'\n').nth(line);
    let rest = String::from_utf8_lossy(rest.unwrap_or_default());
    secrets.iter().any(|secret| rest.contains(secret.expose()))
}

fn named(seen: &Seen, copies: &[Copy], secrets: &[Secret]) -> Vec<Finding> {
    let (own, read) = (own(seen), read(seen, secrets));
    let is_read = |copy: &Copy| {
        let line = usize::try_from(copy.line).unwrap_or_default();
        own.contains(&copy.path) || read.contains(&(copy.path.as_path(), line))
    };
    let foreign: Vec<&Copy> = copies.iter().filter(|copy| !is_read(copy)).collect();
    let finding = |copy: &&Copy| {
        let place = match copy.line {
            0 => copy.path.to_string(),
            line => format!("{}:{line}", copy.path),
        };
        Finding::of(
            "token-left-behind",
            format!("{place} holds a copy of the token"),
        )
    };
    let mut found: Vec<Finding> = foreign.iter().take(NAMED).map(finding).collect();
    let more = foreign.len().saturating_sub(NAMED);
    if more > 0 {
        found.push(Finding::of(
            "token-left-behind",
            format!("{more} more copies of the token"),
        ));
    }
    found
}
