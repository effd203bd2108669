//! Where a rotation is refused for good after something came between, since a person has to decide.

use std::collections::BTreeSet;

use super::stage::Stage;

/// A refusal that is right.
pub(super) struct Refusal {
    /// What came between.
    pub(super) way: &'static str,
    /// At what.
    pub(super) at: &'static [Stage],
    /// The name of the finding.
    pub(super) name: &'static str,
    /// A kind of cluster where it is seen.
    pub(super) on: &'static str,
    /// Why nobody but a person can go on.
    pub(super) why: &'static str,
}

/// Every one.
pub(super) const REFUSALS: &[Refusal] = &[
    Refusal {
        way: "rotated by hand",
        at: &[Stage::Flipping],
        name: "two-rotations",
        on: "three etcd servers",
        why: TWO,
    },
    Refusal {
        way: super::ONE_IS_DOWN,
        at: &[Stage::Flipping],
        name: "two-rotations",
        on: "three etcd servers",
        why: TWO,
    },
    Refusal {
        way: super::ONE_IS_DOWN,
        at: &[Stage::Flipping],
        name: "own-copy-behind",
        on: "nothing configured",
        why: "a server was down at the very moment of a rotate, is started with its token, and reads its own copy of before: whom it is \
              to ask is the operator's to say",
    },
    Refusal {
        way: super::ONE_IS_DOWN,
        at: &[Stage::Flipping],
        name: "token-not-certain",
        on: "three etcd servers",
        why: "the datastore has said that it has not taken the token of the rotate by hand, and two others are on the servers: \
              the token is asked for, with --token-from",
    },
];

const TWO: &str = "the files of two servers tell of a rotate each, to different tokens; a rotate that fails half way leaves such files, \
     too, and the datastore cannot be asked which of the two it has taken: who rotated by hand knows how that ended";

/// Those of `names` that no refusal of this way and stage allows.
pub(super) fn unforeseen(way: &str, at: Stage, names: &BTreeSet<String>) -> Vec<String> {
    let is_foreseen = |name: &&String| {
        let mut all = REFUSALS.iter();
        all.any(|it| it.way == way && it.at.contains(&at) && it.name == **name)
    };
    names
        .iter()
        .filter(|it| !is_foreseen(it))
        .cloned()
        .collect()
}

/// Why a person must decide there.
pub(super) fn why(way: &str, name: &str) -> Option<&'static str> {
    let found = REFUSALS
        .iter()
        .find(|it| it.way == way && it.name == name)?;
    Some(found.why)
}
