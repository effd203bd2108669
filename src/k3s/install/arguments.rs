//! The arguments that K3s is started with: variables as systemd puts them in, then flags and values.

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

/// What cannot be made out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UnknownVariable;

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

/// Flags with their values, in order. `variable` gives the value of one that the unit sets itself.
pub(super) fn read(
    argv: &[String],
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Vec<Argument>, UnknownVariable> {
    let mut words = Vec::new();
    for word in argv.iter().skip(1) {
        expand(word, &variable, &mut words)?;
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
    Ok(found)
}

/// Go's flags may have one dash or two.
fn name(word: &str) -> Option<&str> {
    let name = word.strip_prefix("--").or_else(|| word.strip_prefix('-'))?;
    (!name.is_empty()).then_some(name)
}

fn spelled_out(name: &str) -> &str {
    match name {
        "t" => "token",
        "s" => "server",
        "d" => "data-dir",
        "c" => "config",
        name => name,
    }
}

/// `${NAME}` is put in where it stands, `$NAME` as a word of its own is split at white space, and `$$` is a dollar.
fn expand(
    word: &str,
    variable: &impl Fn(&str) -> Option<String>,
    words: &mut Vec<Word>,
) -> Result<(), UnknownVariable> {
    if let Some(name) = word.strip_prefix('$').filter(|name| is_name(name)) {
        let value = variable(name).ok_or(UnknownVariable)?;
        let parts = value.split_whitespace().map(|part| Word {
            text: part.to_owned(),
            varies: true,
        });
        words.extend(parts);
        return Ok(());
    }
    let (mut text, mut varies, mut rest) = (String::new(), false, word);
    while let Some((head, tail)) = rest.split_once('$') {
        text.push_str(head);
        if let Some(behind) = tail.strip_prefix('$') {
            text.push('$');
            rest = behind;
        } else {
            let (name, behind) = tail
                .strip_prefix('{')
                .and_then(|tail| tail.split_once('}'))
                .filter(|(name, _)| is_name(name))
                .ok_or(UnknownVariable)?;
            text.push_str(&variable(name).ok_or(UnknownVariable)?);
            (varies, rest) = (true, behind);
        }
    }
    text.push_str(rest);
    words.push(Word { text, varies });
    Ok(())
}

fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(line: &str) -> Result<Vec<(String, String, bool)>, UnknownVariable> {
        let argv: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let variable = |name: &str| match name {
            "ARGS" => Some("--token abc  --debug".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let read = read(&argv, variable)?;
        Ok(read
            .into_iter()
            .map(|argument| (argument.name, argument.value, argument.varies))
            .collect())
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
            assert_eq!(
                pairs(&line).unwrap(),
                [one("token", "abc", false)],
                "{line}"
            );
        }
        let read = pairs("k3s server --cluster-init --token -abc").unwrap();
        let expected = [
            one("cluster-init", "true", false),
            one("token", "-abc", false),
        ];
        assert_eq!(read, expected);
    }

    #[test]
    fn variables_of_the_unit_are_put_in_as_systemd_does() {
        let expected = [one("token", "abc", true), one("debug", "true", true)];
        assert_eq!(pairs("k3s server $ARGS").unwrap(), expected);
        assert_eq!(pairs("k3s server ${EMPTY} $EMPTY").unwrap(), []);
        assert_eq!(
            pairs("k3s server --token a$$b").unwrap(),
            [one("token", "a$b", false)]
        );
        for unknown in ["$OTHER", "--token=${OTHER}", "--token=a$ARGS", "${ARGS"] {
            assert_eq!(
                pairs(&format!("k3s server {unknown}")),
                Err(UnknownVariable)
            );
        }
    }
}
