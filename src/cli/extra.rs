//! `-e`: variables on the command line. Others see a command line, so a token is refused there.

use std::str::FromStr;

use serde_json::{Map, Value};

/// Names of variables that would hold a token.
const SECRET: [&str; 4] = ["token", "new_token", "k3s_token", "server_token"];

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
        match map
            .keys()
            .find(|key| SECRET.contains(&key.to_lowercase().as_str()))
        {
            Some(key) => Err(format!(
                "`{key}` would put a secret where every user of this machine sees it: give it with --new-token-from"
            )),
            None => Ok(Self(map)),
        }
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
}
