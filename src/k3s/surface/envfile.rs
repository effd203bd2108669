//! Environment files as systemd reads them, with the exact bytes of each value.

use std::ops::Range;

use super::{EMPTY, Position, Quote, Slot};

/// One `KEY=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// The name.
    pub key: String,
    /// The value as a process sees it.
    pub value: String,
    /// Where the value begins.
    pub at: Position,
    slot: Result<Slot, &'static str>,
}

impl Variable {
    /// Where an edit writes, in the quotes that are there.
    ///
    /// # Errors
    /// With what the value is that it cannot be edited: "a value in several parts".
    pub fn slot(&self) -> Result<Slot, &'static str> {
        self.slot.clone()
    }
}

/// Reads all variables in order; the last of a name wins. Comments begin with `#` or `;`; a line ending in `\` goes on.
#[must_use]
pub fn variables(text: &str) -> Vec<Variable> {
    let mut reader = Reader {
        text,
        found: Vec::new(),
        unsure: false,
    };
    let mut at = 0;
    while let Some(next) = reader.line(at) {
        at = next;
    }
    reader.found
}

struct Reader<'a> {
    text: &'a str,
    found: Vec<Variable>,
    /// Whether the line before was a comment that ends in `\`: systemd before v254 takes this line for its second half.
    unsure: bool,
}

/// A value while it is read: what a process sees, where it began and ended, of what parts it is.
#[derive(Default)]
struct Value {
    text: String,
    range: Option<Range<usize>>,
    quotes: Vec<char>,
    plain: bool,
    escaped: bool,
    /// A quote that was never closed.
    open: bool,
}

/// systemd ends a line at either.
const NEWLINE: [char; 2] = ['\n', '\r'];
const BLANK: [char; 2] = [' ', '\t'];

impl Reader<'_> {
    /// Reads a line; where the next begins, or `None` at the end.
    fn line(&mut self, start: usize) -> Option<usize> {
        let rest = self.text.get(start..)?;
        let skipped = rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
        let start = start + skipped;
        let rest = rest.get(skipped..).filter(|rest| !rest.is_empty())?;
        let end = start + rest.find(NEWLINE).unwrap_or(rest.len());
        let line = self.text.get(start..end)?;
        if line.starts_with(['#', ';']) {
            self.unsure = line.ends_with('\\');
            return Some(end);
        }
        let unsure = std::mem::take(&mut self.unsure);
        let Some(equals) = line.find('=') else {
            return Some(end);
        };
        let (value, next) = self.value(start + equals + 1);
        let key = line.get(..equals)?.trim_end_matches(BLANK).to_owned();
        let begins = value
            .range
            .as_ref()
            .map_or(start + equals + 1, |range| range.start);
        self.found.push(Variable {
            key,
            at: Position::of_byte(self.text.as_bytes(), begins),
            slot: if unsure {
                Err("behind a comment that ends in `\\`, which not every systemd reads the same")
            } else {
                self.slot(&value)
            },
            value: value.text,
        });
        Some(next)
    }

    fn slot(&self, value: &Value) -> Result<Slot, &'static str> {
        let Some(range) = value.range.clone() else {
            return Err(EMPTY);
        };
        let written = self.text.get(range.clone()).unwrap_or_default();
        if value.open {
            return Err("a value whose closing quote is missing");
        }
        if written.contains(NEWLINE) {
            return Err("a value of several lines");
        }
        if value.text.trim() != value.text {
            return Err(super::BLANK_ENDS);
        }
        let quote = match (value.quotes.as_slice(), value.plain) {
            ([], true) if !value.escaped => Quote::Bare,
            (['\''], false) => Quote::EnvSingle,
            (['"'], false) => Quote::EnvDouble,
            _ => return Err("a value in several parts"),
        };
        Ok(Slot { range, quote })
    }

    /// Reads a value from behind its `=`; also where the next line begins.
    fn value(&self, from: usize) -> (Value, usize) {
        let mut value = Value::default();
        let mut rest = self.text.get(from..).unwrap_or_default();
        let place = |rest: &str| self.text.len() - rest.len();
        loop {
            let blank = rest.trim_start_matches(BLANK);
            let begin = place(blank);
            let Some(first) = blank.chars().next() else {
                return (value, self.text.len());
            };
            rest = match first {
                '\n' | '\r' => return (value, begin),
                '\'' | '"' => {
                    value.quotes.push(first);
                    value.quoted(blank.get(1..).unwrap_or_default(), first)
                }
                _ => {
                    value.plain = true;
                    value.plain(blank)
                }
            };
            let end = place(rest);
            let written = self.text.get(begin..end).unwrap_or_default();
            let trimmed = begin
                + if value.plain {
                    written.trim_end_matches(BLANK).len()
                } else {
                    written.len()
                };
            let start = value.range.as_ref().map_or(begin, |range| range.start);
            value.range = Some(start..trimmed);
            if value.plain {
                return (value, end);
            }
        }
    }
}

impl Value {
    /// Up to the end of the line; quotes inside say nothing.
    fn plain<'a>(&mut self, rest: &'a str) -> &'a str {
        let (mut escaped, kept) = (false, self.text.len());
        let mut end = rest.len();
        for (at, c) in rest.char_indices() {
            if escaped {
                escaped = false;
                if !NEWLINE.contains(&c) {
                    self.text.push(c);
                }
            } else if c == '\\' {
                (escaped, self.escaped) = (true, true);
            } else if NEWLINE.contains(&c) {
                end = at;
                break;
            } else {
                self.text.push(c);
            }
        }
        let trimmed = self.text.trim_end_matches(BLANK).len().max(kept);
        self.text.truncate(trimmed);
        rest.get(end..).unwrap_or_default()
    }

    /// Up to the closing mark.
    fn quoted<'a>(&mut self, rest: &'a str, mark: char) -> &'a str {
        let mut escaped = false;
        for (at, c) in rest.char_indices() {
            if escaped {
                escaped = false;
                if !"\"\\`$\n".contains(c) {
                    self.text.push('\\');
                }
                if c != '\n' {
                    self.text.push(c);
                }
            } else if c == '\\' && mark == '"' {
                escaped = true;
            } else if c == mark {
                return rest.get(at + 1..).unwrap_or_default();
            } else {
                self.text.push(c);
            }
        }
        self.open = true;
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_systemd_reads_them() {
        for (text, value, written) in [
            ("K3S_TOKEN=abc\n", "abc", "abc"),
            ("# c\n; d\n\nK3S_TOKEN='abc'\nX=1", "abc", "'abc'"),
            ("  K3S_TOKEN = \"a\\\"bc\"  \r\n", "a\"bc", "\"a\\\"bc\""),
            (
                "K3S_TOKEN=abc # no comment\n",
                "abc # no comment",
                "abc # no comment",
            ),
            ("K3S_TOKEN=abc   \n", "abc", "abc"),
            ("A='x\ny'\nK3S_TOKEN=abc", "abc", "abc"),
            ("A=1\rK3S_TOKEN=abc\r", "abc", "abc"),
            ("\u{feff}A=ü\nK3S_TOKEN='ä'\n", "ä", "'ä'"),
        ] {
            let read = variables(text);
            let token = read.iter().find(|v| v.key == "K3S_TOKEN").unwrap();
            let slot = token.slot().unwrap();
            assert_eq!(
                (token.value.as_str(), &text[slot.range]),
                (value, written),
                "{text:?}"
            );
        }
    }

    #[test]
    fn white_space_that_systemd_keeps_is_no_token_to_edit() {
        let read = variables("K3S_TOKEN=\u{b}a\n");
        let token = read.first().unwrap();
        assert_eq!(token.value, "\u{b}a");
        assert_eq!(token.slot().unwrap_err(), super::super::BLANK_ENDS);
    }

    #[test]
    fn a_value_that_cannot_be_edited_is_read_and_says_why() {
        for (text, value, why, at) in [
            (
                "K3S_TOKEN='abc'def\n",
                "abcdef",
                "a value in several parts",
                "1:11",
            ),
            (
                "K3S_TOKEN='abc' \"def\" # x\n",
                "abcdef# x",
                "a value in several parts",
                "1:11",
            ),
            (
                "K3S_TOKEN=a\\bc\n",
                "abc",
                "a value in several parts",
                "1:11",
            ),
            (
                "A=1\nK3S_TOKEN= \\\nabc\n",
                "abc",
                "a value of several lines",
                "2:12",
            ),
            (
                "K3S_TOKEN='a\nb'\n",
                "a\nb",
                "a value of several lines",
                "1:11",
            ),
            (
                "K3S_TOKEN=\"abc\nB=1\n",
                "abc\nB=1\n",
                "a value whose closing quote is missing",
                "1:11",
            ),
            ("K3S_TOKEN=\n", "", "empty", "1:11"),
            (
                "# x \\\nK3S_TOKEN=abc\n",
                "abc",
                "behind a comment that ends in `\\`, which not every systemd reads the same",
                "2:11",
            ),
        ] {
            let read = variables(text);
            let token = read.iter().find(|v| v.key == "K3S_TOKEN").unwrap();
            assert_eq!(
                (
                    token.value.as_str(),
                    token.slot(),
                    token.at.to_string().as_str()
                ),
                (value, Err(why), at),
                "{text:?}"
            );
        }
    }
}
