//! Durations as playbooks and steps write them: `20s`, `5m`, `1h30m`, `250ms`; a bare number is seconds.

use std::time::Duration;

const UNITS: [(&str, f64); 5] = [
    ("ms", 0.001),
    ("s", 1.0),
    ("m", 60.0),
    ("h", 3600.0),
    ("d", 86_400.0),
];
const LONGEST_DAYS: u64 = 365;

/// Reads a duration; `None` when it is none, or longer than a year.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    let seconds = text
        .parse::<u32>()
        .map(f64::from)
        .ok()
        .or_else(|| with_units(text))?;
    let longest = Duration::from_hours(24 * LONGEST_DAYS);
    let duration = Duration::try_from_secs_f64(seconds).ok()?;
    (duration <= longest).then_some(duration)
}

fn with_units(mut text: &str) -> Option<f64> {
    let mut seconds = 0.0;
    while !text.is_empty() {
        let digits = text.len()
            - text
                .trim_start_matches(|c: char| c.is_ascii_digit() || c == '.')
                .len();
        let (number, rest) = text.split_at_checked(digits)?;
        let letters = rest.len()
            - rest
                .trim_start_matches(|c: char| c.is_ascii_alphabetic())
                .len();
        let (unit, rest) = rest.split_at_checked(letters)?;
        let factor = UNITS.iter().find(|(name, _)| *name == unit)?.1;
        seconds += number.parse::<f64>().ok()? * factor;
        text = rest.trim_start();
    }
    Some(seconds)
}

#[cfg(test)]
mod tests {
    use super::duration as parse;
    use std::time::Duration;

    #[test]
    fn units_and_bare_seconds_are_read() {
        let seconds = |text| parse(text).map(|d| d.as_secs_f64());
        assert_eq!(seconds("20s"), Some(20.0));
        assert_eq!(seconds("5m"), Some(300.0));
        assert_eq!(seconds("1h30m"), Some(5400.0));
        assert_eq!(seconds("1.5s"), Some(1.5));
        assert_eq!(seconds("90"), Some(90.0));
        assert_eq!(parse("250ms"), Some(Duration::from_millis(250)));
    }

    #[test]
    fn anything_else_is_no_duration() {
        for text in [
            "",
            "s",
            "5x",
            "5 minutes",
            "-3s",
            "1e9",
            "5m3",
            "999999999",
            "nan",
            "..s",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
