//! What lies around K3s on a host: file systems that forget, sudo that keeps what it hears, owners that write over, and
//! who restarts the host by himself.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};

use super::{durable, sudo};
use crate::facts::{
    ActiveUnits, Contents, Fact, LoginUser, Paths, Probe, RealPath, SudoUid, Survey, Tried,
};
use crate::k3s::install::{Known, Wanted};
use crate::steps::StepError;
use crate::steps::findings::Finding;
use crate::steps::look::Seen;

const MOUNTS: &str = "/proc/self/mounts";
const BOOT: &str = "/proc/cmdline";
const LOGIN: &str = "/proc/self/loginuid";
const UPGRADES: &str = "/etc/apt/apt.conf.d/20auto-upgrades";

/// What wants a reboot leaves one of these.
const REBOOTS: [&str; 2] = ["/run/reboot-required", "/var/run/reboot-required"];

/// Units by which a host upgrades or restarts itself: those of Flatcar, Fedora `CoreOS`, `MicroOS`, RHEL and Fedora.
const UPGRADERS: [&str; 8] = [
    "update-engine.service",
    "locksmithd.service",
    "zincati.service",
    "transactional-update.timer",
    "rebootmgr.service",
    "dnf-automatic.timer",
    "dnf-automatic-install.timer",
    "dnf5-automatic.timer",
];

/// Agents of configuration managers by a file that each has.
const MANAGERS: [(&str, &str); 5] = [
    ("/etc/puppetlabs/puppet/puppet.conf", "Puppet"),
    ("/etc/puppet/puppet.conf", "Puppet"),
    ("/etc/chef/client.rb", "Chef"),
    ("/etc/salt/minion", "Salt"),
    ("/var/cfengine/inputs/promises.cf", "CFEngine"),
];

/// What is asked of the surroundings.
pub(super) type Asked = (
    Contents,
    Paths,
    Tried<ActiveUnits>,
    (Vec<Tried<RealPath>>, Tried<SudoUid>),
);

/// What to ask.
pub(super) fn asked(seen: &Seen) -> Asked {
    let real = durable::folders(seen).map(|folder| Tried(RealPath(folder)));
    (
        Contents(wanted()),
        Paths(stats()),
        Tried(ActiveUnits(&UPGRADERS)),
        (real.collect(), Tried(SudoUid)),
    )
}

/// What stands in the way on the task's own host, and what may.
pub(super) async fn judge(
    probe: &Probe<'_>,
    seen: &Seen,
    (known, _, _, (real, sudo)): &<Asked as Fact>::Value,
) -> Result<Vec<Finding>, StepError> {
    let (table, boot) = (text(known, MOUNTS), text(known, BOOT));
    let mut mounts = durable::Mounts {
        table: &table,
        boot: &boot,
        uppers: BTreeSet::new(),
    };
    let uppers = mounts.uppers_in_memory();
    if !uppers.is_empty() {
        let there = probe.get(Paths(uppers)).await?.into_iter();
        mounts.uppers = there
            .filter_map(|(path, stat)| stat.map(|_| path))
            .collect();
    }
    // What cannot be followed stands for itself.
    let real = durable::folders(seen).zip(real);
    let real = real.filter_map(|(folder, real)| Some((folder, real.clone().ok()?)));
    let real: Vec<_> = real.collect();
    let undurable = durable::undurable(seen, &real, &mounts);
    let mut found: Vec<Finding> = undurable.into_iter().map(Finding::of_unmet).collect();
    // A kernel without audit knows of no login; sudo itself does.
    let login = text(known, LOGIN).trim().parse().ok();
    let login = login.filter(|uid| *uid != u32::MAX);
    let login = login.or(sudo.as_ref().ok().copied().flatten());
    if let Some(uid) = login.filter(|uid| *uid != 0) {
        found.extend(eavesdropper(probe, seen, known, uid).await?);
    }
    Ok(found)
}

/// What may come in between, and who may write the old token back.
pub(super) fn findings(
    seen: &Seen,
    (known, paths, units, _): &<Asked as Fact>::Value,
) -> Vec<Finding> {
    let host = &seen.host;
    let there = |path: &str| matches!(paths.get(Utf8Path::new(path)), Some(Some(_)));
    let waits = REBOOTS.iter().any(|path| there(path));
    let waits = waits.then(|| Finding::of("reboot-pending", format!("{host} waits for a reboot")));
    let mut managers = MANAGERS.to_vec();
    managers.retain(|(path, _)| there(path));
    managers.dedup_by_key(|(_, name)| *name);
    let managers = managers.into_iter().map(|(path, name)| {
        let what = format!("{path} is there on {host}, so {name} may run on it");
        Finding::of("configuration-manager", what)
    });
    let upgrades = upgrades(host.as_str(), known, units.as_deref().unwrap_or_default());
    waits.into_iter().chain(upgrades).chain(managers).collect()
}

/// Debian's timers run on every host of that kind: there its settings say whether they do anything.
fn upgrades(host: &str, known: &Known, active: &[&str]) -> Option<Finding> {
    let debian = text(known, UPGRADES);
    let mut debian = debian.lines();
    let debian = debian.any(|line| line.contains("Unattended-Upgrade") && line.contains("\"1\""));
    let mut who: Vec<&str> = active.to_vec();
    let mut stop = who.clone();
    if debian {
        who.push("unattended-upgrades");
        stop.extend(["apt-daily-upgrade.timer", "unattended-upgrades"]);
    }
    let (who, stop) = (who.join(", "), stop.join(" "));
    let what = format!("{host} upgrades itself ({who}), which may restart it");
    let next = format!("stop it on {host} for the rotation: systemctl stop {stop}");
    (!who.is_empty()).then(|| Finding::of("upgrades-itself", what).next(next))
}

fn wanted() -> Wanted {
    let files = [MOUNTS, BOOT, LOGIN, sudo::SUDOERS, UPGRADES];
    Wanted {
        files: files.map(Utf8PathBuf::from).into_iter().collect(),
        folders: [Utf8PathBuf::from(sudo::MORE)].into_iter().collect(),
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

/// A login as root needs no sudo.
async fn eavesdropper(
    probe: &Probe<'_>,
    seen: &Seen,
    known: &Known,
    uid: u32,
) -> Result<Option<Finding>, StepError> {
    let folder = Utf8Path::new(sudo::MORE);
    let names = known.folders.get(folder).cloned().unwrap_or_default();
    let names = names.iter().filter(|name| sudo::counts(name));
    // What is no file has no content, and sudo passes it over as well.
    let more = Survey {
        paths: names.map(|name| folder.join(name)).collect(),
        folders: Vec::new(),
    };
    let paths = more.paths.clone();
    let (login, more) = probe.get((LoginUser(uid), more)).await?;
    let file = |path: &Utf8PathBuf| {
        let file = more.known.files.get(path)?.as_ref()?;
        Some((path.clone(), file.text().into_owned()))
    };
    let more: Vec<sudo::File> = paths.iter().filter_map(file).collect();
    let main = (sudo::SUDOERS.into(), text(known, sudo::SUDOERS));
    Ok(sudo::judge(seen.host.as_str(), &main, &more, &login))
}
