//! `-e`: variables on the command line. Others see a command line, so a secret is refused there.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

use crate::source::{is_secret_name, mask};

/// One `-e`: the variables that it sets.
#[derive(Debug, Clone, PartialEq)]
pub struct ExtraVar(pub Map<String, Value>);

impl FromStr for ExtraVar {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let map = if text.trim_start().starts_with('{') {
            serde_json::from_str(text).map_err(|error| format!("it is no JSON object: {error}"))?
        } else {
            pairs(text)?
        };
        match secret_in(&map) {
            Some(key) => Err(format!(
                "`{key}` would put a secret where every user of this machine sees it: give a new token with --new-token-from, sudo's password with -K or --become-password-file, and anything else in a file of the inventory"
            )),
            None => Ok(Self(map)),
        }
    }
}

impl fmt::Display for ExtraVar {
    /// As it can be given to `-e` again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pair = |(key, value): (&String, &Value)| {
            let pair = format!("{key}={}", value.as_str()?);
            let pair = shlex::try_quote(&pair).ok()?;
            Some(pair.into_owned())
        };
        match self.0.iter().map(pair).collect::<Option<Vec<_>>>() {
            Some(pairs) if !pairs.is_empty() => f.write_str(&pairs.join(" ")),
            _ => write!(f, "{}", Value::from(self.0.clone())),
        }
    }
}

/// Where in the variables a secret stands, at any depth: by its name, or by the form of what is given.
fn secret_in(map: &Map<String, Value>) -> Option<String> {
    map.iter().find_map(|(key, value)| {
        // A name that is a token itself is not repeated either.
        let shown = mask(key, &[]);
        if shown != *key || is_secret_name(key) && !says_yes_or_no(value) {
            return Some(shown);
        }
        let below = secret_below(value)?;
        Some(shown + &below)
    })
}

/// The way from a value down to a secret in it.
fn secret_below(value: &Value) -> Option<String> {
    match value {
        Value::Object(map) => secret_in(map).map(|key| format!(".{key}")),
        Value::Array(items) => items.iter().enumerate().find_map(|(at, item)| {
            let below = secret_below(item)?;
            Some(format!("[{at}]{below}"))
        }),
        Value::String(text) => (mask(text, &[]) != *text).then(String::new),
        _ => None,
    }
}

/// `rotate_token=yes` gives no token away.
fn says_yes_or_no(value: &Value) -> bool {
    match value {
        Value::Bool(_) | Value::Null => true,
        Value::String(text) => ["true", "false", "yes", "no"].contains(&text.as_str()),
        _ => false,
    }
}

fn pairs(text: &str) -> Result<Map<String, Value>, String> {
    let words = shlex::split(text).ok_or("a quote is not closed")?;
    let pair = |word: &String| match word.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), Value::from(value))),
        _ => Err("it is neither KEY=VALUE nor JSON".to_owned()),
    };
    words.iter().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_and_json_are_read() {
        let pairs: ExtraVar = "a=1 b='x y'".parse().unwrap();
        assert_eq!(
            Value::from(pairs.0),
            serde_json::json!({"a": "1", "b": "x y"})
        );
        let json: ExtraVar = "{\"n\": 3}".parse().unwrap();
        assert_eq!(Value::from(json.0), serde_json::json!({"n": 3}));
        assert!("nothing".parse::<ExtraVar>().is_err());
    }

    #[test]
    fn a_secret_is_refused_by_its_name_or_its_form_wherever_it_stands_and_not_repeated() {
        let hash = "ab".repeat(32);
        let table = [
            (format!("join=K10{hash}::server:canary"), "join"),
            (
                "boot=canary.0123456789canary".replace("canary", "abcdef"),
                "boot",
            ),
            ("args='--x --token canary'".to_owned(), "args"),
            ("agent_token=canary".to_owned(), "agent_token"),
            (
                "ansible_become_password=canary".to_owned(),
                "ansible_become_password",
            ),
            ("{\"my\": {\"token\": \"canary\"}}".to_owned(), "my.token"),
            ("{\"my\": {\"token\": 12345}}".to_owned(), "my.token"),
            ("{\"a\": [1, {\"b\": \"-t canary\"}]}".to_owned(), "a[1].b"),
            ("{\"token\": {\"value\": \"canary\"}}".to_owned(), "token"),
            (
                format!("{{\"K10{hash}::server:canary\": 1}}"),
                "::server:******",
            ),
        ];
        for (given, place) in table {
            let error = given.parse::<ExtraVar>().unwrap_err();
            assert!(error.contains(&format!("{place}`")), "{given}: {error}");
            assert!(error.contains("--new-token-from"), "{error}");
            for secret in ["canary", "12345", "0123456789"] {
                assert!(!error.contains(secret), "{given}: {error}");
            }
        }
    }

    #[test]
    fn what_only_sounds_like_a_secret_is_taken() {
        for given in [
            "rotate_token=yes",
            "token_file=/root/token",
            "{\"use_secret\": true, \"at\": [\"a.b\", 3]}",
            "args='--token {{ k3s_token }}'",
        ] {
            assert!(given.parse::<ExtraVar>().is_ok(), "{given}");
        }
    }
}
