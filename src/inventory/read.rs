//! Where inventories come from, and in which of Ansible's two forms they are written.

use std::path::Path;

use minijinja::Value;

use super::raw::{Raw, Var};
use super::{Inventory, build, files, ini, settings, yaml};
use crate::source::{Problem, Problems, Source, read_file};

/// Reads an inventory from a file, with the `group_vars` and `host_vars` beside it. Variables of the command line
/// (`extra`) win over all others, also where they say how hosts are reached.
///
/// # Errors
/// With everything that is wrong with it.
pub fn read(path: &str, extra: &[(String, Value)]) -> Result<Inventory, Problems> {
    let path = Path::new(path);
    if path.is_dir() {
        let what = format!("the inventory `{}` is a directory", path.display());
        let problem = Problem::new("inventory::directory", what);
        return Err(problem
            .help("name the file in it, such as `inventory/hosts.yml`")
            .into());
    }
    let source = read_file("inventory", path, &[])?;
    load(&source, path.parent(), extra)
}

/// Reads an inventory from its text alone.
///
/// # Errors
/// With everything that is wrong with it.
pub fn parse(source: &Source) -> Result<Inventory, Problems> {
    load(source, None, &[])
}

fn load(
    source: &Source,
    beside: Option<&Path>,
    extra: &[(String, Value)],
) -> Result<Inventory, Problems> {
    let mut raw = Raw::new(source);
    raw.extra = extra.iter().map(on_command_line).collect();
    if is_ini(source) {
        ini::read(&mut raw);
    } else {
        yaml::read(&mut raw);
    }
    if let Some(directory) = beside {
        files::read(directory, &mut raw);
        settings::warn(directory, &mut raw.problems);
    }
    build::build(raw)
}

/// A variable with the place that its mistakes are shown at.
fn on_command_line((name, value): &(String, Value)) -> (String, Var) {
    let source = Source::new("--extra-vars", format!("{name}={value}"), &[]);
    let var = Var {
        value: value.clone(),
        at: (0, source.text.len()).into(),
        text: source.shown,
    };
    (name.clone(), var)
}

/// By the file's name, else by its first line that says something.
fn is_ini(source: &Source) -> bool {
    let ending = Path::new(source.shown.name())
        .extension()
        .and_then(|e| e.to_str());
    match ending {
        Some("yml" | "yaml" | "json") => false,
        Some("ini" | "cfg") => true,
        _ => {
            let mut lines = source.text.lines().map(str::trim);
            let first = lines.find(|line| !line.is_empty() && !line.starts_with(['#', ';']));
            first.is_some_and(|line| {
                let yaml =
                    line.starts_with(['{', '-']) || line.contains(": ") || line.ends_with(':');
                line.starts_with('[') || !yaml
            })
        }
    }
}
