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
