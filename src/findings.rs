//! What can be wrong with tokens, hosts, fleets and playbooks: one catalogue of stable names, each with what it means,
//! why it matters and what to do. Whoever reports one of them takes its name from here.

mod before;
mod fleet;
mod host;
mod log;
mod others;
mod place;
mod playbook;
mod proof;
mod rotation;
mod steps;
mod token;

/// Whether a finding stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// keyroll does not go on with it.
    Refuse,
    /// Worth a look; it stops nothing and changes no exit number.
    Warn,
}

impl Weight {
    /// As screens say it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Warn => "warn",
        }
    }
}

/// One thing that can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Stable: scripts may rely on it.
    pub name: &'static str,
    /// Whether it stands in the way.
    pub weight: Weight,
    /// What it is, a sentence.
    pub what: &'static str,
    /// Why it matters.
    pub why: &'static str,
    /// What to do.
    pub next: &'static str,
}

const fn refuse(
    name: &'static str,
    what: &'static str,
    why: &'static str,
    next: &'static str,
) -> Entry {
    of(Weight::Refuse, name, what, why, next)
}

const fn warn(
    name: &'static str,
    what: &'static str,
    why: &'static str,
    next: &'static str,
) -> Entry {
    of(Weight::Warn, name, what, why, next)
}

const fn of(
    weight: Weight,
    name: &'static str,
    what: &'static str,
    why: &'static str,
    next: &'static str,
) -> Entry {
    Entry {
        name,
        weight,
        what,
        why,
        next,
    }
}

/// All entries, by area.
pub fn all() -> impl Iterator<Item = &'static Entry> {
    [
        token::ENTRIES,
        host::ENTRIES,
        place::ENTRIES,
        fleet::ENTRIES,
        before::ENTRIES,
        others::ENTRIES,
        log::ENTRIES,
        playbook::ENTRIES,
        rotation::ENTRIES,
        proof::ENTRIES,
        steps::ENTRIES,
    ]
    .into_iter()
    .flatten()
}

/// The entry of this name.
#[must_use]
pub fn entry(name: &str) -> Option<&'static Entry> {
    all().find(|entry| entry.name == name)
}

/// What a name weighs; one that is not in the catalogue stands in the way.
#[must_use]
pub fn weight(name: &str) -> Weight {
    entry(name).map_or(Weight::Refuse, |entry| entry.weight)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_every_entry_says_all_three_things() {
        let names: BTreeSet<&str> = all().map(|entry| entry.name).collect();
        assert_eq!(names.len(), all().count());
        assert!(names.len() > 60, "{} entries", names.len());
        for entry in all() {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(entry.name.chars().all(plain), "{}", entry.name);
            for text in [entry.what, entry.why, entry.next] {
                let ends = text.ends_with(['.', '\n']);
                assert!(text.len() > 9 && !ends, "{}: {text}", entry.name);
            }
        }
    }
}
