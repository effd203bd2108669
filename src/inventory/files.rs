//! `group_vars/` and `host_vars/` beside the inventory: `NAME`, `NAME.yml`, or a directory `NAME/` of such files.

use std::path::{Path, PathBuf};

use super::raw::{Raw, VarMap};
use super::vault;
use super::yaml::read_vars;
use crate::model::HostName;
use crate::source::{Problem, Problems, read_file, tree_with_vault};

const ENDINGS: [&str; 4] = ["", ".yml", ".yaml", ".json"];

/// Adds what the files beside the inventory say.
pub(super) fn read(beside: &Path, raw: &mut Raw<'_>) {
    let groups = beside.join("group_vars");
    let hosts = beside.join("host_vars");
    if groups.is_dir() {
        for (name, group) in &mut raw.groups {
            group.file_vars = all_of(&groups, name, &mut raw.problems);
        }
    }
    if hosts.is_dir() {
        for (name, host) in &mut raw.hosts {
            host.file_vars = all_of(&hosts, HostName::as_str(name), &mut raw.problems);
        }
    }
}

/// What there is first of this name counts, as in Ansible; the others are named.
fn all_of(directory: &Path, name: &str, problems: &mut Problems) -> VarMap {
    let paths = ENDINGS.map(|ending| directory.join(format!("{name}{ending}")));
    let mut there = paths.into_iter().filter(|path| path.exists());
    let Some(first) = there.next() else {
        return VarMap::new();
    };
    for other in there {
        let (other, first) = (other.display(), first.display());
        let what = format!("`{other}` is not read, since there is `{first}`");
        let problem = Problem::new("inventory::unread", what);
        let help = "Ansible does not read it either: move what it has into the other one";
        problems.push(problem.help(help).warning());
    }
    let files = if first.is_dir() {
        listed(&first, problems)
    } else {
        vec![first]
    };
    files.iter().flat_map(|file| one(file, problems)).collect()
}

/// The files of a directory and of those in it, by name; hidden ones and backups are left out, as in Ansible.
fn listed(directory: &Path, problems: &mut Problems) -> Vec<PathBuf> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => {
            let what = format!(
                "the directory `{}` cannot be read: {error}",
                directory.display()
            );
            problems.push(Problem::new("source::unreadable", what).help("check who may read it"));
            return Vec::new();
        }
    };
    let entries = entries.filter_map(Result::ok).map(|entry| entry.path());
    let mut paths: Vec<PathBuf> = entries.filter(|path| wanted(path)).collect();
    paths.sort();
    let each = |path: PathBuf| {
        if path.is_dir() {
            listed(&path, problems)
        } else {
            vec![path]
        }
    };
    paths.into_iter().flat_map(each).collect()
}

/// Whether Ansible reads it: a file with one of the endings or with none, a directory with none.
fn wanted(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_plain = !name.starts_with('.') && !name.ends_with('~');
    let ending = path
        .extension()
        .map(|ending| format!(".{}", ending.to_string_lossy()));
    let is_known = ending
        .as_deref()
        .is_none_or(|ending| ENDINGS.contains(&ending));
    is_plain && (path.is_file() && is_known || path.is_dir() && ending.is_none())
}

fn one(path: &Path, problems: &mut Problems) -> VarMap {
    let source = match read_file("variables file", path, &[]) {
        Ok(source) => source,
        Err(problem) => {
            problems.push(problem);
            return VarMap::new();
        }
    };
    if vault::is_encrypted(&source.text) {
        let what = "this file is encrypted by Ansible vault, and none of its variables is read";
        problems.push(vault::warning(what.to_owned(), &source.shown, (0, 14)));
        return VarMap::new();
    }
    let mut found = Problems::default();
    let vars = tree_with_vault(&source, &mut found)
        .map(|root| read_vars(&root, source.shown.name(), &source, &mut found))
        .unwrap_or_default();
    problems.extend(found);
    vars
}
