//! Colours, when they are wanted.

/// Paints texts, or leaves them as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// No colours.
    Plain,
    /// ANSI colours.
    Colour,
}

impl Paint {
    /// `CLICOLOR_FORCE` wins over `NO_COLOR`, which wins over a terminal.
    #[must_use]
    pub fn wanted(terminal: bool, no_color: bool, forced: bool) -> Self {
        if forced || terminal && !no_color {
            Self::Colour
        } else {
            Self::Plain
        }
    }

    pub(super) fn red(self, text: &str) -> String {
        self.with("31;1", text)
    }

    pub(super) fn green(self, text: &str) -> String {
        self.with("32", text)
    }

    pub(super) fn yellow(self, text: &str) -> String {
        self.with("33", text)
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Colour => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Paint;

    #[test]
    fn no_color_and_clicolor_force_are_respected() {
        assert_eq!(Paint::wanted(true, false, false), Paint::Colour);
        assert_eq!(Paint::wanted(true, true, false), Paint::Plain);
        assert_eq!(Paint::wanted(false, false, false), Paint::Plain);
        assert_eq!(Paint::wanted(false, true, true), Paint::Colour);
    }
}
