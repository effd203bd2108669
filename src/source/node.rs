//! A YAML value with its place.

use std::sync::Arc;

use super::{Scalar, SourceSpan};

/// A value and where it stands. What stands behind an alias has the place of its anchor.
#[derive(Debug)]
pub struct Node {
    /// Place in the text; of a list or map only its first line.
    pub at: SourceSpan,
    /// The value.
    pub kind: Kind,
    /// How many values it holds when aliases are written out.
    pub(super) weight: u64,
}

/// What a value is.
#[derive(Debug)]
pub enum Kind {
    /// A text, number, boolean or null.
    Scalar(Scalar),
    /// A list.
    List(Vec<Arc<Node>>),
    /// A map in the order of the text; no key stands twice.
    Map(Vec<Entry>),
}

/// One entry of a map.
#[derive(Debug)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Place of the key.
    pub at: SourceSpan,
    /// The value.
    pub value: Arc<Node>,
}

impl Node {
    /// A value that stands for something written otherwise at this place.
    #[must_use]
    pub fn new(at: SourceSpan, kind: Kind) -> Self {
        Self {
            at,
            kind,
            weight: 1,
        }
    }

    /// Its text, when it is a scalar that is not null.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar(scalar) if !scalar.is_null() => Some(&scalar.text),
            _ => None,
        }
    }

    /// Whether it is null or nothing at all.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar(scalar) if scalar.is_null())
    }

    /// Its entries, when it is a map.
    #[must_use]
    pub fn entries(&self) -> Option<&[Entry]> {
        match &self.kind {
            Kind::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// Its items, when it is a list.
    #[must_use]
    pub fn items(&self) -> Option<&[Arc<Node>]> {
        match &self.kind {
            Kind::List(items) => Some(items),
            _ => None,
        }
    }

    /// The value of a key, when it is a map that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Arc<Node>> {
        let entry = self.entries()?.iter().find(|entry| entry.key == key)?;
        Some(&entry.value)
    }

    /// What it is, for "found …".
    #[must_use]
    pub fn noun(&self) -> &'static str {
        match &self.kind {
            Kind::Scalar(scalar) => scalar.noun(),
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
        }
    }

    /// Visits every scalar in it, depth first.
    pub fn scalars<'a>(&'a self, visit: &mut dyn FnMut(&'a Self, &'a Scalar)) {
        match &self.kind {
            Kind::Scalar(scalar) => visit(self, scalar),
            Kind::List(items) => items.iter().for_each(|item| item.scalars(visit)),
            Kind::Map(entries) => entries.iter().for_each(|entry| entry.value.scalars(visit)),
        }
    }
}
