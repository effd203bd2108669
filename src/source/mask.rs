//! Keeps values of secret keys out of diagnostics, which show lines of the text.
//!
//! Works on lines and not on the tree, so that it also holds for a text that cannot be parsed.

/// Whether a variable of this name holds a secret: `token`, `k3s_token`, `ansible_become_password`, …
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["token", "password", "pass", "secret"].iter().any(|word| {
        name.strip_suffix(word)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with(['_', '-']))
    })
}

/// The text with every value of a secret key as stars, byte for byte as long as before. Names in `open` are no
/// secrets whatever they are called: steps such as `k3s_token`.
#[must_use]
pub fn mask(text: &str, open: &[&str]) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut below: Option<usize> = None;
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start_matches([' ', '-']).len();
        let inside = below.is_some_and(|depth| indent > depth || line.trim().is_empty());
        let shown = if inside {
            indent.min(line.len())
        } else {
            below = None;
            visible(line, open)
        };
        if !inside && shown < line.len() {
            below = Some(indent);
        }
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

fn stars(c: char) -> impl Iterator<Item = char> {
    let (c, count) = if c.is_whitespace() {
        (c, 1)
    } else {
        ('*', c.len_utf8())
    };
    std::iter::repeat_n(c, count)
}

/// Bytes of the line before the first secret value; its whole length when there is none.
fn visible(line: &str, open: &[&str]) -> usize {
    line.match_indices([':', '='])
        .filter(|(at, _)| {
            let before = line
                .get(..*at)
                .unwrap_or_default()
                .trim_end()
                .trim_end_matches(['"', '\'']);
            let name = before
                .rsplit(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'))
                .next();
            name.is_some_and(|name| is_secret_name(name) && !open.contains(&name))
        })
        .map(|(at, _)| at + 1)
        .find(|at| !line.get(*at..).unwrap_or_default().trim().is_empty())
        .unwrap_or(line.len())
}

#[cfg(test)]
mod tests {
    use super::{is_secret_name, mask};

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
    fn a_step_of_such_a_name_stays_readable() {
        let text = "- k3s_token: { state: staged }\n";
        assert_eq!(mask(text, &["k3s_token"]), text);
    }

    #[test]
    fn an_ini_line_is_starred_too() {
        assert_eq!(
            mask("h1 ansible_become_password=abc port=1\n", &[]),
            "h1 ansible_become_password=*** ******\n"
        );
    }
}
