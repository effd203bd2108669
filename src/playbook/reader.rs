//! Takes values out of a tree and keeps what is wrong with them.

use std::time::Duration;

use super::keywords::Words;
use crate::source::{Misfit, Node, Problem, Problems, Source, SourceSpan, duration, nearest};
use crate::template::{self, SyntaxError};

/// One reading of one playbook: its text and the mistakes so far.
pub(super) struct Reader<'a> {
    pub(super) source: &'a Source,
    pub(super) problems: Problems,
}

impl Reader<'_> {
    /// Keeps a mistake.
    pub(super) fn problem(
        &mut self,
        code: &'static str,
        what: impl Into<String>,
        at: SourceSpan,
        help: impl Into<String>,
    ) {
        let problem = Problem::new(code, what).at(&self.source.shown, at);
        self.problems.push(problem.help(help));
    }

    /// Keeps a value that does not fit.
    pub(super) fn misfit(&mut self, misfit: Misfit, or_at: SourceSpan, subject: &str) {
        let what = format!("{subject}: {}", misfit.what);
        let problem = Problem::new("playbook::argument", what);
        let problem = problem.at(&self.source.shown, misfit.at.unwrap_or(or_at));
        let help = misfit
            .help
            .unwrap_or_else(|| "look the step up in README".to_owned());
        self.problems.push(problem.help(help));
    }

    /// Keeps a value of the wrong kind.
    pub(super) fn wrong(&mut self, node: &Node, keyword: &str, expected: &str) {
        let what = format!("`{keyword}` is {expected}, not {}", node.noun());
        self.problem("playbook::type", what, node.at, format!("write {expected}"));
    }

    /// Keeps a key that does not belong here. `later` is known to Ansible, or to a later release.
    pub(super) fn unknown(&mut self, key: &str, at: SourceSpan, words: &Words) {
        let Words {
            place,
            known,
            later,
        } = words;
        let list = || {
            known
                .iter()
                .map(|name| format!("`{name}`"))
                .collect::<Vec<_>>()
                .join(", ")
        };
        if later.contains(&key) {
            let ansible = if key_of_ansible(place) {
                "known to Ansible and "
            } else {
                ""
            };
            let what = format!("`{key}` is {ansible}not supported in {place} yet");
            return self.problem(
                "playbook::not-supported-yet",
                what,
                at,
                format!("{place} may have {}", list()),
            );
        }
        let help = match nearest(key, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("{place} may have {}", list()),
        };
        self.problem(
            "playbook::unknown-keyword",
            format!("{place} has no keyword `{key}`"),
            at,
            help,
        );
    }

    /// A text that is not empty.
    pub(super) fn text(&mut self, node: &Node, keyword: &str) -> Option<String> {
        match node.text() {
            None => self.wrong(node, keyword, "a text"),
            Some(text) if text.trim().is_empty() => {
                let what = format!("`{keyword}` is empty");
                self.problem(
                    "playbook::type",
                    what,
                    node.at,
                    "write a text, or remove it",
                );
            }
            Some(text) => return Some(text.to_owned()),
        }
        None
    }

    /// A boolean, in any spelling that Ansible takes.
    pub(super) fn boolean(&mut self, node: &Node, keyword: &str) -> Option<bool> {
        let text = node.text().map(str::to_ascii_lowercase);
        let value = match text.as_deref() {
            Some("true" | "yes" | "on") => Some(true),
            Some("false" | "no" | "off") => Some(false),
            _ => None,
        };
        if value.is_none() {
            self.wrong(node, keyword, "`true` or `false`");
        }
        value
    }

    /// A duration.
    pub(super) fn duration(&mut self, node: &Node, keyword: &str) -> Option<Duration> {
        let value = node.text().and_then(duration);
        if value.is_none() {
            let found = node
                .text()
                .map_or_else(|| node.noun().to_owned(), |text| format!("`{text}`"));
            let what = format!("`{keyword}` is a duration, not {found}");
            self.problem(
                "playbook::duration",
                what,
                node.at,
                "write it as `20s`, `5m` or `1h30m`; a bare number is seconds",
            );
        }
        value
    }

    /// A text or a list of texts, each with its place.
    pub(super) fn texts(&mut self, node: &Node, keyword: &str) -> Vec<(String, SourceSpan)> {
        match node.items() {
            Some(items) => items
                .iter()
                .filter_map(|item| Some((self.text(item, keyword)?, item.at)))
                .collect(),
            None => self
                .text(node, keyword)
                .map(|text| (text, node.at))
                .into_iter()
                .collect(),
        }
    }

    /// Checks the grammar of every template below a node.
    pub(super) fn templates(&mut self, node: &Node) {
        let mut bad = Vec::new();
        node.scalars(&mut |node, scalar| {
            if template::is_template(&scalar.text)
                && let Err(error) = template::check_template(&scalar.text)
            {
                bad.push((node.at, scalar.text.clone(), error));
            }
        });
        for (at, text, error) in bad {
            self.syntax("playbook::template", &text, at, &error);
        }
    }

    /// Checks the grammar of an expression.
    pub(super) fn expression(&mut self, text: &str, at: SourceSpan, keyword: &str) {
        if template::is_template(text) {
            let what = format!("`{keyword}` is an expression already: it takes no braces");
            self.problem("playbook::braces", what, at, "remove the `{{` and `}}`");
        } else if let Err(error) = template::check_expression(text) {
            self.syntax("playbook::expression", text, at, &error);
        }
    }

    fn syntax(&mut self, code: &'static str, text: &str, at: SourceSpan, error: &SyntaxError) {
        let noun = code.rsplit(':').next().unwrap_or(code);
        let what = format!("this {noun} has no meaning: {}", error.why);
        let at = self.within(text, at, error.range.clone());
        self.problem(
            code,
            what,
            at,
            "see https://docs.rs/minijinja for what an expression may be",
        );
    }

    /// The part of a scalar that `range` of its text stands at, when the text stands in the file as it is.
    fn within(
        &self,
        text: &str,
        at: SourceSpan,
        range: Option<std::ops::Range<usize>>,
    ) -> SourceSpan {
        let written = self
            .source
            .text
            .get(at.offset()..at.offset() + at.len())
            .unwrap_or_default();
        match (range, written.find(text)) {
            (Some(range), Some(start)) if range.end <= text.len() => {
                (at.offset() + start + range.start, range.len()).into()
            }
            _ => at,
        }
    }
}

/// `health` is keyroll's own.
fn key_of_ansible(place: &str) -> bool {
    place.starts_with("a ")
}
