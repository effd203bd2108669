//! `verify`.

use clap::Args;

use super::{Accepted, Books, Hosts, Keep, MaxAge, Only, Perform, Run};

/// Examples of its use.
pub(super) const EXAMPLES: &str = "\
Examples:
  keyroll verify -i hosts.yml
  keyroll verify -i hosts.yml -q                       one line, for cron
  keyroll verify -i hosts.yml --old-token-from file:/root/old-token --strict
  keyroll verify -i hosts.yml --json | tail -1         the verdict stands in the last event
";

/// How it ends.
pub(super) const ENDS: &str = "\
Ends with 0 when the proof is green or yellow (with --strict only when it is green), 8 when it is red,
7 when a host cannot be reached.
";

/// `verify`.
#[derive(Debug, Clone, Args)]
pub struct Verify {
    /// Which hosts.
    #[command(flatten)]
    pub hosts: Hosts,
    /// How they are looked at.
    #[command(flatten)]
    pub perform: Perform,
    /// The proof is red when the server token is older than this, such as `90d` or `12w`, or its age cannot be shown;
    /// yellow where `--limit` leaves out the first server, which would show it.
    #[arg(long, value_name = "AGE")]
    pub max_age: Option<MaxAge>,
    /// A proof that is not green ends with 8.
    #[arg(long)]
    pub strict: bool,
    /// One line with the verdict and what is wrong.
    #[arg(short, long, conflicts_with_all = ["json", "verbose"])]
    pub quiet: bool,
}

impl Verify {
    /// The run that it is: the built-in playbook that only looks.
    #[must_use]
    pub fn run(&self) -> Run {
        Run {
            books: Books {
                playbook: "@verify".to_owned(),
                hosts: self.hosts.clone(),
            },
            only: Only::default(),
            perform: self.perform.clone(),
            new_token_from: None,
            new_agent_token_from: None,
            token_from: None,
            restart_twice: false,
            accepted: Accepted::default(),
            keep_modes: false,
            keep: Keep::default(),
        }
    }
}
