//! Files that hold a token and would not keep what is written: gone, or written over, after the next boot.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};

use crate::k3s::install::owner;
use crate::k3s::surface::Surface;
use crate::steps::Unmet;
use crate::steps::look::Seen;

/// What is mounted, and what the kernel was started with.
pub(super) struct Mounts<'a> {
    /// As in `/proc/self/mounts`.
    pub(super) table: &'a str,
    /// As in `/proc/cmdline`.
    pub(super) boot: &'a str,
    /// Which of [`Mounts::uppers_in_memory`] are there: a container's overlay names a folder of the machine that it runs on.
    pub(super) uppers: BTreeSet<Utf8PathBuf>,
}

/// A file system that is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mount<'a> {
    at: &'a str,
    kind: &'a str,
    options: &'a str,
}

/// Folders that hold a file with the token.
pub(super) fn folders(seen: &Seen) -> impl Iterator<Item = Utf8PathBuf> {
    let folders = surfaces(seen).filter_map(|surface| surface.file.parent());
    let folders: BTreeSet<&Utf8Path> = folders.collect();
    folders.into_iter().map(Utf8Path::to_owned)
}

/// What somebody else owns is said already.
fn surfaces(seen: &Seen) -> impl Iterator<Item = &Surface> {
    let surfaces = seen.install.surfaces.iter();
    surfaces.filter(|surface| owner(&surface.file).is_none())
}

/// Surfaces that would not last; `real` are their folders with every link followed.
pub(super) fn undurable(
    seen: &Seen,
    real: &[(Utf8PathBuf, Utf8PathBuf)],
    mounts: &Mounts<'_>,
) -> Vec<Unmet> {
    let mut unmet = Vec::new();
    for surface in surfaces(seen) {
        let (host, file) = (&seen.host, &surface.file);
        let led = real.iter().find_map(|(folder, real)| {
            let name = file.strip_prefix(folder).ok()?;
            Some(real.join(name)).filter(|_| file.parent() == Some(folder))
        });
        let Some((why, next)) = mounts.against(led.as_deref().unwrap_or(file)) else {
            continue;
        };
        let led = led.filter(|led| led != file);
        let led = led.map_or_else(String::new, |led| format!(" (that is {led})"));
        unmet.push(Unmet::new(
            "surface-not-durable",
            format!("{file}{led} on {host}, which holds the token, {why}"),
            next,
        ));
    }
    unmet
}

const FORGETS: (&str, &str) = (
    "lies in memory and is gone after the next boot",
    "find what writes it at boot, and let it name a file that stays",
);

const OVERLAID: (&str, &str) = (
    "lies on an overlay that is kept in memory: what is written there is gone after the next boot",
    "turn the overlay off for the rotation (overlayroot, or `raspi-config` under Performance Options), or set the token in the layer below",
);

const READ_ONLY: (&str, &str) = (
    "lies on a file system that is mounted read-only",
    "mount it writable for the rotation, or set the token where the image is made",
);

impl<'a> Mounts<'a> {
    /// Why a file would not last there, and what to do.
    fn against(&self, file: &Utf8Path) -> Option<(&'static str, &'static str)> {
        let mount = self.of(file)?;
        if mount.is_memory() {
            Some(FORGETS)
        } else if mount.has("ro") {
            Some(READ_ONLY)
        } else if mount.is_overlay() && self.is_kept_in_memory(mount) {
            Some(OVERLAID)
        } else {
            None
        }
    }

    /// Folders that overlays write to and that seem to lie in memory, by their names.
    pub(super) fn uppers_in_memory(&self) -> BTreeSet<Utf8PathBuf> {
        let overlays = self.all().filter(Mount::is_overlay);
        let uppers = overlays.filter_map(|overlay| overlay.upper());
        let is_memory = |upper: &&str| {
            self.of(Utf8Path::new(upper))
                .is_some_and(|it| it.is_memory())
        };
        uppers.filter(is_memory).map(Utf8PathBuf::from).collect()
    }

    fn all(&self) -> impl Iterator<Item = Mount<'a>> + use<'a> {
        self.table.lines().filter_map(|line| {
            let mut words = line.split(' ').skip(1);
            Some(Mount {
                at: words.next()?,
                kind: words.next()?,
                options: words.next()?,
            })
        })
    }

    /// The mount that holds a path.
    fn of(&self, path: &Utf8Path) -> Option<Mount<'a>> {
        // Of two mounts at one place the later is the one that is seen.
        self.all()
            .filter(|mount| path.starts_with(mount.at))
            .max_by_key(|mount| mount.at.len())
    }

    /// The layer that is written to counts. One that was mounted before the root was changed is not seen: then what the
    /// kernel was told at boot counts.
    fn is_kept_in_memory(&self, overlay: Mount<'a>) -> bool {
        let upper = overlay.upper();
        if upper.is_some_and(|upper| self.uppers.contains(Utf8Path::new(upper))) {
            return true;
        }
        let below = upper.and_then(|upper| self.of(Utf8Path::new(upper)));
        let is_seen = below.is_some_and(|below| !below.is_overlay() && !below.is_memory());
        !is_seen && overlay.at == "/" && self.boots_into_memory()
    }

    fn boots_into_memory(&self) -> bool {
        let mut words = self.boot.split_whitespace();
        words.any(|word| word == "boot=overlay" || word.starts_with("overlayroot=tmpfs"))
    }
}

impl<'a> Mount<'a> {
    /// The folder that an overlay writes to.
    fn upper(&self) -> Option<&'a str> {
        let mut options = self.options.split(',');
        options.find_map(|option| option.strip_prefix("upperdir="))
    }

    fn is_memory(&self) -> bool {
        matches!(self.kind, "tmpfs" | "ramfs")
    }

    fn is_overlay(&self) -> bool {
        matches!(self.kind, "overlay" | "overlayfs" | "aufs")
    }

    fn has(&self, wanted: &str) -> bool {
        self.options.split(',').any(|option| option == wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(table: &str, boot: &str, file: &str) -> Option<&'static str> {
        let mut mounts = Mounts {
            table,
            boot,
            uppers: BTreeSet::new(),
        };
        mounts.uppers = mounts.uppers_in_memory();
        let why = mounts.against(Utf8Path::new(file));
        why.map(|(why, _)| why)
    }

    #[test]
    fn the_innermost_and_latest_mount_holds_a_path() {
        let table = "/dev/sda / ext4 rw 0 0\ntmpfs /run tmpfs rw,nosuid 0 0\n/dev/sdb /etc ext4 ro 0 0\ntmpfs /etc tmpfs rw 0 0\n";
        let uppers = BTreeSet::new();
        let mounts = Mounts {
            table,
            boot: "",
            uppers,
        };
        let kind = |path: &str| mounts.of(Utf8Path::new(path)).unwrap().kind;
        assert_eq!(kind("/run/k3s/token"), "tmpfs");
        assert_eq!(kind("/runner/token"), "ext4");
        assert_eq!(kind("/etc/rancher"), "tmpfs");
        assert_eq!(why("", "", "/x"), None);
    }

    #[test]
    fn of_an_overlay_the_layer_that_is_written_to_counts() {
        let overlay = "overlay / overlay rw,lowerdir=/media/root-ro,upperdir=/media/root-rw/overlay,workdir=/media/root-rw/w 0 0\n";
        let with = |kind: &str| format!("{overlay}/dev/x /media/root-rw {kind} rw 0 0\n");
        assert_eq!(why(&with("tmpfs"), "", "/etc/a"), Some(OVERLAID.0));
        assert_eq!(why(&with("ext4"), "", "/etc/a"), None);
        // A layer from before the root was changed, as with raspi-config, or in a container.
        assert_eq!(
            why(overlay, "quiet boot=overlay", "/etc/a"),
            Some(OVERLAID.0)
        );
        assert_eq!(
            why(overlay, "overlayroot=tmpfs:recurse=0", "/etc/a"),
            Some(OVERLAID.0)
        );
        assert_eq!(why(overlay, "quiet", "/etc/a"), None);
        // In a container the folder is one of the machine around it, and its name means something else here.
        let around = "overlay / overlay rw,lowerdir=/x,upperdir=/tmp/run/upper 0 0\ntmpfs /tmp tmpfs rw 0 0\n";
        let mut mounts = Mounts {
            table: around,
            boot: "quiet",
            uppers: BTreeSet::new(),
        };
        assert_eq!(mounts.against(Utf8Path::new("/etc/a")), None);
        mounts.uppers = mounts.uppers_in_memory();
        assert_eq!(mounts.uppers.len(), 1);
        assert!(mounts.against(Utf8Path::new("/etc/a")).is_some());
        let disk = format!("{overlay}/dev/sda1 /data ext4 rw 0 0\n");
        assert_eq!(why(&disk, "boot=overlay", "/data/a"), None);
    }
}
