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
pub(super) const REFUSALS: &[Refusal] = &[Refusal {
    way: super::ONE_IS_DOWN,
    at: &[Stage::Flipping],
    name: "token-not-certain",
    on: "three etcd servers",
    why: "the datastore has said that it has not taken the token of the rotate by hand, and two others are on the servers: \
              the token is asked for, with --token-from",
}];

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
