//! Whether plain text in YAML is the text that K3s gets: YAML 1.1 makes numbers and yes or no of some, and K3s writes
//! those out again in its own way.

/// What stands for yes, no or nothing.
const WORDS: [&str; 12] = [
    "y", "yes", "on", "true", "n", "no", "off", "false", "~", "null", ".nan", ".inf",
];

/// What YAML 1.1 makes of a word that it knows as yes or no: K3s gets `true` or `false` (yaml.v2: `resolveTable`).
pub(super) fn boolean(plain: &str) -> Option<bool> {
    match plain {
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "true" | "True" | "TRUE" => {
            Some(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "false" | "False" | "FALSE" => {
            Some(false)
        }
        _ => None,
    }
}

/// Whether K3s gets this plain text letter by letter. In doubt it does not: quotes are always possible.
pub(super) fn is_read_as_text(plain: &str) -> bool {
    let bare = plain.trim_start_matches(['+', '-']);
    let is_word = WORDS.iter().any(|word| bare.eq_ignore_ascii_case(word));
    is_kept_whole(plain) || !(is_word || plain.is_empty() || is_number(bare))
}

/// A decimal number that fits is written out as it stood.
fn is_kept_whole(plain: &str) -> bool {
    let as_written = |written: String| written == plain;
    plain
        .parse::<i64>()
        .is_ok_and(|n| as_written(n.to_string()))
        || plain
            .parse::<u64>()
            .is_ok_and(|n| as_written(n.to_string()))
}

fn is_number(bare: &str) -> bool {
    let bare: String = bare.chars().filter(|c| *c != '_').collect();
    let lower = bare.to_ascii_lowercase();
    let of_base = |prefix: &str, base: u32| {
        let digits = lower.strip_prefix(prefix);
        digits.is_some_and(|digits| digits.chars().all(|c| c.is_digit(base)))
    };
    of_base("0x", 16) || of_base("0o", 8) || of_base("0b", 2) || is_float(&lower)
}

/// `1`, `1.`, `.5`, `1.5e-3`; times such as `1:30` are numbers to base 60 in YAML 1.1.
fn is_float(text: &str) -> bool {
    let (mantissa, exponent) = match text.split_once('e') {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let is_mantissa = mantissa.bytes().any(|b| b.is_ascii_digit())
        && mantissa.matches('.').count() <= 1
        && mantissa
            .bytes()
            .all(|b| b.is_ascii_digit() || b == b'.' || b == b':');
    let is_exponent = exponent.is_none_or(|text| {
        let text = text.strip_prefix(['+', '-']).unwrap_or(text);
        !text.is_empty() && digits(text)
    });
    is_mantissa && is_exponent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_yaml_makes_a_number_of_is_not_the_text_that_stands_there() {
        for odd in [
            "0123",
            "1e5",
            "1E+5",
            "12345678901234567890123456789012",
            ".5",
            "1.",
            "0x1f",
            "0o7",
            "0b1",
            "+5",
            "1_000",
            "12:30",
            "yes",
            "No",
            "ON",
            "~",
            "Null",
            ".inf",
            "-.INF",
            ".NaN",
            "y",
            "007",
            "",
        ] {
            assert!(!is_read_as_text(odd), "{odd}");
        }
        for text in [
            "abc",
            "12345",
            "0",
            "-7",
            "18446744073709551615",
            "1e5f",
            "0x1g",
            "K10abc::server:x",
            "0123456789abcdef0123456789abcdef",
            "e5",
            ".",
            "1.2.3",
            "nobody",
            "-",
            "2026-11-22",
        ] {
            assert!(is_read_as_text(text), "{text}");
        }
    }
}
