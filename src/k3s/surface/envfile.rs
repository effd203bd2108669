//! Environment files as systemd reads them, with the exact bytes of each value.

use std::ops::Range;

use super::Slot;

/// One `KEY=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// The name.
    pub key: String,
    /// The value as a process sees it.
    pub value: String,
    /// Bytes of the value as written, quotes included.
    pub range: Range<usize>,
    quote: Option<char>,
    simple: bool,
}

impl Variable {
    /// Where an edit writes, in the quotes that are there; `None` for a value pieced together from several parts.
    #[must_use]
    pub fn slot(&self) -> Option<Slot> {
        let mark = match self.quote {
            None => "",
            Some('\'') => "'",
            Some(_) => "\"",
        };
        self.simple.then(|| Slot {
            range: self.range.clone(),
            open: mark,
            close: mark,
        })
    }
}

/// Reads all variables in order; the last of a name wins. Comments begin with `#` or `;`; a line ending in `\` goes on.
#[must_use]
pub fn variables(text: &str) -> Vec<Variable> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let rest = text.get(at..).unwrap_or_default();
        let line_end = at + rest.find('\n').unwrap_or(rest.len());
        let line = text.get(at..line_end).unwrap_or_default();
        let lead = line.len() - line.trim_start().len();
        let body = line.trim_start();
        if body.starts_with(['#', ';']) || body.trim().is_empty() {
            at = line_end + 1;
            continue;
        }
        match body.find('=') {
            None => at = line_end + 1,
            Some(equals) => {
                let key = body.get(..equals).unwrap_or_default().trim().to_owned();
                let value = Value::read(text, at + lead + equals + 1);
                at = value.next;
                found.push(Variable {
                    key,
                    value: value.text,
                    range: value.range,
                    quote: value.quote,
                    simple: value.simple,
                });
            }
        }
    }
    found
}

struct Value {
    text: String,
    range: Range<usize>,
    quote: Option<char>,
    simple: bool,
    next: usize,
}

impl Value {
    fn read(text: &str, from: usize) -> Self {
        let rest = text.get(from..).unwrap_or_default();
        let skipped = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        let start = from + skipped;
        let rest = rest.get(skipped..).unwrap_or_default();
        match rest.chars().next() {
            Some(mark @ ('\'' | '"')) => Self::quoted(rest, start, mark),
            _ => Self::plain(rest, start),
        }
    }

    fn plain(rest: &str, start: usize) -> Self {
        let (mut value, mut escaped, mut end, mut odd) = (String::new(), false, rest.len(), false);
        for (at, c) in rest.char_indices() {
            match (escaped, c) {
                (true, '\n') => escaped = false,
                (true, c) => {
                    value.push(c);
                    escaped = false;
                }
                (false, '\\') => {
                    escaped = true;
                    odd = true;
                }
                (false, '\n') => {
                    end = at;
                    break;
                }
                (false, c) => value.push(c),
            }
        }
        let written = rest.get(..end).unwrap_or_default().trim_end();
        let value = value.trim_end().to_owned();
        Self {
            range: start..start + written.len(),
            text: value,
            quote: None,
            simple: !odd,
            next: start + end + 1,
        }
    }

    fn quoted(rest: &str, start: usize, mark: char) -> Self {
        let (mut value, mut escaped, mut close) = (String::new(), false, None);
        for (at, c) in rest.char_indices().skip(1) {
            match (escaped, c) {
                (true, c) => {
                    if mark == '"' && !"\"\\`$\n".contains(c) {
                        value.push('\\');
                    }
                    if c != '\n' {
                        value.push(c);
                    }
                    escaped = false;
                }
                (false, '\\') if mark == '"' => escaped = true,
                (false, c) if c == mark => {
                    close = Some(at + 1);
                    break;
                }
                (false, c) => value.push(c),
            }
        }
        let end = close.unwrap_or(rest.len());
        let tail = rest.get(end..).unwrap_or_default();
        let line = tail.find('\n').unwrap_or(tail.len());
        let after = tail.get(..line).unwrap_or_default();
        value.push_str(after.trim_end());
        Self {
            text: value,
            range: start..start + end,
            quote: Some(mark),
            simple: close.is_some() && after.trim().is_empty(),
            next: start + end + line + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
        ] {
            let read = variables(text);
            let token = read.iter().find(|v| v.key == "K3S_TOKEN").unwrap();
            assert_eq!(
                (token.value.as_str(), &text[token.range.clone()]),
                (value, written),
                "{text:?}"
            );
            assert!(token.slot().is_some());
        }
    }

    #[test]
    fn a_value_in_parts_is_read_but_has_no_slot() {
        let read = variables("K3S_TOKEN='abc'def\nNEXT=\\\nabc\nEND=1\n");
        assert_eq!(read[0].value, "abcdef");
        assert_eq!(read[0].slot(), None);
        assert_eq!((read[1].value.as_str(), read[1].slot()), ("abc", None));
        assert_eq!(read[2].value, "1");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[\\PC\n\\\\='\"#]{0,80}") {
            for variable in variables(&text) {
                prop_assert!(text.get(variable.range).is_some());
            }
        }
    }
}
