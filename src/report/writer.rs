//! The one way to a terminal: results to stdout, talk to stderr, control characters made visible.

use std::io::{self, Write};

/// Two streams.
pub struct Writer {
    out: Box<dyn Write + Send>,
    talk: Box<dyn Write + Send>,
}

impl Writer {
    /// Writes to these streams.
    #[must_use]
    pub fn new(out: Box<dyn Write + Send>, talk: Box<dyn Write + Send>) -> Self {
        Self { out, talk }
    }

    /// Writes to the process's own streams.
    #[must_use]
    pub fn standard() -> Self {
        Self::new(Box::new(io::stdout()), Box::new(io::stderr()))
    }

    /// A line of the result.
    ///
    /// # Errors
    /// When stdout is gone.
    pub fn result(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.out, "{}", visible(line))
    }

    /// A line beside the result.
    ///
    /// # Errors
    /// When stderr is gone.
    pub fn talk(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.talk, "{}", visible(line))
    }

    /// A text of several lines beside the result, as it is.
    ///
    /// # Errors
    /// When stderr is gone.
    pub fn talk_text(&mut self, text: &str) -> io::Result<()> {
        self.talk.write_all(text.as_bytes())
    }

    /// A text as it is, without a line end added.
    ///
    /// # Errors
    /// When stdout is gone.
    pub fn raw(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())
    }

    /// A whole text of the result as it is, written to its end.
    ///
    /// # Errors
    /// When stdout is gone or full.
    pub fn page(&mut self, text: &str) -> io::Result<()> {
        self.raw(text)?;
        self.out.flush()
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()?;
        self.talk.flush()
    }
}

/// A host's words must not move the cursor: all but our own colours and tabs is shown as U+FFFD.
fn visible(line: &str) -> String {
    let own = |rest: &str| {
        let Some((codes, _)) = rest.strip_prefix('[').and_then(|rest| rest.split_once('m')) else {
            return false;
        };
        codes.chars().all(|c| c.is_ascii_digit() || c == ';')
    };
    let shown = |(at, c): (usize, char)| {
        let rest = line.get(at + c.len_utf8()..).unwrap_or_default();
        let fine = !c.is_control() || c == '\t' || c == '\u{1b}' && own(rest);
        if fine { c } else { '\u{fffd}' }
    };
    line.char_indices().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::visible;

    #[test]
    fn a_hosts_words_cannot_move_the_cursor() {
        assert_eq!(
            visible("a\u{1b}[2Jb\r\u{7}"),
            "a\u{fffd}[2Jb\u{fffd}\u{fffd}"
        );
        assert_eq!(
            visible("\u{1b}[31;1mred\u{1b}[0m\té"),
            "\u{1b}[31;1mred\u{1b}[0m\té"
        );
    }
}
