//! `ansible.cfg` beside an inventory: it is not read, and what it says of reaching hosts is named.

use std::path::Path;

use crate::source::{Problem, Problems, read_file};

/// Settings that a user would miss, and what takes their place.
const MISSED: [(&str, &str); 3] = [
    ("remote_user", "give it with -u, or in ssh_config"),
    (
        "private_key_file",
        "give it with --private-key, or in ssh_config",
    ),
    (
        "host_key_checking",
        "ssh's own rule holds: add the hosts' keys to known_hosts, or StrictHostKeyChecking to ssh_config",
    ),
];

/// Warns of what is not heeded there.
pub(super) fn warn(beside: &Path, problems: &mut Problems) {
    let path = beside.join("ansible.cfg");
    if !path.is_file() {
        return;
    }
    let Ok(source) = read_file("configuration", &path, &[]) else {
        return;
    };
    let mut start = 0;
    for line in source.text.split_inclusive('\n') {
        let name = line.split('=').next().unwrap_or_default().trim();
        let missed = MISSED.iter().find(|(missed, _)| *missed == name);
        if let Some((name, help)) = missed.filter(|_| line.contains('=')) {
            let what = format!("`{name}` is not heeded: keyroll does not read ansible.cfg");
            let at = (start, line.trim_end().len());
            let problem = Problem::new("inventory::unread", what).at(&source.shown, at);
            problems.push(problem.help(*help).warning());
        }
        start += line.len();
    }
}
