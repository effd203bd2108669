//! What lies around K3s on a host: file systems that forget, owners that write over, sudo that keeps what it hears.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};

use crate::facts::{Contents, Fact, Paths, Probe};
use crate::k3s::install::{Known, Wanted, owner};
use crate::steps::findings::Finding;
use crate::steps::look::Seen;
use crate::steps::{StepError, Unmet};

const MOUNTS: &str = "/proc/self/mounts";
const LOGIN: &str = "/proc/self/loginuid";
const SUDOERS: &str = "/etc/sudoers";
const MORE_SUDOERS: &str = "/etc/sudoers.d";
const UPGRADES: &str = "/etc/apt/apt.conf.d/20auto-upgrades";

/// What wants a reboot leaves one of these.
const REBOOTS: [&str; 2] = ["/run/reboot-required", "/var/run/reboot-required"];

/// Agents of configuration managers by a file that each has.
const MANAGERS: [(&str, &str); 5] = [
    ("/etc/puppetlabs/puppet/puppet.conf", "Puppet"),
    ("/etc/puppet/puppet.conf", "Puppet"),
    ("/etc/chef/client.rb", "Chef"),
    ("/etc/salt/minion", "Salt"),
    ("/var/cfengine/inputs/promises.cf", "CFEngine"),
];

/// What is asked of the surroundings.
pub(super) type Asked = (Contents, Paths);

/// What to ask.
pub(super) fn asked() -> Asked {
    (Contents(wanted()), Paths(stats()))
}

/// What stands in the way on the task's own host.
pub(super) async fn judge(
    probe: &Probe<'_>,
    seen: &Seen,
    (known, _): &<Asked as Fact>::Value,
) -> Result<Vec<Unmet>, StepError> {
    let mut unmet = undurable(seen, &text(known, MOUNTS));
    unmet.extend(eavesdropper(probe, seen, known).await?);
    Ok(unmet)
}

/// What may come in between, and who may write the old token back.
pub(super) fn findings(seen: &Seen, (known, paths): &<Asked as Fact>::Value) -> Vec<Finding> {
    let host = &seen.host;
    let there = |path: &str| matches!(paths.get(Utf8Path::new(path)), Some(Some(_)));
    let waits = REBOOTS.iter().any(|path| there(path));
    let upgrades = text(known, UPGRADES);
    let mut upgrades = upgrades.lines();
    let upgrades =
        upgrades.any(|line| line.contains("Unattended-Upgrade") && line.contains("\"1\""));
    let managers = MANAGERS.iter().filter(|(path, _)| there(path));
    let managers: BTreeSet<&str> = managers.map(|(_, name)| *name).collect();
    let waits = waits.then(|| Finding::of("reboot-pending", format!("{host} waits for a reboot")));
    let upgrades = upgrades.then(|| {
        let what = format!("{host} upgrades itself (unattended-upgrades), which may restart it");
        Finding::of("upgrades-itself", what)
    });
    let managers = managers.into_iter().map(|name| {
        let what = format!("{name} runs on {host}");
        Finding::of("configuration-manager", what)
    });
    waits.into_iter().chain(upgrades).chain(managers).collect()
}

fn wanted() -> Wanted {
    let files = [MOUNTS, LOGIN, SUDOERS, UPGRADES];
    Wanted {
        files: files.map(Utf8PathBuf::from).into_iter().collect(),
        folders: [Utf8PathBuf::from(MORE_SUDOERS)].into_iter().collect(),
        ..Wanted::default()
    }
}

fn stats() -> BTreeSet<Utf8PathBuf> {
    let managers = MANAGERS.iter().map(|(path, _)| *path);
    REBOOTS
        .into_iter()
        .chain(managers)
        .map(Utf8PathBuf::from)
        .collect()
}

fn text(known: &Known, path: &str) -> String {
    let file = known
        .files
        .get(Utf8Path::new(path))
        .and_then(Option::as_ref);
    file.map_or_else(String::new, |file| file.text().into_owned())
}

/// Surfaces that would not keep what is written: gone or written over after the next boot.
fn undurable(seen: &Seen, mounts: &str) -> Vec<Unmet> {
    let mut unmet = Vec::new();
    let surfaces = seen.install.surfaces.iter();
    // What somebody else owns is said already.
    for surface in surfaces.filter(|surface| owner(&surface.file).is_none()) {
        let (host, file) = (&seen.host, &surface.file);
        let (why, next) = match mount_of(file, mounts) {
            Some((_, "tmpfs" | "ramfs", _)) => (
                "lies in memory and is gone after the next boot",
                "find what writes it at boot, and let it name a file that stays",
            ),
            Some((_, _, options)) if options.split(',').any(|option| option == "ro") => (
                "lies on a file system that is mounted read-only",
                "mount it writable for the rotation, or set the token where the image is made",
            ),
            _ => continue,
        };
        unmet.push(Unmet::new(
            "surface-not-durable",
            format!("{file} on {host}, which holds the token, {why}"),
            next,
        ));
    }
    unmet
}

/// Mount point, kind and options of the file system that holds a path.
fn mount_of<'a>(path: &Utf8Path, mounts: &'a str) -> Option<(&'a str, &'a str, &'a str)> {
    let mounts = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        Some((words.next()?, words.next()?, words.next()?))
    });
    // Of two mounts at one place the later is the one that is seen.
    mounts
        .filter(|(at, _, _)| path.starts_with(at))
        .max_by_key(|(at, _, _)| at.len())
}

/// sudo that keeps what is typed would keep the tokens that are sent through it. A login as root needs no sudo.
async fn eavesdropper(
    probe: &Probe<'_>,
    seen: &Seen,
    known: &Known,
) -> Result<Option<Unmet>, StepError> {
    let login = text(known, LOGIN);
    if matches!(login.trim(), "" | "0" | "4294967295") {
        return Ok(None);
    }
    let folder = Utf8Path::new(MORE_SUDOERS);
    let names = known.folders.get(folder).cloned().unwrap_or_default();
    // sudo itself passes these over.
    let counts = |name: &&String| !name.contains('.') && !name.ends_with('~');
    let more = names.iter().filter(counts).map(|name| folder.join(name));
    let more = Wanted {
        files: more.collect(),
        ..Wanted::default()
    };
    let mut files = probe.get(Contents(more)).await?.files;
    let own = known.files.get(Utf8Path::new(SUDOERS)).cloned().flatten();
    files.insert(SUDOERS.into(), own);
    let keeps = |(_, text): &(&Utf8PathBuf, String)| text.lines().any(keeps_input);
    let texts = files
        .iter()
        .filter_map(|(path, file)| Some((path, file.as_ref()?.text().into_owned())));
    let Some((path, _)) = texts.into_iter().find(keeps) else {
        return Ok(None);
    };
    let host = &seen.host;
    Ok(Some(Unmet::new(
        "sudo-keeps-input",
        format!(
            "sudo on {host} keeps what is sent through it (log_input in {path}): the new token would be kept too"
        ),
        format!("add `Defaults:USER !log_input` for the login user on {host}, or log in as root"),
    )))
}

fn keeps_input(line: &str) -> bool {
    let line = line.trim();
    let is_set = line.starts_with("Defaults")
        && line.split([' ', ',', '\t']).any(|word| word == "log_input");
    is_set
        || !line.starts_with('#') && line.contains("LOG_INPUT:") && !line.contains("NOLOG_INPUT:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_and_latest_mount_holds_a_path() {
        let mounts = "/dev/sda / ext4 rw 0 0\ntmpfs /run tmpfs rw,nosuid 0 0\n/dev/sdb /etc ext4 ro 0 0\ntmpfs /etc tmpfs rw 0 0\n";
        let kind = |path: &str| mount_of(Utf8Path::new(path), mounts).unwrap().1;
        assert_eq!(kind("/run/k3s/token"), "tmpfs");
        assert_eq!(kind("/runner/token"), "ext4");
        assert_eq!(kind("/etc/rancher"), "tmpfs");
        assert_eq!(mount_of(Utf8Path::new("/x"), ""), None);
    }

    #[test]
    fn log_input_is_found_as_a_default_and_as_a_tag() {
        assert!(keeps_input("Defaults log_output,log_input"));
        assert!(keeps_input("op ALL=(ALL) LOG_INPUT: ALL"));
        assert!(!keeps_input("# Defaults log_input"));
        assert!(!keeps_input("Defaults:op !log_input"));
    }
}
