//! Which K3s a fleet runs. Versions that were measured have a model: they differ in how a PUT fails. Older ones
//! have one by their source alone: they differ in what a GET of the token answers.

use serde::{Deserialize, Serialize};

/// A version with a model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Version {
    /// Not measured: the last of its minor version that has no `token rotate`, so that nobody serves `/v1-k3s/token` either. Else
    /// like the next one.
    V1_28_2,
    /// Not measured: by its source it answers a GET of `/v1-k3s/token` with an empty 400. Else like the next one.
    V1_28_8,
    /// Is torn by a new token of bootstrap shape.
    V1_32_4,
    /// Refuses such a token before it changes anything.
    #[default]
    V1_34_3,
}

impl Version {
    /// Every version and its name.
    pub const NAMES: [(Self, &'static str); 4] = [
        (Self::V1_34_3, "v1.34.3+k3s1"),
        (Self::V1_32_4, "v1.32.4+k3s1"),
        (Self::V1_28_8, "v1.28.8+k3s1"),
        (Self::V1_28_2, "v1.28.2+k3s1"),
    ];

    /// The version of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let found = Self::NAMES.iter().find(|(_, known)| *known == name);
        found.map(|(version, _)| *version)
    }

    /// Its name, as a node and `--version` tell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        let found = Self::NAMES.iter().find(|(version, _)| *version == self);
        found.map_or("", |(_, name)| name)
    }

    /// What `k3s --version` prints.
    #[must_use]
    pub fn banner(self) -> String {
        let commit = match self {
            Self::V1_28_2 => "6330a5b4",
            Self::V1_28_8 => "653dd61a",
            Self::V1_32_4 => "1d104e37",
            Self::V1_34_3 => "151ca514",
        };
        format!(
            "k3s version {} ({commit})\ngo version go1.26.8\n",
            self.name()
        )
    }

    /// Whether a variable `K3S_DATA_DIR` names its data directory.
    #[must_use]
    pub fn heeds_data_dir(self) -> bool {
        !matches!(self, Self::V1_28_2 | Self::V1_28_8)
    }

    /// Whether a PUT takes the new token as it stands, and writes files before it knows what it has.
    #[must_use]
    pub fn takes_any_shape(self) -> bool {
        matches!(self, Self::V1_28_2 | Self::V1_28_8 | Self::V1_32_4)
    }

    /// Whether its kubectl asks for a schema before it replaces anything raw, unless told not to (kubectl before 1.29).
    #[must_use]
    pub fn wants_schema(self) -> bool {
        matches!(self, Self::V1_28_2 | Self::V1_28_8)
    }

    /// Whether it serves `/v1-k3s/token` at all.
    #[must_use]
    pub fn can_rotate(self) -> bool {
        self != Self::V1_28_2
    }

    /// Whether `/v1-k3s/token` answers any method but PUT with 400 and no body, in place of 405.
    #[must_use]
    pub fn answers_empty_400(self) -> bool {
        self == Self::V1_28_8
    }
}
