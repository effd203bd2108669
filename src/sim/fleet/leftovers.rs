//! The search for copies of a token, over the disk in memory.

use std::fmt::Write as _;

use super::perform::ran;
use super::{Disk, Host};
use crate::k3s::leftovers::SCRIPT;
use crate::sim::world::Files as _;
use crate::wire::{Command, Response};

/// What the search prints; `None` for another command.
pub(super) fn search(host: &Host, argv: &[&str], command: &Command) -> Option<Response> {
    let ["sh", "-c", script, "sh", skip, _, _, places @ ..] = argv else {
        return None;
    };
    if *script != SCRIPT {
        return None;
    }
    let input = command.stdin.as_ref()?.text();
    let values: Vec<&str> = input.lines().filter(|value| !value.is_empty()).collect();
    let mut text = String::new();
    for place in places {
        below(&host.disk, &host.disk.resolve(place), skip, &mut |path| {
            text += &copies(&host.disk, path, &values);
        });
    }
    Some(ran(0, text + "done\n", ""))
}

/// Visits each file below a directory, or the file itself; links are not followed.
fn below(disk: &Disk, path: &str, skip: &str, visit: &mut dyn FnMut(&str)) {
    if path == skip {
        return;
    }
    match disk.list(path) {
        Some(names) => {
            for name in names {
                let inner = format!("{}/{name}", path.trim_end_matches('/'));
                if disk.resolve(&inner) == inner {
                    below(disk, &inner, skip, visit);
                }
            }
        }
        None => visit(path),
    }
}

fn copies(disk: &Disk, path: &str, values: &[&str]) -> String {
    let text = disk.text(path).unwrap_or_default();
    let mut said = String::new();
    for (at, line) in text.lines().enumerate() {
        if values.iter().any(|value| line.contains(value)) {
            // A String takes all.
            writeln!(said, "{}\t{path}", at + 1).ok();
        }
    }
    said
}
