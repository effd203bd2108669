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

fn all_of(directory: &Path, name: &str, problems: &mut Problems) -> VarMap {
    let mut vars = VarMap::new();
    for ending in ENDINGS {
        let path = directory.join(format!("{name}{ending}"));
        if path.is_dir() && ending.is_empty() {
            for file in listed(&path, problems) {
                vars.extend(one(&file, problems));
            }
        } else if path.is_file() {
            vars.extend(one(&path, problems));
        }
    }
    vars
}

/// The files of a directory by name; hidden ones and backups are left out, as in Ansible.
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
    let mut files: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.is_file() && wanted(path))
        .collect();
    files.sort();
    files
}

fn wanted(path: &Path) -> bool {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or(".");
    !name.starts_with('.')
        && !name.ends_with('~')
        && ENDINGS.iter().skip(1).any(|ending| name.ends_with(ending))
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
