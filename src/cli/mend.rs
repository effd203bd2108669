//! Commands that bring a cluster out of a half-way state: each performs a built-in playbook.

use clap::{ArgAction, Args};

use super::{Accepted, Books, ExtraVar, Hosts, Keep, NewTokenFrom, Only, Perform, Run, Unshown};

pub(super) const ROLLBACK_EXAMPLES: &str = "\
Examples:
  keyroll rollback -i hosts.yml --check          say what would be taken back, change nothing
  keyroll rollback -i hosts.yml                  the old token again, everywhere, without a restart
  keyroll rollback -i hosts.yml --try-restart    and restart the first server with it
";

pub(super) const RESCUE_EXAMPLES: &str = "\
Examples:
  keyroll rescue h2 -i hosts.yml --check    say what is wrong with h2 and what would be done
  keyroll rescue h2 -i hosts.yml            bring it back, and show that it starts again
  keyroll rescue agent-7 -i hosts.yml       an agent whose token is refused
";

pub(super) const HEAL_EXAMPLES: &str = "\
Examples:
  keyroll heal -i hosts.yml --check    which servers run and would not start again
  keyroll heal -i hosts.yml            save what they were started with to the datastore
";

/// What all of them share.
#[derive(Debug, Clone, Args)]
pub struct Mend {
    /// A file, or sim:3+8 for a simulated fleet of 3 servers and 8 agents.
    #[arg(short, long, value_name = "INVENTORY")]
    pub inventory: String,
    /// A variable, KEY=VALUE or JSON; wins over all others. Never a secret.
    #[arg(short, long = "extra-vars", value_name = "VARS", action = ArgAction::Append)]
    pub extra_vars: Vec<Unshown<ExtraVar>>,
    /// Looks and says what would be done; changes nothing.
    #[arg(long, short = 'C')]
    pub check: bool,
    /// How it is performed.
    #[command(flatten)]
    pub perform: Perform,
}

/// `rollback`.
#[derive(Debug, Clone, Args)]
pub struct Rollback {
    /// Where and how.
    #[command(flatten)]
    pub mend: Mend,
    /// Restarts the first server afterwards, to show that it starts with the old token.
    #[arg(long)]
    pub try_restart: bool,
}

/// `rescue`.
#[derive(Debug, Clone, Args)]
pub struct Rescue {
    /// The server or agent to bring back, as the inventory calls it.
    #[arg(value_name = "HOST")]
    pub host: String,
    /// Where and how.
    #[command(flatten)]
    pub mend: Mend,
    /// Where the token comes from that the datastore has, where nothing on the hosts tells: `env:NAME`, `file:PATH`, `stdin`
    /// or `exec:COMMAND`.
    #[arg(long, value_name = "SOURCE")]
    pub token_from: Option<Unshown<NewTokenFrom>>,
    /// Goes on where so many members of etcd are down that there is no quorum.
    #[arg(long)]
    pub accept_quorum_loss: bool,
}

/// `heal`.
#[derive(Debug, Clone, Args)]
pub struct Heal {
    /// Where and how.
    #[command(flatten)]
    pub mend: Mend,
}

impl Mend {
    /// The same as a run of this playbook, on one host alone when it is given.
    #[must_use]
    pub fn run(&self, playbook: &str, host: Option<&str>) -> Run {
        Run {
            books: Books {
                playbook: playbook.to_owned(),
                hosts: Hosts {
                    inventory: self.inventory.clone(),
                    limit: host.map(str::to_owned),
                    extra_vars: self.extra_vars.clone(),
                },
            },
            only: Only {
                check: self.check,
                ..Only::default()
            },
            perform: self.perform.clone(),
            new_token_from: None,
            new_agent_token_from: None,
            token_from: None,
            restart_twice: false,
            accepted: Accepted {
                unmeasured: true,
                accept_quorum_loss: false,
            },
            keep_modes: false,
            keep: Keep::default(),
        }
    }
}
