//! Problems as people read them: the lines of the text, a caret, advice.

use std::fmt::Write as _;

use miette::{GraphicalReportHandler, GraphicalTheme, ThemeCharacters, ThemeStyles};

use super::{Problem, Problems};
use crate::model::count;

/// More are only counted.
const MOST_SHOWN: usize = 50;

/// How problems are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Whether colours may be used.
    pub colours: bool,
    /// Whether characters beyond ASCII may be used.
    pub unicode: bool,
    /// Columns of the terminal.
    pub width: usize,
}

impl Default for Look {
    fn default() -> Self {
        Self {
            colours: false,
            unicode: false,
            width: 100,
        }
    }
}

impl Look {
    fn handler(self) -> GraphicalReportHandler {
        let theme = GraphicalTheme {
            characters: if self.unicode {
                ThemeCharacters::unicode()
            } else {
                ThemeCharacters::ascii()
            },
            styles: if self.colours {
                ThemeStyles::ansi()
            } else {
                ThemeStyles::none()
            },
        };
        GraphicalReportHandler::new_themed(theme)
            .with_width(self.width)
            .with_links(false)
            .with_context_lines(1)
            .without_syntax_highlighting()
    }
}

impl Problem {
    /// One problem drawn.
    #[must_use]
    pub fn render(&self, look: Look) -> String {
        let mut drawn = String::new();
        match look.handler().render_report(&mut drawn, self) {
            Ok(()) => drawn,
            Err(_) => format!("{}: {}\n", self.code, self.what),
        }
    }
}

impl Problems {
    /// All problems drawn one under the other, then their number.
    #[must_use]
    pub fn render(&self, look: Look) -> String {
        let shown = self
            .iter()
            .take(MOST_SHOWN)
            .map(|problem| problem.render(look));
        let mut drawn = shown.collect::<Vec<_>>().join("\n");
        let counts = [
            (self.errors(), "mistake", "mistakes"),
            (self.warnings(), "warning", "warnings"),
        ];
        let counts: Vec<String> = counts
            .into_iter()
            .filter(|(number, _, _)| *number > 0)
            .map(|(number, one, many)| count(number, one, many))
            .collect();
        // Writing to a String cannot fail.
        let _written = writeln!(drawn, "\n{}", counts.join(", "));
        drawn
    }
}
