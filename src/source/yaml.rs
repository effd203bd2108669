//! Reads YAML into a tree of values with places. What YAML allows and people regret is refused here, by name:
//! duplicate keys, tags, merge keys, several documents.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::node::{Entry, Kind, Node};
use super::offsets::Offsets;
use super::{Problem, Problems, Scalar, Source, SourceSpan};

const DEEPEST: usize = 64;
const MOST_VALUES: u64 = 2_000_000;

/// Reads a document; null when it is empty. Mistakes go to `problems`; `None` when there is no tree at all.
pub fn tree(source: &Source, problems: &mut Problems) -> Option<Arc<Node>> {
    read(Builder::new(source), problems)
}

/// The same, where a scalar may have the tag `!vault`: its text is what Ansible vault has made of it.
pub fn tree_with_vault(source: &Source, problems: &mut Problems) -> Option<Arc<Node>> {
    let builder = Builder {
        vault: true,
        ..Builder::new(source)
    };
    read(builder, problems)
}

fn read(mut builder: Builder<'_>, problems: &mut Problems) -> Option<Arc<Node>> {
    let ended = builder.read();
    problems.extend(builder.problems);
    match ended {
        Ok(()) => builder.root,
        Err(problem) => {
            // A syntax error stands alone: whatever was found before it may be its echo.
            *problems = Problems::from(*problem);
            None
        }
    }
}

struct Builder<'a> {
    source: &'a Source,
    offsets: Offsets,
    open: Vec<Frame>,
    anchors: HashMap<usize, Arc<Node>>,
    root: Option<Arc<Node>>,
    documents: usize,
    problems: Problems,
    /// Whether scalars may be encrypted.
    vault: bool,
}

/// A list or map that has begun.
struct Frame {
    start: usize,
    anchor: usize,
    items: Items,
}

enum Items {
    List(Vec<Arc<Node>>),
    Map {
        entries: Vec<Entry>,
        seen: HashSet<String>,
        key: Option<Arc<Node>>,
    },
}

impl<'a> Builder<'a> {
    fn new(source: &'a Source) -> Self {
        Self {
            source,
            offsets: Offsets::of(&source.text),
            open: Vec::new(),
            anchors: HashMap::new(),
            root: None,
            documents: 0,
            problems: Problems::default(),
            vault: false,
        }
    }

    fn problem(&self, code: &'static str, what: impl Into<String>, at: SourceSpan) -> Problem {
        Problem::new(code, what).at(&self.source.shown, at)
    }

    fn read(&mut self) -> Result<(), Box<Problem>> {
        let source = self.source;
        for event in Parser::new_from_str(&source.text) {
            let (event, span) = event.map_err(|error| Box::new(self.syntax(&error)))?;
            self.event(event, span)?;
        }
        Ok(())
    }

    fn syntax(&self, error: &saphyr_parser::ScanError) -> Problem {
        let offset = self.offsets.byte(error.marker().index());
        let line = self.source.text.get(offset..).unwrap_or_default();
        let tab = line.starts_with('\t') || self.line_start(offset).contains('\t');
        let problem = self
            .problem(
                "yaml::syntax",
                format!("this is not YAML: {}", error.info()),
                (offset, 0).into(),
            )
            .label("here");
        if tab {
            problem.help("YAML is indented by spaces, never by tabs")
        } else {
            problem.help("mend this first: what follows it was not looked at")
        }
    }

    fn line_start(&self, offset: usize) -> &str {
        let before = self.source.text.get(..offset).unwrap_or_default();
        before.rsplit('\n').next().unwrap_or_default()
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Box<Problem>> {
        let start = self.offsets.byte(span.start.index());
        let end = self.offsets.byte(span.end.index());
        match event {
            Event::DocumentStart(_) => self.document(start),
            Event::Scalar(text, style, anchor, tag) => {
                let encrypted = |tag: &&Tag| self.vault && tag.suffix == "vault";
                let tag = tag.as_deref();
                self.refuse_tag(tag.filter(|tag| !encrypted(tag)), start);
                let plain = style == ScalarStyle::Plain;
                let kind = Kind::Scalar(Scalar {
                    text: text.into_owned(),
                    plain,
                });
                self.add(
                    anchor,
                    Node {
                        at: self.trimmed(start, end),
                        kind,
                        weight: 1,
                    },
                )
            }
            Event::Alias(anchor) => self.alias(anchor, (start, end - start).into()),
            Event::SequenceStart(anchor, tag) => {
                self.refuse_tag(tag.as_deref(), start);
                self.open(start, anchor, Items::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_tag(tag.as_deref(), start);
                let items = Items::Map {
                    entries: Vec::new(),
                    seen: HashSet::new(),
                    key: None,
                };
                self.open(start, anchor, items)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(end),
            _ => Ok(()),
        }
    }

    fn document(&mut self, start: usize) -> Result<(), Box<Problem>> {
        self.documents += 1;
        if self.documents < 2 {
            return Ok(());
        }
        Err(Box::new(
            self.problem(
                "yaml::documents",
                "a second document begins here",
                (start, 0).into(),
            )
            .help("keep one document a file: remove the `---`"),
        ))
    }

    /// Without quotes' trailing blanks and a block's final line breaks.
    fn trimmed(&self, start: usize, end: usize) -> SourceSpan {
        let text = self.source.text.get(start..end).unwrap_or_default();
        (start, text.trim_end().len()).into()
    }

    fn refuse_tag(&mut self, tag: Option<&Tag>, start: usize) {
        let Some(tag) = tag else { return };
        let before = self.source.text.get(..start).unwrap_or_default();
        let offset = before.rfind('!').map_or(start, |at| {
            before
                .get(..at)
                .map_or(at, |b| b.trim_end_matches('!').len())
        });
        let written: String = self
            .source
            .text
            .get(offset..)
            .unwrap_or_default()
            .chars()
            .take_while(|c| !c.is_whitespace())
            .collect();
        let help = match tag.suffix.as_str() {
            "vault" => {
                "Ansible vault is not supported: a playbook needs no secrets, remove the value"
            }
            "unsafe" => "values of variables are never rendered twice: remove the tag",
            _ => "remove the tag; quote the value to make it a text",
        };
        let problem = self
            .problem(
                "yaml::tag",
                format!("the tag `{written}` is not supported"),
                (offset, written.len()).into(),
            )
            .help(help);
        self.problems.push(problem);
    }

    fn alias(&mut self, anchor: usize, at: SourceSpan) -> Result<(), Box<Problem>> {
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            let what = "an alias stands inside of its own anchor";
            return Err(Box::new(
                self.problem("yaml::alias", what, at)
                    .help("write the value out"),
            ));
        };
        self.place(node, at)
    }

    fn open(&mut self, start: usize, anchor: usize, items: Items) -> Result<(), Box<Problem>> {
        if self.open.len() >= DEEPEST {
            return Err(Box::new(
                self.problem(
                    "yaml::too-deep",
                    format!("this is nested deeper than {DEEPEST} levels"),
                    (start, 1).into(),
                )
                .help("nothing that keyroll reads is as deep"),
            ));
        }
        self.open.push(Frame {
            start,
            anchor,
            items,
        });
        Ok(())
    }

    fn close(&mut self, end: usize) -> Result<(), Box<Problem>> {
        let Some(frame) = self.open.pop() else {
            return Ok(());
        };
        let (kind, weight) = match frame.items {
            Items::List(items) => {
                let weight = items.iter().map(|item| item.weight).sum::<u64>();
                (Kind::List(items), weight)
            }
            Items::Map { entries, .. } => {
                let weight = entries.iter().map(|entry| entry.value.weight).sum::<u64>();
                (Kind::Map(entries), weight)
            }
        };
        let at = self.first_line(frame.start, end);
        self.add(
            frame.anchor,
            Node {
                at,
                kind,
                weight: weight.saturating_add(1),
            },
        )
    }

    /// From `start` to `end`, but not beyond its line nor into a comment.
    fn first_line(&self, start: usize, end: usize) -> SourceSpan {
        let text = self
            .source
            .text
            .get(start..end.max(start))
            .unwrap_or_default();
        let line = text.lines().next().unwrap_or_default();
        let line = line.split(" #").next().unwrap_or_default();
        (start, line.trim_end().len()).into()
    }

    fn add(&mut self, anchor: usize, node: Node) -> Result<(), Box<Problem>> {
        let at = node.at;
        let node = Arc::new(node);
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        self.place(node, at)
    }

    /// Puts a finished value where it belongs; `at` is its own place or that of the alias.
    fn place(&mut self, node: Arc<Node>, at: SourceSpan) -> Result<(), Box<Problem>> {
        if node.weight > MOST_VALUES {
            return Err(Box::new(
                self.problem(
                    "yaml::too-large",
                    "aliases make this larger than two million values",
                    at,
                )
                .help("nothing that keyroll reads is as large"),
            ));
        }
        let Some(frame) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        let problem = match &mut frame.items {
            Items::List(items) => {
                items.push(node);
                None
            }
            Items::Map { entries, seen, key } => match key.take() {
                None => {
                    *key = Some(node);
                    None
                }
                Some(key) => enter(entries, seen, &key, node),
            },
        };
        if let Some((code, what, at, help)) = problem {
            let problem = self.problem(code, what, at).help(help);
            self.problems.push(problem);
        }
        Ok(())
    }
}

type Refusal = (&'static str, String, SourceSpan, &'static str);

fn enter(
    entries: &mut Vec<Entry>,
    seen: &mut HashSet<String>,
    key: &Node,
    value: Arc<Node>,
) -> Option<Refusal> {
    let at = key.at;
    let Kind::Scalar(Scalar { text, .. }) = &key.kind else {
        let help = "put a text before the colon; quote braces: `\"{{ … }}\"`";
        let what = format!("{} cannot be a key", key.noun());
        return Some(("yaml::key", what, at, help));
    };
    if text == "<<" {
        let help = "write the keys out, or give the whole value by an alias";
        return Some((
            "yaml::merge",
            "merge keys (`<<`) are not supported".to_owned(),
            at,
            help,
        ));
    }
    if !seen.insert(text.clone()) {
        let help = "a key may stand once: remove one of them";
        return Some((
            "yaml::duplicate-key",
            format!("the key `{text}` stands here a second time"),
            at,
            help,
        ));
    }
    entries.push(Entry {
        key: text.clone(),
        at,
        value,
    });
    None
}

#[cfg(test)]
mod tests;
