//! Finds secrets by value and covers them, in every spelling that hosts and programs use.
//!
//! Stands at the one edge between the loop and the sinks, so that no sink can forget it.

use std::collections::HashSet;

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};

use crate::secret::Secret;

/// Shorter secrets are not searched: they would cover half of each text.
const SHORTEST: usize = 4;

/// Knows the run's secrets.
#[derive(Debug, Default)]
pub struct Redactor {
    known: HashSet<Secret>,
    spellings: Vec<String>,
    search: Option<AhoCorasick>,
}

impl Redactor {
    /// Learns a secret; texts are searched for it from now on.
    pub fn learn(&mut self, secret: &Secret) {
        if secret.expose().len() < SHORTEST || !self.known.insert(secret.clone()) {
            return;
        }
        self.spellings.extend(spellings(secret.expose()));
        self.spellings.sort_unstable();
        self.spellings.dedup();
        self.search = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(&self.spellings)
            .ok();
    }

    /// Covers every secret in a text with `***`.
    pub fn redact(&self, text: &mut String) {
        let Some(search) = self
            .search
            .as_ref()
            .filter(|search| search.is_match(text.as_str()))
        else {
            return;
        };
        let mut covered = String::with_capacity(text.len());
        search.replace_all_with(text, &mut covered, |_, _, out| {
            out.push_str("***");
            true
        });
        *text = covered;
    }
}

/// The value bare, in base64 at each alignment, percent-encoded, and escaped as in JSON and in a shell.
fn spellings(secret: &str) -> Vec<String> {
    let mut all = vec![
        secret.to_owned(),
        STANDARD.encode(secret),
        URL_SAFE.encode(secret),
    ];
    for before in 0..3 {
        let inner = inside_base64(secret.as_bytes(), before);
        all.push(inner.replace('+', "-").replace('/', "_"));
        all.push(inner);
    }
    let percent = percent_encoding::utf8_percent_encode(secret, percent_encoding::NON_ALPHANUMERIC)
        .to_string();
    let light = percent
        .replace("%2D", "-")
        .replace("%2E", ".")
        .replace("%5F", "_")
        .replace("%7E", "~");
    all.extend([
        percent.to_lowercase_escapes(),
        light.to_lowercase_escapes(),
        percent,
        light,
    ]);
    let json = serde_json::Value::from(secret).to_string();
    let twice = serde_json::Value::from(json.trim_matches('"')).to_string();
    all.extend([json, twice].map(|quoted| {
        quoted
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .unwrap_or(&quoted)
            .to_owned()
    }));
    all.extend([
        secret.replace('\'', r"'\''"),
        secret.escape_debug().to_string(),
    ]);
    all.retain(|spelling| spelling.len() >= SHORTEST);
    all
}

/// The characters of a base64 text that only the secret decides when `before` other bytes stand in front of it.
fn inside_base64(secret: &[u8], before: usize) -> String {
    let mut bytes = vec![0; before];
    bytes.extend_from_slice(secret);
    let whole = bytes.len() * 8 / 6;
    let own = (before * 8).div_ceil(6);
    STANDARD_NO_PAD
        .encode(bytes)
        .chars()
        .take(whole)
        .skip(own)
        .collect()
}

trait Escapes {
    fn to_lowercase_escapes(&self) -> String;
}

impl Escapes for String {
    /// `%2F` as `%2f`, the rest unchanged.
    fn to_lowercase_escapes(&self) -> String {
        let mut left = 0;
        let lowered = |c: char| {
            left = if c == '%' { 3_u8 } else { left }.saturating_sub(1);
            if left > 0 || c == '%' {
                c.to_ascii_lowercase()
            } else {
                c
            }
        };
        self.chars().map(lowered).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covered(secret: &str, text: &str) -> String {
        let mut redactor = Redactor::default();
        redactor.learn(&Secret::new(secret));
        let mut text = text.to_owned();
        redactor.redact(&mut text);
        text
    }

    #[test]
    fn the_k10_form_is_covered_through_its_bare_secret() {
        assert_eq!(
            covered("canary-7f", "K10ab::server:canary-7f."),
            "K10ab::server:***."
        );
    }

    #[test]
    fn base64_is_covered_at_each_alignment_in_both_alphabets() {
        let secret = "c4n4ry?>/~~longer";
        for before in ["", "x", "xy", "server:", "K10abc::server:"] {
            for text in [
                STANDARD.encode(format!("{before}{secret}!")),
                URL_SAFE.encode(format!("{before}{secret}")),
            ] {
                let seen = covered(secret, &text);
                assert!(seen.contains("***"), "{text} → {seen}");
                assert!(seen.len() < text.len() - secret.len(), "{text} → {seen}");
            }
        }
    }

    #[test]
    fn url_json_and_shell_spellings_are_covered() {
        let secret = "a\"b/c'd é\\e";
        let url = percent_encoding::utf8_percent_encode(secret, percent_encoding::NON_ALPHANUMERIC)
            .to_string();
        let json = serde_json::Value::from(secret).to_string();
        for text in [
            url.clone(),
            url.to_lowercase_escapes(),
            json.clone(),
            serde_json::Value::from(json).to_string(),
        ] {
            let seen = covered(secret, &text);
            assert!(
                seen.contains("***") && !seen.contains('b'),
                "{text} → {seen}"
            );
        }
    }

    #[test]
    fn a_short_secret_is_not_searched_and_other_text_stays() {
        assert_eq!(covered("abc", "abc"), "abc");
        assert_eq!(covered("canary-7f", "nothing here"), "nothing here");
    }
}
