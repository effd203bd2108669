//! `--new-token-from`: where the new token is, never the token itself.

use std::fmt;
use std::str::FromStr;

use camino::Utf8PathBuf;

/// Where a new token comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewTokenFrom {
    /// An environment variable of this process.
    Env(String),
    /// A file.
    File(Utf8PathBuf),
    /// Standard input.
    Stdin,
    /// What a program prints; it runs without a shell.
    Exec(Vec<String>),
}

impl FromStr for NewTokenFrom {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The text is not repeated in errors: it may be the token itself.
        match text.split_once(':') {
            None if text == "stdin" => Ok(Self::Stdin),
            Some(("env", name)) if !name.is_empty() => Ok(Self::Env(name.to_owned())),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(("exec", line)) => match shlex::split(line) {
                Some(argv) if !argv.is_empty() => Ok(Self::Exec(argv)),
                _ => Err("`exec:` needs a program with closed quotes".to_owned()),
            },
            _ => Err("it is not env:NAME, file:PATH, stdin or exec:COMMAND; a token itself is not given here".to_owned()),
        }
    }
}

impl fmt::Display for NewTokenFrom {
    /// As it is given.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{path}"),
            Self::Stdin => f.write_str("stdin"),
            Self::Exec(argv) => {
                let line = shlex::try_join(argv.iter().map(String::as_str));
                write!(f, "exec:{}", line.map_err(|_| fmt::Error)?)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_kinds_of_sources_are_read_and_a_literal_is_refused_without_repeating_it() {
        assert_eq!("stdin".parse(), Ok(NewTokenFrom::Stdin));
        assert_eq!("env:NEW".parse(), Ok(NewTokenFrom::Env("NEW".into())));
        assert_eq!("file:/a b".parse(), Ok(NewTokenFrom::File("/a b".into())));
        assert_eq!(
            "exec:pass 'k3s token'".parse(),
            Ok(NewTokenFrom::Exec(vec!["pass".into(), "k3s token".into()]))
        );
        let error = "canary-5d".parse::<NewTokenFrom>().unwrap_err();
        assert!(!error.contains("canary-5d"));
    }
}
