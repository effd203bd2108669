//! One mistake with its place, and all of them together.

use std::collections::HashSet;
use std::fmt;

use miette::{Diagnostic, LabeledSpan, SourceCode};

use super::{SourceSpan, SourceText};

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Nothing can be done before it is mended.
    Error,
    /// Worth a look.
    Warning,
}

/// What is wrong, where, and what to do.
#[derive(Debug, Clone)]
pub struct Problem {
    /// A stable name: `playbook::unknown-keyword`.
    pub code: &'static str,
    /// What is wrong; fits after "error:".
    pub what: String,
    /// Said at the caret.
    pub label: Option<String>,
    /// What to do.
    pub help: Option<String>,
    /// How bad it is.
    pub severity: Severity,
    /// The text and the place in it; `None` when there is no text to show.
    pub place: Option<(SourceText, SourceSpan)>,
}

impl Problem {
    /// A mistake without a place.
    pub fn new(code: &'static str, what: impl Into<String>) -> Self {
        Self {
            code,
            what: harmless(what),
            label: None,
            help: None,
            severity: Severity::Error,
            place: None,
        }
    }

    /// The same with its place.
    #[must_use]
    pub fn at(mut self, text: &SourceText, at: impl Into<SourceSpan>) -> Self {
        self.place = Some((text.clone(), at.into()));
        self
    }

    /// The same with a word at the caret.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(harmless(label));
        self
    }

    /// The same with advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(harmless(help));
        self
    }

    /// The same as a warning.
    #[must_use]
    pub fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// File, line and column, both counted from 1; `None` without a place.
    #[must_use]
    pub fn position(&self) -> Option<(&str, usize, usize)> {
        let (text, at) = self.place.as_ref()?;
        let before = text.inner().get(..at.offset())?;
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
        Some((text.name(), line, column))
    }

    fn rank(&self) -> (String, usize) {
        self.place.as_ref().map_or_else(
            || (String::new(), 0),
            |(text, at)| (text.name().to_owned(), at.offset()),
        )
    }
}

/// Texts of files are quoted in messages: without the controls that a terminal would obey.
fn harmless(text: impl Into<String>) -> String {
    text.into().replace(char::is_control, " ")
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Problem {}

impl Diagnostic for Problem {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.code))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let help = self.help.as_ref()?;
        Some(Box::new(help))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.place.as_ref().map(|(text, _)| text as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let (_, at) = self.place.as_ref()?;
        let label = LabeledSpan::new_primary_with_span(self.label.clone(), *at);
        Some(Box::new(std::iter::once(label)))
    }
}

/// All that was found, each once.
#[derive(Debug, Clone, Default)]
pub struct Problems {
    found: Vec<Problem>,
    known: HashSet<Identity>,
}

/// What makes two problems the same: code, text, and place.
type Identity = (&'static str, String, (String, usize));

impl Problems {
    /// Adds one, unless the same stands at the same place already (as behind two aliases of one anchor).
    pub fn push(&mut self, problem: Problem) {
        if self
            .known
            .insert((problem.code, problem.what.clone(), problem.rank()))
        {
            self.found.push(problem);
        }
    }

    /// Adds all of another collection.
    pub fn extend(&mut self, others: Self) {
        for problem in others.found {
            self.push(problem);
        }
    }

    /// Each in the order of its text.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        let mut sorted: Vec<&Problem> = self.found.iter().collect();
        sorted.sort_by_cached_key(|problem| problem.rank());
        sorted.into_iter()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// How many are errors.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.count(Severity::Error)
    }

    /// How many are warnings.
    #[must_use]
    pub fn warnings(&self) -> usize {
        self.count(Severity::Warning)
    }

    fn count(&self, severity: Severity) -> usize {
        self.found.iter().filter(|p| p.severity == severity).count()
    }

    /// The value, unless there are errors. Warnings are dropped.
    ///
    /// # Errors
    /// With everything that was found, when an error is among it.
    pub fn unless_errors<T>(self, value: T) -> Result<T, Self> {
        if self.errors() == 0 {
            Ok(value)
        } else {
            Err(self)
        }
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        let mut problems = Self::default();
        problems.push(problem);
        problems
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.iter().map(|p| p.what.clone()).collect();
        f.write_str(&texts.join("; "))
    }
}

impl std::error::Error for Problems {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Source;

    fn at(offset: usize) -> Problem {
        let source = Source::new("x.yml", "ä: b\r\nc: d\n", &[]);
        Problem::new("test::code", "it is wrong").at(&source.shown, (offset, 1))
    }

    #[test]
    fn line_and_column_count_characters_from_one() {
        assert_eq!(at(0).position(), Some(("x.yml", 1, 1)));
        assert_eq!(at(4).position(), Some(("x.yml", 1, 4)));
        assert_eq!(at(7).position(), Some(("x.yml", 2, 1)));
    }

    #[test]
    fn problems_come_in_the_order_of_the_text_and_once() {
        let mut problems = Problems::default();
        for offset in [7, 0, 7] {
            problems.push(at(offset));
        }
        let lines: Vec<_> = problems
            .iter()
            .filter_map(Problem::position)
            .map(|p| p.1)
            .collect();
        assert_eq!(lines, [1, 2]);
    }

    #[test]
    fn a_message_holds_no_controls() {
        let problem = Problem::new("test::code", "a\u{1b}[31m")
            .help("b\u{7}")
            .label("c\r");
        assert_eq!(problem.what, "a [31m");
        assert_eq!(
            (problem.help.as_deref(), problem.label.as_deref()),
            (Some("b "), Some("c "))
        );
    }

    #[test]
    fn warnings_do_not_stop() {
        let warned = Problems::from(at(0).warning());
        assert_eq!((warned.errors(), warned.warnings()), (0, 1));
        assert_eq!(warned.unless_errors(5).ok(), Some(5));
        assert!(Problems::from(at(0)).unless_errors(5).is_err());
    }
}
