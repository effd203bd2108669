//! The arguments that K3s is started with: variables as systemd puts them in, then flags and values.

use crate::k3s::surface::yaml::spelled_out;

/// A word of the command, and whether a variable had a part in it.
struct Word {
    text: String,
    varies: bool,
}

/// A flag with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Argument {
    /// Without dashes; the short ones of K3s are spelled out.
    pub(super) name: String,
    /// `true` for a flag without a value.
    pub(super) value: String,
    /// Whether name or value come from a variable.
    pub(super) varies: bool,
}

/// Flags of which the next word is the value, whatever it looks like.
const VALUED: [&str; 8] = [
    "token",
    "token-file",
    "agent-token",
    "agent-token-file",
    "cluster-secret",
    "server",
    "data-dir",
    "config",
];

/// Flags with their values, in order. `variable` gives the value of one that the unit sets itself; another is empty to
/// systemd.
pub(super) fn read(argv: &[String], variable: impl Fn(&str) -> Option<String>) -> Vec<Argument> {
    let mut words = Vec::new();
    for word in argv.iter().skip(1) {
        expand(word, &variable, &mut words);
    }
    let mut found = Vec::new();
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        let Some(name) = name(&word.text) else {
            continue;
        };
        let (name, value) = match name.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (name, None),
        };
        let name = spelled_out(name).to_owned();
        let mut varies = word.varies;
        let value = value.unwrap_or_else(|| {
            let takes =
                |next: &Word| VALUED.contains(&name.as_str()) || !next.text.starts_with('-');
            let next = words.next_if(takes);
            varies |= next.as_ref().is_some_and(|next| next.varies);
            next.map_or_else(|| "true".to_owned(), |next| next.text)
        });
        let value = value.trim_matches(['\'', '"']).to_owned();
        found.push(Argument {
            name,
            value,
            varies,
        });
    }
    found
}

/// Go's flags may have one dash or two.
fn name(word: &str) -> Option<&str> {
    let name = word.strip_prefix("--").or_else(|| word.strip_prefix('-'))?;
    (!name.is_empty()).then_some(name)
}

/// `${NAME}` is put in where it stands, `$NAME` as a word of its own is split at white space, and `$$` is a dollar; any
/// other dollar stands for itself (systemd.service(5); systemd: `replace_env_argv`).
fn expand(word: &str, variable: &impl Fn(&str) -> Option<String>, words: &mut Vec<Word>) {
    let alone = word.strip_prefix('$');
    if let Some(name) = alone.filter(|name| !name.starts_with(['{', '$'])) {
        let value = variable(name).unwrap_or_default();
        let parts = value.split_whitespace().map(|part| Word {
            text: part.to_owned(),
            varies: true,
        });
        words.extend(parts);
        return;
    }
    let (mut text, mut varies, mut rest) = (String::new(), false, word);
    while let Some((head, tail)) = rest.split_once('$') {
        text.push_str(head);
        if let Some(behind) = tail.strip_prefix('$') {
            text.push('$');
            rest = behind;
        } else if let Some((name, behind)) = braced(tail) {
            text.push_str(&variable(name).unwrap_or_default());
            (varies, rest) = (true, behind);
        } else {
            text.push('$');
            rest = tail;
        }
    }
    text.push_str(rest);
    words.push(Word { text, varies });
}

/// Names of the variables that systemd puts in.
pub(super) fn variables(argv: &[String]) -> impl Iterator<Item = &str> {
    argv.iter().skip(1).flat_map(|word| {
        let alone = word.strip_prefix('$');
        let alone = alone.filter(|name| !name.starts_with(['{', '$']));
        let within = word.split('$').skip(1).filter_map(braced);
        alone.into_iter().chain(within.map(|(name, _)| name))
    })
}

/// `NAME` of `{NAME}`, and what stands behind.
fn braced(tail: &str) -> Option<(&str, &str)> {
    tail.strip_prefix('{')?.split_once('}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(line: &str) -> Vec<(String, String, bool)> {
        let argv: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let variable = |name: &str| match name {
            "ARGS" => Some("--token abc  --debug".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        read(&argv, variable)
            .into_iter()
            .map(|argument| (argument.name, argument.value, argument.varies))
            .collect()
    }

    fn one(name: &str, value: &str, varies: bool) -> (String, String, bool) {
        (name.to_owned(), value.to_owned(), varies)
    }

    #[test]
    fn each_way_to_write_a_flag_is_read() {
        for line in [
            "k3s server --token abc",
            "k3s server --token=abc",
            "k3s server -t abc",
            "k3s server -t=abc",
            "k3s server -token abc",
            "k3s server '--token' 'abc'",
            "k3s server --token \"abc\"",
        ] {
            let line = line.replace("'--token'", "--token");
            assert_eq!(pairs(&line), [one("token", "abc", false)], "{line}");
        }
        let read = pairs("k3s server --cluster-init --token -abc");
        let expected = [
            one("cluster-init", "true", false),
            one("token", "-abc", false),
        ];
        assert_eq!(read, expected);
    }

    #[test]
    fn variables_of_the_unit_are_put_in_as_systemd_does() {
        let expected = [one("token", "abc", true), one("debug", "true", true)];
        assert_eq!(pairs("k3s server $ARGS"), expected);
        assert_eq!(pairs("k3s server ${EMPTY} $EMPTY"), []);
        assert_eq!(
            pairs("k3s server --token a$$b"),
            [one("token", "a$b", false)]
        );
    }

    #[test]
    fn a_variable_that_the_unit_does_not_set_is_empty_and_a_dollar_within_a_word_is_one() {
        let empty: [(String, String, bool); 0] = [];
        let argv = ["k3s", "$A", "--x=${B}/$C", "$$D"].map(str::to_owned);
        assert_eq!(variables(&argv).collect::<Vec<_>>(), ["A", "B"]);
        for word in ["$OTHER", "$OTHER/x", "$", "${OTHER}"] {
            assert_eq!(pairs(&format!("k3s server {word}")), empty, "{word}");
        }
        for (word, value, varies) in [
            ("--token=${OTHER}", "", true),
            ("--token=a${OTHER}b", "ab", true),
            ("--token=a$ARGS", "a$ARGS", false),
            ("--token=a$$ARGS", "a$ARGS", false),
            ("--token=${ARGS", "${ARGS", false),
        ] {
            let pairs = pairs(&format!("k3s server {word}"));
            assert_eq!(pairs, [one("token", value, varies)], "{word}");
        }
    }
}
