//! Text with positions: where a mistake is, and all mistakes of a file at once.

pub use miette::SourceSpan;

/// A text and the name people know it by.
pub type SourceText = std::sync::Arc<miette::NamedSource<String>>;

/// A value and where it stands in its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Byte offset and length in the text that it was read from.
    pub at: SourceSpan,
}

impl<T> Spanned<T> {
    /// Pairs a value with its place.
    pub fn new(value: T, at: impl Into<SourceSpan>) -> Self {
        Self {
            value,
            at: at.into(),
        }
    }
}
