//! Versions of K3s: which can rotate, and which were measured.

use std::fmt;

/// `v1.34.3+k3s1` without the build part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// 1
    pub major: u32,
    /// 34
    pub minor: u32,
    /// 3
    pub patch: u32,
}

impl Version {
    /// Reads `k3s --version`, or a bare `v1.34.3+k3s1`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let word = text
            .split_whitespace()
            .find(|word| word.starts_with('v') && word.contains('.'))?;
        let core = word.trim_start_matches('v').split(['+', '-']).next()?;
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
        })
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
}
