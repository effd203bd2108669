//! Ages: `90d`, `12w`, `36h`.

use std::str::FromStr;
use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

/// An age that is not to be exceeded; a day has 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxAge(pub Duration);

impl FromStr for MaxAge {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let help = || format!("`{text}` is no age: write 90d, 12w or 36h");
        let span: Span = text.parse().map_err(|_| help())?;
        let days = SpanRelativeTo::days_are_24_hours();
        let signed = span.to_duration(days).map_err(|_| help())?;
        let age = Duration::try_from(signed).map_err(|_| help())?;
        if age.is_zero() {
            return Err(help());
        }
        Ok(Self(age))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_weeks_and_hours_are_ages_and_nothing_negative_or_open() {
        let hours = |text: &str| text.parse().map(|MaxAge(age)| age.as_secs() / 3_600);
        assert_eq!(hours("90d"), Ok(90 * 24));
        assert_eq!(hours("12w"), Ok(12 * 7 * 24));
        assert_eq!(hours("1d 12h"), Ok(36));
        for text in ["", "90", "d", "-5d", "0d", "3 months", "1y", "soon"] {
            assert!(hours(text).unwrap_err().contains("90d"), "{text}");
        }
    }
}
