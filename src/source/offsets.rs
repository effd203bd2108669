//! Character indices become byte offsets, which everything else counts in.

/// Turns the parser's character indices into byte offsets.
pub(super) struct Offsets {
    /// Byte offset of each character, and the length; empty when each character is one byte.
    table: Vec<usize>,
    length: usize,
}

impl Offsets {
    /// Of this text.
    pub(super) fn of(text: &str) -> Self {
        let table = if text.is_ascii() {
            Vec::new()
        } else {
            text.char_indices().map(|(at, _)| at).collect()
        };
        Self {
            table,
            length: text.len(),
        }
    }

    /// The byte at which the character of this index begins.
    pub(super) fn byte(&self, index: usize) -> usize {
        if self.table.is_empty() {
            return index.min(self.length);
        }
        self.table.get(index).copied().unwrap_or(self.length)
    }
}
