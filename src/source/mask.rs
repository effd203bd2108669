//! Keeps values of secret keys out of diagnostics, which show lines of the text.
//!
//! Works on lines and not on the tree, so that it also holds for a text that cannot be parsed.

mod spoken;

use std::ops::Range;

use miette::NamedSource;

use super::SourceText;

/// Whether a variable of this name holds a secret: `token`, `k3s_token`, `ansible_become_password`, …
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["token", "password", "pass", "secret"].iter().any(|word| {
        name.strip_suffix(word)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with(['_', '-']))
    })
}

/// The text with every value of a secret key or flag, and the secret part of every token, as stars, byte for byte as long
/// as before. Names in `open` are no secrets as long as they stand before a map or nothing: steps such as `k3s_token`.
#[must_use]
pub fn mask(text: &str, open: &[&str]) -> String {
    // What stands behind flags is looked for in the text as it is: stars hide where a value ends.
    let spoken = spoken::spoken(text);
    without_join_tokens(starred(&of_keys(text, open), &spoken))
}

/// The text with these parts of it as stars.
fn starred(text: &str, parts: &[Range<usize>]) -> String {
    let mut parts = parts.to_vec();
    parts.sort_by_key(|part| part.start);
    let mut shown = String::with_capacity(text.len());
    let mut at = 0;
    for Range { start, end } in parts {
        let start = start.max(at);
        shown.push_str(text.get(at..start).unwrap_or_default());
        let hidden = text.get(start..end).unwrap_or_default();
        shown.extend(hidden.chars().flat_map(stars));
        at = end.max(start);
    }
    shown + text.get(at..).unwrap_or_default()
}

fn of_keys(text: &str, open: &[&str]) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut below: Option<usize> = None;
    let mut asked = false;
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start_matches([' ', '-']).len();
        let shown = match below {
            Some(depth) if indent > depth || line.trim().is_empty() => indent,
            _ => {
                let answer = line.trim_start().starts_with(':').then_some(indent + 1);
                let secret = answer.filter(|_| asked).or_else(|| secret_at(line, open));
                // A secret's name in a comment says nothing about the lines below.
                let told = secret.filter(|at| comment(line).is_none_or(|comment| *at <= comment));
                below = told.map(|_| indent);
                secret.unwrap_or(line.len())
            }
        };
        let key = line.trim().strip_prefix("? ");
        asked = key.is_some_and(|key| is_secret_name(key.trim().trim_matches(['"', '\''])));
        masked.push_str(line.get(..shown).unwrap_or_default());
        masked.extend(
            line.get(shown..)
                .unwrap_or_default()
                .chars()
                .flat_map(stars),
        );
    }
    masked
}

/// Where a comment begins, or what looks like one.
fn comment(line: &str) -> Option<usize> {
    let indent = line.len() - line.trim_start().len();
    let whole = line.trim_start().starts_with('#').then_some(indent);
    whole.or_else(|| line.find(" #"))
}

/// A join token is told by its shape wherever it stands: six characters that all may know, a dot, and sixteen that are secret.
fn without_join_tokens(text: String) -> String {
    let is_part = |c: char| c.is_ascii_digit() || c.is_ascii_lowercase();
    let words = text.split(|c| !is_part(c) && c != '.');
    let secrets = words.filter_map(secret_of_bootstrap).map(str::to_owned);
    let secrets: Vec<String> = secrets.collect();
    let shown = |text: String, secret: &String| text.replace(secret, &"*".repeat(secret.len()));
    secrets.iter().fold(text, shown)
}

/// What is secret of a word of that form.
fn secret_of_bootstrap(word: &str) -> Option<&str> {
    let (id, secret) = word.split_once('.')?;
    ((id.len(), secret.len()) == (6, 16) && !secret.contains('.')).then_some(secret)
}

/// The same text with these values as stars, byte for byte as long; short ones would cover half of it.
#[must_use]
pub fn cover(text: &SourceText, values: &[&str]) -> SourceText {
    let mut covered = text.inner().clone();
    for value in values.iter().filter(|value| value.len() >= SHORTEST) {
        let instead: String = value.chars().flat_map(stars).collect();
        covered = covered.replace(value, &instead);
    }
    std::sync::Arc::new(NamedSource::new(text.name(), covered))
}

/// Of a value that is covered wherever it stands.
const SHORTEST: usize = 4;

fn stars(c: char) -> impl Iterator<Item = char> {
    let (c, count) = if c.is_whitespace() {
        (c, 1)
    } else {
        ('*', c.len_utf8())
    };
    std::iter::repeat_n(c, count)
}

/// Where the first secret value of the line begins.
fn secret_at(line: &str, open: &[&str]) -> Option<usize> {
    line.match_indices([':', '='])
        .map(|(at, _)| at)
        .find(|at| {
            let (before, after) = line.split_at(*at);
            let before = before.trim_end().trim_end_matches(['"', '\'']);
            let name = before
                .rsplit(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'))
                .next()
                .unwrap_or_default();
            let value = after.get(1..).unwrap_or_default().trim_start();
            let is_step =
                open.contains(&name) && (value.is_empty() || value.starts_with(['{', '&', '*']));
            is_secret_name(name) && !is_step
        })
        .map(|at| at + 1)
}

#[cfg(test)]
mod tests;
