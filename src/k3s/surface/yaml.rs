//! The top level of a K3s config file: keys, scalar values, and the exact bytes of each value.

mod typed;

use std::collections::BTreeMap;
use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::{EMPTY, Position, Quote, Slot};

/// One `key: value` of the top level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key, without a trailing `+`; the short ones of K3s are spelled out.
    pub key: String,
    /// Whether the key had a trailing `+`, which appends in K3s.
    pub appends: bool,
    /// Its values: one for a scalar, all scalars of a list; `None` for anything else (a map, nothing).
    pub values: Option<Vec<String>>,
    /// Where the value begins.
    pub at: Position,
    slot: Result<Slot, &'static str>,
}

/// Why a config file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct YamlError {
    /// Where.
    pub at: Position,
    /// What is wrong.
    pub why: String,
}

/// Reads the top level of a config file. An empty file has no entries.
///
/// # Errors
/// When it is not YAML, its top level is no map, or it merges keys from elsewhere.
pub fn entries(text: &str) -> Result<Vec<Entry>, YamlError> {
    let bare = text.strip_prefix(MARK).unwrap_or(text);
    let before = text.len() - bare.len();
    let mut entries = read(bare)?;
    let slots = entries.iter_mut().filter_map(|it| it.slot.as_mut().ok());
    slots.for_each(|slot| slot.range = slot.range.start + before..slot.range.end + before);
    Ok(entries)
}

/// What some editors put before a text in UTF-8; YAML has it say nothing.
const MARK: char = '\u{feff}';

fn read(text: &str) -> Result<Vec<Entry>, YamlError> {
    let reader = Reader {
        text,
        parser: Parser::new_from_str(text),
        bytes: Bytes::of(text),
        anchors: BTreeMap::new(),
        aliased: BTreeMap::new(),
        depth: 0,
    };
    reader.document()
}

impl Entry {
    /// Where an edit writes: plain text becomes double-quoted, so that YAML cannot type it (`0123`, `1e5`).
    ///
    /// # Errors
    /// With what the value is that it cannot be edited: "a list".
    pub fn slot(&self) -> Result<Slot, &'static str> {
        self.slot.clone()
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

/// Levels after which a file is given up: a config file has three.
const DEEPEST: usize = 64;

struct Reader<'a> {
    text: &'a str,
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    bytes: Bytes,
    /// Scalars with an anchor, by its number.
    anchors: BTreeMap<usize, String>,
    /// How often each anchor is named by an alias.
    aliased: BTreeMap<usize, usize>,
    depth: usize,
}

/// An entry, and the anchor that its value carries.
type Anchored = (Entry, usize);

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
        let mut entries: Vec<Anchored> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::MappingEnd => break,
                Event::Scalar(key, ScalarStyle::Plain, ..) if key == "<<" => {
                    return Err(wrong(span, "it merges keys from elsewhere with `<<`"));
                }
                Event::Scalar(key, ..) => {
                    let entry = self.entry(&key, span)?;
                    entries.push(entry);
                }
                _ => return Err(wrong(span, "a key must be plain text")),
            }
        }
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::DocumentEnd | Event::Nothing => {}
                _ => return Err(wrong(span, "the file holds more than one document")),
            }
        }
        let aliased = |anchor: usize| anchor != 0 && self.aliased.contains_key(&anchor);
        Ok(entries
            .into_iter()
            .map(|(entry, anchor)| Entry {
                slot: if aliased(anchor) {
                    Err("a text that another setting names with `*`")
                } else {
                    entry.slot
                },
                ..entry
            })
            .collect())
    }

    fn entry(&mut self, key: &str, key_span: Span) -> Result<Anchored, YamlError> {
        let bare = key.strip_suffix('+');
        let (event, span) = self.next()?;
        let mut found = 0;
        let (values, slot) = match event {
            Event::Scalar(value, style, anchor, tag) => {
                found = anchor;
                let slot = self.slot(&value, style, tag.as_deref(), span);
                let value = match typed::boolean(&value) {
                    Some(boolean) if style == ScalarStyle::Plain => boolean.to_string(),
                    _ => value.into_owned(),
                };
                (Some(vec![value]), slot)
            }
            Event::Alias(anchor) => (
                self.anchors.get(&anchor).map(|value| vec![value.clone()]),
                Err("an alias (`*`) of a text that stands elsewhere"),
            ),
            Event::SequenceStart(..) => (self.sequence()?, Err("a list")),
            Event::MappingStart(..) => {
                self.skip(1)?;
                (None, Err("a map"))
            }
            _ => (None, Err(EMPTY)),
        };
        // An empty value has no place of its own.
        let span = if span.start.index() < key_span.start.index() {
            key_span
        } else {
            span
        };
        let entry = Entry {
            key: spelled_out(bare.unwrap_or(key)).to_owned(),
            appends: bare.is_some(),
            values,
            at: position(span),
            slot,
        };
        Ok((entry, found))
    }

    fn slot(
        &self,
        value: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        span: Span,
    ) -> Result<Slot, &'static str> {
        let range = self.scalar(style, span);
        let written = self.text.get(range.clone()).unwrap_or_default();
        if tag.is_some() {
            return Err("a text with a tag (`!`)");
        }
        if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
            return Err("a block of lines");
        }
        if written.is_empty() || value.is_empty() {
            return Err(EMPTY);
        }
        if value.trim() != value {
            return Err(super::BLANK_ENDS);
        }
        if written.contains(['\n', '\r']) {
            return Err("a text of several lines");
        }
        // Quotes right behind an anchor's name would belong to it.
        let before = self.text.get(..range.start).unwrap_or_default();
        let stands_alone = before.ends_with(|c: char| c.is_whitespace() || c == ':');
        let quote = match style {
            ScalarStyle::Plain if !stands_alone => return Err("a text right behind its anchor"),
            ScalarStyle::Plain if typed::is_read_as_text(value) && written == value => {
                Quote::YamlDouble
            }
            ScalarStyle::Plain => {
                return Err("a number, yes or no for YAML, which K3s writes in another way");
            }
            ScalarStyle::SingleQuoted if is_in(written, '\'') => Quote::YamlSingle,
            ScalarStyle::DoubleQuoted if is_in(written, '"') => Quote::YamlDouble,
            _ => return Err("a text whose end was not found"),
        };
        Ok(Slot { range, quote })
    }

    /// The parser counts white space and comments behind a quoted scalar to it.
    fn scalar(&self, style: ScalarStyle, span: Span) -> Range<usize> {
        let range = self.bytes.at(span.start.index())..self.bytes.at(span.end.index());
        let text = self.text.get(range.clone()).unwrap_or_default();
        let length = match style {
            ScalarStyle::SingleQuoted => closed(text, '\'', &["''"]),
            ScalarStyle::DoubleQuoted => closed(text, '"', &["\\\\", "\\\""]),
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
                Event::Alias(anchor) => match (self.anchors.get(&anchor), &mut values) {
                    (Some(value), Some(values)) => values.push(value.clone()),
                    _ => values = None,
                },
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
                Event::StreamEnd => return Ok(()),
                _ => {}
            }
        }
        Ok(())
    }

    /// Notes every anchor and alias on its way, however deep.
    fn next(&mut self) -> Result<(Event<'a>, Span), YamlError> {
        let (event, span) = match self.parser.next_event() {
            Some(Ok(event)) => event,
            Some(Err(error)) => {
                return Err(YamlError {
                    at: Position {
                        line: error.marker().line(),
                        column: error.marker().col() + 1,
                    },
                    why: error.info().to_owned(),
                });
            }
            None => (
                Event::StreamEnd,
                Span::empty(saphyr_parser::Marker::default()),
            ),
        };
        match &event {
            Event::SequenceStart(..) | Event::MappingStart(..) => self.depth += 1,
            Event::SequenceEnd | Event::MappingEnd => self.depth = self.depth.saturating_sub(1),
            Event::Scalar(value, _, anchor, _) if *anchor != 0 => {
                self.anchors.insert(*anchor, value.to_string());
            }
            Event::Alias(anchor) => *self.aliased.entry(*anchor).or_default() += 1,
            _ => {}
        }
        if self.depth > DEEPEST {
            return Err(wrong(span, "it is nested deeper than a config file of K3s"));
        }
        Ok((event, span))
    }
}

/// Flags of K3s have short names, which a config file may use as well (k3s: configfilearg).
pub(in crate::k3s) fn spelled_out(name: &str) -> &str {
    match name {
        "t" => "token",
        "s" => "server",
        "d" => "data-dir",
        "c" => "config",
        "l" => "log",
        name => name,
    }
}

/// Whether a text stands between two marks.
fn is_in(written: &str, mark: char) -> bool {
    written.len() >= 2 && written.starts_with(mark) && written.ends_with(mark)
}

/// Bytes up to and with the closing quote of a text that begins with the opening one; pairs of two do not close it.
fn closed(text: &str, mark: char, pairs: &[&str]) -> Option<usize> {
    let inner = text.get(1..)?.to_owned();
    let inner = pairs
        .iter()
        .fold(inner, |inner, pair| inner.replace(pair, "\0\0"));
    inner.find(mark).map(|at| at + 2)
}

fn position(span: Span) -> Position {
    Position {
        line: span.start.line().max(1),
        column: span.start.col() + 1,
    }
}

fn wrong(span: Span, why: &str) -> YamlError {
    YamlError {
        at: position(span),
        why: why.to_owned(),
    }
}

#[cfg(test)]
mod tests;
