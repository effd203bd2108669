//! Mistakes in a `sim:` string, with a caret and what there is.

use miette::{Diagnostic, SourceSpan};

/// A mistake in a `sim:` string.
#[derive(Debug, Clone, thiserror::Error, Diagnostic, PartialEq, Eq)]
#[error("{what}")]
#[diagnostic(code(sim::spec))]
pub struct SpecError {
    /// What is wrong.
    pub what: String,
    /// What there is instead.
    #[help]
    pub help: String,
    /// The string.
    #[source_code]
    pub text: String,
    /// Where in it.
    #[label("here")]
    pub at: SourceSpan,
}

impl SpecError {
    /// The string, and marks under the part that is wrong.
    #[must_use]
    pub fn pointed(&self) -> String {
        let count = |part: Option<&str>| part.map_or(0, |part| part.chars().count());
        let (from, to) = (self.at.offset(), self.at.offset() + self.at.len());
        let before = " ".repeat(count(self.text.get(..from)));
        let marks = "^".repeat(count(self.text.get(from..to)).max(1));
        format!("  {}\n  {before}{marks}", self.text)
    }
}
