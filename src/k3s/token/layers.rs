//! What people paste together with a token: quotes, the name of the setting, marks that cannot be seen.

/// What stands around a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layer<'a> {
    /// The mark with which some editors begin a file.
    ByteOrderMark,
    /// White space on either side.
    Blanks,
    /// `K3S_TOKEN=`, `token:` and their like, as written.
    Name(&'a str),
    /// A pair of quotes.
    Quotes(char, char),
    /// A quote on one side alone.
    Quote(char),
}

const MARK: char = '\u{feff}';

/// In straight and in typographic form.
const QUOTES: [(char, char); 7] = [
    ('"', '"'),
    ('\'', '\''),
    ('`', '`'),
    ('“', '”'),
    ('„', '“'),
    ('‘', '’'),
    ('«', '»'),
];

/// Settings and variables that hold a token, in lower case and with `_` for `-`.
const NAMES: [&str; 10] = [
    "token",
    "k3s_token",
    "agent_token",
    "k3s_agent_token",
    "server_token",
    "node_token",
    "join_token",
    "cluster_secret",
    "k3s_cluster_secret",
    "k3s_cluster_token",
];

/// The outermost layer, and what is left without it.
pub(super) fn outer(text: &str) -> Option<(Layer<'_>, &str)> {
    if let Some(rest) = text.strip_prefix(MARK) {
        return Some((Layer::ByteOrderMark, rest));
    }
    let trimmed = text.trim();
    if trimmed.len() != text.len() {
        return Some((Layer::Blanks, trimmed));
    }
    if let Some((name, rest)) = named(text) {
        return Some((Layer::Name(name), rest));
    }
    quoted(text)
}

/// The name of a setting with what parts it from its value, and the value.
pub(super) fn named(text: &str) -> Option<(&str, &str)> {
    let mut key = text;
    for word in ["export ", "- ", "--"] {
        key = key.strip_prefix(word).unwrap_or(key).trim_start();
    }
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    let end = key.find(|c| !is_part(c))?;
    let (name, rest) = key.split_at_checked(end)?;
    let name = name.to_lowercase().replace('-', "_");
    let is_flag = text.trim_start_matches("- ").starts_with("--");
    let parts = |c: char| "=:".contains(c) || is_flag && c == ' ';
    let value = rest.trim_start_matches(' ').strip_prefix(['=', ':']);
    let value = value.or_else(|| rest.strip_prefix(parts))?.trim_start();
    let head = text.len().checked_sub(value.len())?;
    // `token::…` is no setting.
    let is_known = NAMES.contains(&name.as_str()) && !value.starts_with(':');
    is_known.then(|| text.split_at_checked(head)).flatten()
}

fn quoted(text: &str) -> Option<(Layer<'_>, &str)> {
    let pair = QUOTES.into_iter().find_map(|(open, close)| {
        let inner = text.strip_prefix(open)?.strip_suffix(close)?;
        Some((Layer::Quotes(open, close), inner))
    });
    let single = || {
        let (first, last) = (text.chars().next()?, text.chars().next_back()?);
        let is_quote = |c: char| QUOTES.iter().any(|(open, close)| c == *open || c == *close);
        if text.chars().filter(|c| is_quote(*c)).count() != 1 {
            return None;
        }
        let (quote, inner) = if is_quote(first) {
            (first, text.strip_prefix(first)?)
        } else {
            (last, text.strip_suffix(is_quote)?)
        };
        (!inner.is_empty()).then_some((Layer::Quote(quote), inner))
    };
    pair.or_else(single)
}

/// What was to be replaced by a token, and was not.
pub(super) fn placeholder(text: &str) -> Option<String> {
    let name = |text: &str| {
        let is_part = |c: char| c.is_ascii_alphanumeric() || "-_ .".contains(c);
        !text.is_empty() && text.chars().all(is_part)
    };
    let between = |open: &str, close: &str| {
        let inner = text
            .strip_prefix(open)
            .and_then(|rest| rest.strip_suffix(close));
        inner.is_some_and(name)
    };
    let is_variable = between("${", "}") || text.strip_prefix('$').is_some_and(name);
    if is_variable {
        return Some("it is the name of a variable of a shell, not its value".to_owned());
    }
    if between("{{", "}}") {
        return Some("it is an expression of a template, not its value".to_owned());
    }
    if between("<", ">") {
        return Some("it is the name of a value in angle brackets, not the value".to_owned());
    }
    if text.starts_with("$(") && text.ends_with(')') {
        return Some("it is a command of a shell, not what that prints".to_owned());
    }
    let is_mask = text.chars().all(|c| c == '*');
    is_mask.then(|| "it is a row of asterisks, as programs show instead of a secret".to_owned())
}

/// Whether it leaves no trace on a screen and is no white space.
pub(super) fn is_unseen(c: char) -> bool {
    let is_format = matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | MARK);
    !c.is_whitespace() && (c.is_control() || is_format)
}

/// A character that cannot be shown, in words.
pub(super) fn word(c: char) -> String {
    let name = match c {
        '\0' => "NUL",
        '\u{7}' => "BEL",
        '\u{8}' => "a backspace",
        '\t' => "a tab",
        '\u{1b}' => "an escape character",
        ' ' => "a blank",
        '\u{a0}' => "a no-break space",
        '\u{ad}' => "a soft hyphen",
        '\u{7f}' => "DEL",
        '\u{200b}' => "a zero-width space",
        MARK => "a byte order mark",
        c if c.is_control() => "a control character",
        c if c.is_whitespace() => "white space",
        _ => "a character that cannot be seen",
    };
    format!("{name} (U+{:04X})", u32::from(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_known_with_what_parts_it_from_its_value() {
        for (text, parts) in [
            ("K3S_TOKEN=a", Some(("K3S_TOKEN=", "a"))),
            ("k3s_token = a", Some(("k3s_token = ", "a"))),
            ("export K3S_TOKEN='a'", Some(("export K3S_TOKEN=", "'a'"))),
            ("token: \"a\"", Some(("token: ", "\"a\""))),
            ("agent-token: a", Some(("agent-token: ", "a"))),
            ("--token a", Some(("--token ", "a"))),
            ("--agent-token=a", Some(("--agent-token=", "a"))),
            ("- --token=a", Some(("- --token=", "a"))),
            ("token a", None),
            ("token::a", None),
            ("token:", Some(("token:", ""))),
            ("tokens=a", None),
            ("mytoken=a", None),
            ("tokena", None),
            ("=a", None),
            ("", None),
        ] {
            assert_eq!(named(text), parts, "{text}");
        }
    }
}
