//! How hard a secret is to guess, and which of its characters some file format would read differently.

/// What there is to guess of a secret. There is one way to count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Strength {
    /// Characters.
    pub(super) length: usize,
    /// Characters after which it only repeats itself; its whole length when it never does.
    pub(super) period: usize,
    /// At most, by kind of characters and by what does not repeat itself.
    pub(super) bits: usize,
}

impl Strength {
    pub(super) fn of(text: &str) -> Self {
        let pattern = text.get(..period(text)).unwrap_or(text);
        Self {
            length: text.chars().count(),
            period: pattern.chars().count(),
            bits: bits(pattern),
        }
    }

    /// Whether it repeats a pattern.
    pub(super) fn repeats(self) -> bool {
        self.period < self.length
    }
}

/// At most, by length and kind of characters.
fn bits(text: &str) -> usize {
    let all = |is: fn(&u8) -> bool| text.bytes().all(|byte| is(&byte));
    // Tenths of a bit for each character.
    let tenths = if all(u8::is_ascii_digit) {
        33
    } else if all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase()) {
        40
    } else {
        60
    };
    text.chars().count() * tenths / 10
}

/// Bytes after which it only repeats itself; its whole length when it never does.
fn period(text: &str) -> usize {
    let bytes = text.as_bytes();
    // Length of the longest beginning that is also an end, for every beginning.
    let mut border = vec![0_usize; bytes.len()];
    let mut known = 0;
    for at in 1..bytes.len() {
        while known > 0 && bytes.get(known) != bytes.get(at) {
            known = border.get(known - 1).copied().unwrap_or_default();
        }
        known += usize::from(bytes.get(known) == bytes.get(at));
        if let Some(slot) = border.get_mut(at) {
            *slot = known;
        }
    }
    let period = bytes.len() - border.last().copied().unwrap_or_default();
    // One that has not come round twice yet is no pattern.
    if period * 2 <= bytes.len() {
        period
    } else {
        bytes.len()
    }
}

/// The first character that CSV, YAML, systemd or a shell may read differently.
#[must_use]
pub(super) fn dangerous(text: &str) -> Option<char> {
    text.chars()
        .find(|c| !c.is_ascii_alphanumeric() && !"-_.+/=~".contains(*c))
}

/// Whether YAML takes it for a number when it stands without quotes.
#[must_use]
pub(super) fn is_number(text: &str) -> bool {
    let plain = text.replace('_', "");
    let based = |prefix: &str, radix: u32| {
        plain.strip_prefix(prefix).is_some_and(|digits| {
            !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix))
        })
    };
    let written = plain
        .chars()
        .all(|c| c.is_ascii_digit() || "+-.eE".contains(c));
    based("0x", 16) || based("0o", 8) || written && plain.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_known_as_yaml_knows_them() {
        for number in ["123", "1e5", "1_000", "0x1f", "0o17", "-1.5", "12345e678"] {
            assert!(is_number(number), "{number}");
        }
        for word in ["1f", "e5", "1e5x", "0x", "abc", "1.2.3"] {
            assert!(!is_number(word), "{word}");
        }
    }

    #[test]
    fn digits_carry_less_than_hex_and_hex_less_than_letters() {
        assert_eq!(
            (bits("0123456789"), bits("0123456789a"), bits("zz")),
            (33, 44, 12)
        );
    }

    #[test]
    fn what_repeats_itself_counts_once() {
        let all = Strength::of("12345678901234567890123456789012");
        assert_eq!((all.length, all.period, all.bits), (32, 10, 33));
        let none = Strength::of("0123456789abcdef");
        assert_eq!((none.repeats(), none.bits), (false, 64));
        let wide = Strength::of("äöäöäö");
        assert_eq!((wide.length, wide.period), (6, 2));
    }

    proptest! {
        #[test]
        fn a_pattern_that_is_repeated_is_found(pattern in "[a-z0-9]{1,20}", times in 2_usize..9) {
            let text = pattern.repeat(times);
            let found = period(&text);
            prop_assert!(found <= pattern.len());
            prop_assert_eq!(pattern.repeat(times).get(..found).unwrap().repeat(text.len() / found), text);
        }
    }
}
