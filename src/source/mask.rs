//! Keeps values of secret keys out of diagnostics, which show lines of the text.
//!
//! Works on lines and not on the tree, so that it also holds for a text that cannot be parsed.

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

/// The text with every value of a secret key, and the secret part of every join token, as stars, byte for byte as long as before. Names in `open` are no
/// secrets as long as they stand before a map or nothing: steps such as `k3s_token`.
#[must_use]
pub fn mask(text: &str, open: &[&str]) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut below: Option<usize> = None;
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start_matches([' ', '-']).len();
        let shown = match below {
            Some(depth) if indent > depth || line.trim().is_empty() => indent,
            _ => {
                let secret = secret_at(line, open);
                below = secret.map(|_| indent);
                secret.unwrap_or(line.len())
            }
        };
        masked.push_str(line.get(..shown).unwrap_or_default());
        masked.extend(
            line.get(shown..)
                .unwrap_or_default()
                .chars()
                .flat_map(stars),
        );
    }
    without_join_tokens(masked)
}

/// A join token is told by its shape wherever it stands: six characters that all may know, a dot, and sixteen that are secret.
fn without_join_tokens(text: String) -> String {
    let is_part = |c: char| c.is_ascii_digit() || c.is_ascii_lowercase();
    let words = text.split(|c| !is_part(c) && c != '.');
    let secret = |word: &str| {
        let (id, secret) = word.split_once('.')?;
        ((id.len(), secret.len()) == (6, 16) && !secret.contains('.')).then(|| secret.to_owned())
    };
    let secrets: Vec<String> = words.filter_map(secret).collect();
    let shown = |text: String, secret: &String| text.replace(secret, &"*".repeat(secret.len()));
    secrets.iter().fold(text, shown)
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
    let content = line.split(" #").next().unwrap_or(line);
    content
        .match_indices([':', '='])
        .map(|(at, _)| at)
        .find(|at| {
            let (before, after) = content.split_at(*at);
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
mod tests {
    use super::{is_secret_name, mask};

    #[test]
    fn the_secret_of_a_join_token_is_covered_wherever_it_stands() {
        let text = "id: abcdef.0123456789abcdef, \"K10ab::abcdef.fedcba9876543210\" but a file.0123456789abcdef";
        let shown = mask(text, &[]);
        let stars = "*".repeat(16);
        assert_eq!(
            shown,
            format!("id: abcdef.{stars}, \"K10ab::abcdef.{stars}\" but a file.{stars}")
        );
        assert_eq!(mask("at: 10.0.0.1 abc.def", &[]), "at: 10.0.0.1 abc.def");
    }

    #[test]
    fn a_secret_name_is_known_by_its_last_word() {
        for name in [
            "token",
            "k3s_token",
            "ansible_become_password",
            "ansible_sudo_pass",
            "K3S_TOKEN",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["tokens", "token_file", "bypass", "user"] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn a_secret_value_is_starred_and_nothing_moves() {
        let text = "a: 1\ntoken: \"häm mer\" # x\nb: {k3s_token: x, c: d}\n";
        let masked = mask(text, &[]);
        assert_eq!(masked.len(), text.len());
        assert_eq!(
            masked,
            "a: 1\ntoken: ***** **** * *\nb: {k3s_token: ** ** **\n"
        );
    }

    #[test]
    fn a_block_below_a_secret_key_is_starred_to_its_end() {
        let masked = mask("x:\n  token: |\n    one\n\n    two\n  b: c\n", &[]);
        assert_eq!(masked, "x:\n  token: *\n    ***\n\n    ***\n  b: c\n");
    }

    #[test]
    fn a_text_on_the_line_below_is_starred() {
        assert_eq!(mask("token:\n  one\nb: c\n", &[]), "token:\n  ***\nb: c\n");
        assert_eq!(mask("token: # why\n  one\n", &[]), "token: * ***\n  ***\n");
    }

    #[test]
    fn a_step_of_such_a_name_stays_readable() {
        let text = "- k3s_token: { state: staged }\n";
        assert_eq!(mask(text, &["k3s_token"]), text);
        let text = "- k3s_token:\n    state: staged\n";
        assert_eq!(mask(text, &["k3s_token"]), text);
    }

    #[test]
    fn a_variable_called_like_a_step_is_starred() {
        assert_eq!(
            mask("vars: {k3s_token: abc}\n", &["k3s_token"]),
            "vars: {k3s_token: ****\n"
        );
    }

    #[test]
    fn an_ini_line_is_starred_too() {
        assert_eq!(
            mask("h1 ansible_become_password=abc port=1\n", &[]),
            "h1 ansible_become_password=*** ******\n"
        );
    }
}
