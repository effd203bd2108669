//! One mistake with its place, and all of them together.

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
            what: what.into(),
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
        self.label = Some(label.into());
        self
    }

    /// The same with advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
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

    fn same_as(&self, other: &Self) -> bool {
        self.code == other.code && self.what == other.what && self.rank() == other.rank()
    }
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

/// All that was found, in the order of the text, each once.
#[derive(Debug, Clone, Default)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Adds one, unless the same stands at the same place already (as behind two aliases of one anchor).
    pub fn push(&mut self, problem: Problem) {
        if !self.0.iter().any(|known| known.same_as(&problem)) {
            self.0.push(problem);
            self.0.sort_by_cached_key(Problem::rank);
        }
    }

    /// Adds all of another collection.
    pub fn extend(&mut self, others: Self) {
        for problem in others.0 {
            self.push(problem);
        }
    }

    /// Each in the order of its text.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
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
        self.0.iter().filter(|p| p.severity == severity).count()
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
        Self(vec![problem])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.0.iter().map(|p| p.what.clone()).collect();
        f.write_str(&texts.join("; "))
    }
}

impl std::error::Error for Problems {}
