//! Secrets that no key gives away: the word behind a flag such as `--token`, and what tokens hold by their form.

use std::ops::Range;

/// What may stand around a value.
const QUOTES: [char; 2] = ['"', '\''];

/// Where the text holds values behind flags of a secret's name, and the secret parts of full tokens.
pub(super) fn spoken(text: &str) -> Vec<Range<usize>> {
    let flags = text
        .match_indices('-')
        .filter_map(|(at, _)| behind_flag(text, at));
    let tokens = text
        .match_indices("K10")
        .filter_map(|(at, _)| in_token(text, at));
    flags.chain(tokens).collect()
}

/// The value behind a flag that begins here. It may stand in quotes, in the next part of a list, or on the next line.
fn behind_flag(text: &str, at: usize) -> Option<Range<usize>> {
    let (before, flag) = text.split_at_checked(at)?;
    let within = |c: char| c.is_alphanumeric() || ['-', '_', '/', '.'].contains(&c);
    if before.ends_with(within) {
        return None;
    }
    let bare = flag.trim_start_matches('-');
    let dashes = flag.len() - bare.len();
    let length = bare
        .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'))
        .unwrap_or(bare.len());
    let (name, rest) = bare.split_at_checked(length)?;
    if !super::is_secret_name(name) && (dashes, name) != (1, "t") {
        return None;
    }
    // A key of a list's map, `-token: x`, is told by its colon elsewhere.
    let gap = gap(rest)?;
    let from = at + dashes + length + gap;
    let value = text.get(from..)?;
    let to = from + reach(value, opened(rest.get(..gap)?));
    let word = text.get(from..to)?;
    let is_expression = value.starts_with("{{")
        && value
            .split("}}")
            .next()
            .is_some_and(|inside| !inside.contains(QUOTES));
    let is_key = word.ends_with(':') && rest.get(..gap)?.contains('\n');
    (!is_expression && !is_key && !word.is_empty()).then_some(from..to)
}

/// How much stands between a flag and its value: white space, quotes, commas, comments; `None` when the word goes on.
fn gap(rest: &str) -> Option<usize> {
    let mut at = 0;
    let mut parted = false;
    while let Some(c) = rest.get(at..)?.chars().next() {
        let left = rest.get(at..)?;
        let passed = rest.get(..at)?;
        match c {
            '#' if passed.ends_with(char::is_whitespace) => {
                at += left.find('\n').unwrap_or(left.len());
            }
            '-' if left.starts_with("- ") && passed.contains('\n') => at += 1,
            '=' | ',' => (parted, at) = (true, at + 1),
            '"' | '\'' | '\\' => at += 1,
            c if c.is_whitespace() => (parted, at) = (true, at + c.len_utf8()),
            _ => break,
        }
    }
    parted.then_some(at)
}

/// The quote that opens a value.
#[derive(Clone, Copy)]
struct Opened {
    quote: char,
    /// Within other quotes, so that a backslash stands before each of the two.
    escaped: bool,
}

/// The quote that opens what stands behind this text.
fn opened(before: &str) -> Option<Opened> {
    let quote = before.chars().next_back().filter(|c| QUOTES.contains(c))?;
    let escaped = before.ends_with("\\\"");
    Some(Opened { quote, escaped })
}

/// How far a value reaches: to the quote that closes it and to the end of that word.
fn reach(value: &str, mut opened: Option<Opened>) -> usize {
    let mut chars = value.char_indices().peekable();
    let (mut backslash, mut closed) = (false, false);
    while let Some((at, c)) = chars.next() {
        let behind = backslash;
        backslash = c == '\\' && !behind;
        let was = opened.is_some();
        match opened {
            Some(by) if c == by.quote && (c == '\'' || behind == by.escaped) => {
                // In single quotes, twice is one of them within.
                let is_one = c == '\'' && chars.next_if(|(_, next)| *next == c).is_some();
                opened = opened.filter(|_| is_one);
            }
            None if behind && ['\r', '\n'].contains(&c) => {
                while chars.next_if(|(_, next)| next.is_whitespace()).is_some() {}
            }
            None if !behind && c.is_whitespace() => return at,
            None if closed && [',', ']', '}'].contains(&c) => return at,
            _ => {}
        }
        closed = was && opened.is_none();
    }
    value.len()
}

/// The secret of a full token that begins here: behind its user, or behind `::` where it has none.
fn in_token(text: &str, at: usize) -> Option<Range<usize>> {
    let (before, token) = text.split_at_checked(at)?;
    let word = token
        .split(|c: char| c.is_whitespace() || QUOTES.contains(&c))
        .next()?;
    let (hash, tail) = word.split_once("::")?;
    let whole = reach(token, opened(before));
    let user = match tail.split_once(':') {
        Some((user, _)) => user.len() + 1,
        // Of a bootstrap token's two parts all may know the first.
        None if super::secret_of_bootstrap(tail).is_some() => return None,
        None => 0,
    };
    let from = hash.len() + 2 + user;
    (from < whole).then_some(at + from..at + whole)
}
