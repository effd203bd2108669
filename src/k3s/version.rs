//! Versions of K3s: which can rotate, and which were measured.

use std::fmt;

/// `v1.34.3+k3s1`. Shown without the build, see [`Version::whole`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// 1
    pub major: u32,
    /// 34
    pub minor: u32,
    /// 3
    pub patch: u32,
    /// 1: another build of the same version is another program. 0 when it has none.
    pub build: u32,
}

impl Version {
    /// Reads `k3s --version`, or a bare `v1.34.3+k3s1`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let word = text
            .split_whitespace()
            .find(|word| word.starts_with('v') && word.contains('.'))?;
        let core = word.trim_start_matches('v').split(['+', '-']).next()?;
        let build = word.split_once("+k3s").map_or("", |(_, build)| build);
        let build = build.split(|c: char| !c.is_ascii_digit()).next()?;
        let mut parts = core.split('.').map(str::parse);
        let (major, minor, patch) = (
            parts.next()?.ok()?,
            parts.next()?.ok()?,
            parts.next()?.ok()?,
        );
        Some(Self {
            major,
            minor,
            patch,
            build: build.parse().unwrap_or(0),
        })
    }

    /// With its build: `v1.34.3+k3s1`.
    #[must_use]
    pub fn whole(self) -> String {
        match self.build {
            0 => self.to_string(),
            build => format!("{self}+k3s{build}"),
        }
    }

    /// Whether it has `token rotate`: v1.25.15, v1.26.10, v1.27.7, v1.28.3 and later (release notes).
    #[must_use]
    pub fn can_rotate(self) -> bool {
        let first = match self.minor {
            ..=24 => return false,
            25 => 15,
            26 => 10,
            27 => 7,
            28 => 3,
            29.. => 0,
        };
        self.major == 1 && self.patch >= first
    }

    /// The flag of `etcd-snapshot` that names the server to ask; `None` while the command takes the snapshot itself. It
    /// was renamed since joined servers have a `server:` in their config file, which the command reads too (k3s: #10514).
    #[must_use]
    pub fn snapshot_flag(self) -> Option<&'static str> {
        let (first, renamed) = match self.minor {
            ..=26 => return None,
            27 => (14, 16),
            28 => (10, 12),
            29 => (5, 7),
            30 => (1, 3),
            31.. => (0, 0),
        };
        let flag = if self.patch >= renamed {
            "--etcd-server"
        } else {
            "--server"
        };
        (self.patch >= first).then_some(flag)
    }

    /// Whether a variable `K3S_DATA_DIR` names its data directory: v1.27.16, v1.28.12, v1.29.7, v1.30.3 and later
    /// (release notes; k3s: #10591, #10596 to #10599). Those before pass over it.
    #[must_use]
    pub fn heeds_data_dir(self) -> bool {
        let first = match self.minor {
            ..=26 => return false,
            27 => 16,
            28 => 12,
            29 => 7,
            30 => 3,
            31.. => 0,
        };
        self.major == 1 && self.patch >= first
    }

    /// Whether a rotation was measured on some patch of the same minor version.
    #[must_use]
    pub fn is_near_a_measured_one(self) -> bool {
        matches!((self.major, self.minor), (1, 34 | 32))
    }

    /// Whether a rotation was measured on this version.
    #[must_use]
    pub fn was_measured(self) -> bool {
        matches!(
            (self.major, self.minor, self.patch),
            (1, 34, 3) | (1, 32, 4)
        )
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_notes_gate_is_kept() {
        for (text, can) in [
            (
                "k3s version v1.34.3+k3s1 (151ca514)\ngo version go1.26.8",
                true,
            ),
            ("v1.28.2+k3s1", false),
            ("v1.28.3+k3s1", true),
            ("v1.27.6+k3s1", false),
            ("v1.26.10+k3s1", true),
            ("v1.25.14+k3s1", false),
            ("v1.24.17+k3s1", false),
            ("v1.29.0-rc1+k3s1", true),
        ] {
            assert_eq!(Version::parse(text).unwrap().can_rotate(), can, "{text}");
        }
        assert_eq!(Version::parse("no version here"), None);
    }

    #[test]
    fn another_build_is_another_version() {
        let version = |text| Version::parse(text).unwrap();
        let first = version("k3s version v1.34.3+k3s1 (151ca514)\ngo version go1.26.8");
        assert_eq!(first, version("v1.34.3+k3s1"));
        assert_ne!(first, version("v1.34.3+k3s2"));
        assert_eq!(
            (first.to_string(), first.whole()),
            ("v1.34.3".to_owned(), "v1.34.3+k3s1".to_owned())
        );
        assert_eq!(version("v1.34.3+k3s-ca4fd1c7").whole(), "v1.34.3");
        assert_eq!(version("v1.29.0-rc1+k3s2").whole(), "v1.29.0+k3s2");
    }

    #[test]
    fn the_variable_for_the_data_directory_counts_from_a_patch_of_each_minor_on() {
        for (text, heeds) in [
            ("v1.26.15+k3s1", false),
            ("v1.27.15+k3s2", false),
            ("v1.27.16+k3s1", true),
            ("v1.28.11+k3s2", false),
            ("v1.28.12+k3s1", true),
            ("v1.29.6+k3s2", false),
            ("v1.29.7+k3s1", true),
            ("v1.30.2+k3s2", false),
            ("v1.30.3+k3s1", true),
            ("v1.31.0+k3s1", true),
            ("v1.34.3+k3s1", true),
        ] {
            let version = Version::parse(text).unwrap();
            assert_eq!(version.heeds_data_dir(), heeds, "{text}");
        }
    }

    #[test]
    fn a_snapshot_names_its_server_as_the_version_has_it() {
        for (text, flag) in [
            ("v1.26.15+k3s1", None),
            ("v1.28.9+k3s1", None),
            ("v1.28.10+k3s1", Some("--server")),
            ("v1.30.2+k3s1", Some("--server")),
            ("v1.30.3+k3s1", Some("--etcd-server")),
            ("v1.31.0+k3s1", Some("--etcd-server")),
            ("v1.34.3+k3s1", Some("--etcd-server")),
        ] {
            assert_eq!(
                Version::parse(text).unwrap().snapshot_flag(),
                flag,
                "{text}"
            );
        }
    }
}
