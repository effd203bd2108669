//! The top level of a K3s config file: keys, scalar values, and the exact bytes of each value.

use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::Slot;

/// One `key: value` of the top level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key, without a trailing `+`.
    pub key: String,
    /// Whether the key had a trailing `+`, which appends in K3s.
    pub appends: bool,
    /// Its values: one for a scalar, all scalars of a list; `None` for anything else (a map, an alias, nothing).
    pub values: Option<Vec<String>>,
    /// Bytes of a scalar value, quotes included.
    pub range: Option<Range<usize>>,
    /// Quotes of a scalar.
    quote: Quote,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quote {
    Plain,
    Single,
    Double,
    Block,
}

/// Why a config file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {why}")]
pub struct YamlError {
    line: usize,
    column: usize,
    why: String,
}

/// Reads the top level of a config file. An empty file has no entries.
///
/// # Errors
/// When it is not YAML, or its top level is no map.
pub fn entries(text: &str) -> Result<Vec<Entry>, YamlError> {
    Reader {
        text,
        parser: Parser::new_from_str(text),
        bytes: Bytes::of(text),
    }
    .document()
}

impl Entry {
    /// Where an edit writes: plain text becomes double-quoted, so that YAML cannot type it (`0123`, `1e5`).
    /// `None` for what is no scalar, or one that spans lines.
    #[must_use]
    pub fn slot(&self) -> Option<Slot> {
        let (open, close) = match self.quote {
            Quote::Plain | Quote::Double => ("\"", "\""),
            Quote::Single => ("'", "'"),
            Quote::Block => return None,
        };
        Some(Slot {
            range: self.range.clone()?,
            open,
            close,
        })
    }
}

/// saphyr counts characters; files are edited by bytes.
struct Bytes(Option<Vec<usize>>);

impl Bytes {
    fn of(text: &str) -> Self {
        Self((!text.is_ascii()).then(|| {
            text.char_indices()
                .map(|(at, _)| at)
                .chain([text.len()])
                .collect()
        }))
    }

    fn at(&self, character: usize) -> usize {
        self.0.as_ref().map_or(character, |map| {
            map.get(character).or(map.last()).copied().unwrap_or(0)
        })
    }
}

struct Reader<'a> {
    text: &'a str,
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    bytes: Bytes,
}

impl<'a> Reader<'a> {
    fn document(mut self) -> Result<Vec<Entry>, YamlError> {
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::MappingStart(..) => return self.mapping(),
                Event::StreamEnd => return Ok(Vec::new()),
                Event::Scalar(value, ..) if value.is_empty() || value == "~" || value == "null" => {
                    return Ok(Vec::new());
                }
                Event::StreamStart
                | Event::DocumentStart(_)
                | Event::DocumentEnd
                | Event::Nothing => {}
                _ => return Err(wrong(span, "the file must be a list of `key: value`")),
            }
        }
    }

    fn mapping(&mut self) -> Result<Vec<Entry>, YamlError> {
        let mut entries = Vec::new();
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::MappingEnd => break,
                Event::Scalar(key, ..) => entries.push(self.entry(&key)?),
                _ => return Err(wrong(span, "a key must be plain text")),
            }
        }
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(entries),
                Event::DocumentEnd | Event::Nothing => {}
                _ => return Err(wrong(span, "the file holds more than one document")),
            }
        }
    }

    fn entry(&mut self, key: &str) -> Result<Entry, YamlError> {
        let bare = key.strip_suffix('+');
        let mut entry = Entry {
            key: bare.unwrap_or(key).to_owned(),
            appends: bare.is_some(),
            values: None,
            range: None,
            quote: Quote::Block,
        };
        let (event, span) = self.next()?;
        match event {
            Event::Scalar(value, style, ..) => {
                let range = self.scalar(style, span);
                entry.quote = self.quote(style, &range, &value);
                entry.range = Some(range);
                entry.values = Some(vec![value.into_owned()]);
            }
            Event::SequenceStart(..) => entry.values = self.sequence()?,
            Event::MappingStart(..) => self.skip(1)?,
            _ => {}
        }
        Ok(entry)
    }

    fn quote(&self, style: ScalarStyle, range: &Range<usize>, value: &str) -> Quote {
        let written = self.text.get(range.clone()).unwrap_or_default();
        match style {
            ScalarStyle::Plain if written == value => Quote::Plain,
            ScalarStyle::SingleQuoted if written.starts_with('\'') => Quote::Single,
            ScalarStyle::DoubleQuoted if written.starts_with('"') => Quote::Double,
            _ => Quote::Block,
        }
    }

    /// The parser counts white space and comments behind a quoted scalar to it.
    fn scalar(&self, style: ScalarStyle, span: Span) -> Range<usize> {
        let range = self.bytes.at(span.start.index())..self.bytes.at(span.end.index());
        let text = self.text.get(range.clone()).unwrap_or_default();
        let length = match style {
            ScalarStyle::SingleQuoted => closed(&text.replace("''", "\0\0"), '\''),
            ScalarStyle::DoubleQuoted => {
                closed(&text.replace("\\\\", "\0\0").replace("\\\"", "\0\0"), '"')
            }
            _ => None,
        };
        range.start..range.start + length.unwrap_or(text.trim_end().len())
    }

    fn sequence(&mut self) -> Result<Option<Vec<String>>, YamlError> {
        let mut values = Some(Vec::new());
        loop {
            let (event, _) = self.next()?;
            match event {
                Event::SequenceEnd => return Ok(values),
                Event::Scalar(value, ..) => {
                    if let Some(values) = &mut values {
                        values.push(value.into_owned());
                    }
                }
                Event::SequenceStart(..) | Event::MappingStart(..) => {
                    self.skip(1)?;
                    values = None;
                }
                _ => values = None,
            }
        }
    }

    fn skip(&mut self, mut depth: usize) -> Result<(), YamlError> {
        while depth > 0 {
            match self.next()?.0 {
                Event::SequenceStart(..) | Event::MappingStart(..) => depth += 1,
                Event::SequenceEnd | Event::MappingEnd => depth -= 1,
                _ => {}
            }
        }
        Ok(())
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), YamlError> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(YamlError {
                line: error.marker().line(),
                column: error.marker().col() + 1,
                why: error.info().to_owned(),
            }),
            None => Ok((
                Event::StreamEnd,
                Span::empty(saphyr_parser::Marker::default()),
            )),
        }
    }
}

/// Bytes up to and with the closing quote of a text that begins with the opening one.
fn closed(text: &str, mark: char) -> Option<usize> {
    text.get(1..)?.find(mark).map(|at| at + 2)
}

fn wrong(span: Span, why: &str) -> YamlError {
    YamlError {
        line: span.start.line(),
        column: span.start.col() + 1,
        why: why.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written<'a>(text: &'a str, key: &str) -> &'a str {
        let entries = entries(text).unwrap();
        let entry = entries.iter().find(|entry| entry.key == key).unwrap();
        &text[entry.range.clone().unwrap()]
    }

    #[test]
    fn the_bytes_of_a_value_are_found_exactly() {
        for (text, token) in [
            ("token: abc\n", "abc"),
            ("token: abc   # why\nserver: x\n", "abc"),
            ("# häßlich\ntoken: 'abc'\n", "'abc'"),
            (
                "a:\n  - b\n  - c: d\ntoken:    \"ab\\\"c\"  \r\nz: 1\r\n",
                "\"ab\\\"c\"",
            ),
            ("{token: abc, server: x}", "abc"),
            ("a: b # grün\ntoken: 'a''b' # 'keep'\r\nz: ü\n", "'a''b'"),
            (
                "a: \"grün\" # ö\ntoken: \"a\\\\\" # \"keep\"\n",
                "\"a\\\\\"",
            ),
            ("---\ntoken: K10::server:x\n...\n", "K10::server:x"),
        ] {
            assert_eq!(written(text, "token"), token, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_scalar_has_no_slot() {
        for text in [
            "token: {a: b}",
            "token: [a]",
            "token: |\n  abc\n",
            "a: &x abc\ntoken: *x",
            "token: a\n  b\n",
        ] {
            let entries = entries(text).unwrap();
            let entry = entries.iter().find(|entry| entry.key == "token").unwrap();
            assert_eq!(entry.slot(), None, "{text:?}");
        }
    }

    #[test]
    fn lists_and_appending_keys_are_read() {
        let read = entries("node-label:\n  - a=b\n  - c=d\nkubelet-arg+: x\nempty:\n").unwrap();
        assert_eq!(read[0].values.as_deref().unwrap(), ["a=b", "c=d"]);
        assert!(read[1].appends && read[1].key == "kubelet-arg");
        assert_eq!(entries("").unwrap(), []);
        assert_eq!(entries("# only a comment\n").unwrap(), []);
    }

    #[test]
    fn broken_files_say_where() {
        assert!(entries("token: \"abc\nserver: x\n").is_err());
        assert!(
            entries("- a\n- b\n")
                .unwrap_err()
                .to_string()
                .contains("line 1")
        );
        assert!(entries("a: b\n\tc: d\n").is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[\\PC\n\t:'\"{}\\[\\]#&*|>-]{0,80}") {
            if let Ok(entries) = entries(&text) {
                for entry in entries {
                    if let Some(range) = entry.range {
                        prop_assert!(text.get(range).is_some());
                    }
                }
            }
        }
    }
}
