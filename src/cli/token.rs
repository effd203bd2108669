//! `token`: judging one and making one. A token itself is never an argument: others see a command line.

use std::ffi::OsString;
use std::str::FromStr;

use clap::{Args, Subcommand};

use super::{Aim, Glance, Unshown};

/// Shown above the help.
pub(super) const EXAMPLES: &str = "\
Examples:
  keyroll token inspect < token-file                   what it is, and what is wrong with it
  keyroll token inspect -i hosts.yml                   of every host, and what the servers answer to it
  pass show k3s | keyroll token inspect - -i hosts.yml a token on stdin, shown to that fleet
  keyroll token generate > new-token                   32 hex characters (128 bits)
  keyroll token age -i hosts.yml                       since when the server token is what it is

inspect exits with 0 when nothing is wrong, 4 when keyroll or K3s would refuse it, 7 when hosts cannot be reached.
";

/// `token`.
#[derive(Debug, Clone, Subcommand)]
pub enum Token {
    /// Says what a token is, what it can do, and what is wrong with it; never shows it.
    #[command(before_help = EXAMPLES)]
    Inspect(Box<Inspect>),
    /// Makes a token that a rotation accepts, on stdout.
    #[command(before_help = EXAMPLES)]
    Generate(Generate),
    /// Says since when the server token of a fleet is what it is, and what tells so.
    #[command(before_help = EXAMPLES)]
    Age(Box<Glance>),
    /// What is no subcommand may be a token that was put here by mistake: it is refused without being repeated.
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

/// `token inspect`.
#[derive(Debug, Clone, Args)]
pub struct Inspect {
    /// `-`: the token comes on stdin although a fleet is named. Never the token itself.
    #[arg(value_name = "-")]
    pub stdin: Vec<Unshown<Stdin>>,
    /// Shows the secret too.
    #[arg(long)]
    pub show: bool,
    /// The fleet that the token is compared with; without `-`, the tokens of its hosts are judged.
    #[command(flatten)]
    pub aim: Aim,
}

/// `token generate`.
#[derive(Debug, Clone, Args)]
pub struct Generate {
    /// Nothing belongs here; a token that was put here by mistake is refused without being repeated.
    #[arg(hide = true)]
    pub stray: Vec<Unshown<Stdin>>,
    /// So many hex characters, 32 or more.
    #[arg(long, value_name = "CHARACTERS", conflicts_with = "bytes")]
    pub length: Option<usize>,
    /// So many random bytes, 16 or more; two hex characters each.
    #[arg(long, value_name = "NUMBER")]
    pub bytes: Option<usize>,
}

/// The argument `-`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stdin;

/// Why a token is no argument.
pub const NO_ARGUMENT: &str =
    "a token is never given as an argument: others see the command line, and shells remember it";

impl FromStr for Stdin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "-" {
            Ok(Self)
        } else {
            Err(NO_ARGUMENT.to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::{Cli, Command};
    use super::*;

    #[test]
    fn a_literal_token_is_refused_without_being_repeated() {
        let literal = |words: &[&str]| {
            let line = ["keyroll", "token"].iter().chain(words);
            Cli::try_parse_from(line).map(|cli| cli.command)
        };
        for words in [&["inspect", "canary-1"][..], &["inspect", "-", "canary-1"]] {
            let Ok(Command::Token(Token::Inspect(asked))) = literal(words) else {
                panic!("{words:?}")
            };
            let said = asked.stdin.iter().find_map(|word| word.get().err());
            assert_eq!(said.as_deref(), Some(NO_ARGUMENT));
        }
        assert!(matches!(
            literal(&["canary-1"]),
            Ok(Command::Token(Token::Other(_)))
        ));
    }
}
