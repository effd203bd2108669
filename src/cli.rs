//! Command-line types only; the environment is read here and nowhere else.

mod age;
mod aim;
mod doctor;
mod extra;
mod keep;
mod mend;
mod same;
mod source;
mod token;
mod unshown;
mod verify;

use std::num::NonZeroUsize;

use camino::Utf8PathBuf;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

pub use age::MaxAge;
pub use aim::{Accepted, Aim, Glance, Nodes, View};
pub use doctor::Doctor;
pub use extra::ExtraVar;
pub use keep::{Escrow, EscrowList, EscrowPlace, EscrowShow, Keep};
pub use mend::{Heal, Mend, Rescue, Rollback};
pub use source::NewTokenFrom;
pub use token::{Generate, Inspect, NO_ARGUMENT, Stdin, Token};
pub use unshown::Unshown;
pub use verify::Verify;

/// Hosts at once when nothing is said.
const FORKS: &str = "50";

const EXAMPLES: &str = "\
Examples:
  keyroll run @rotate-token -i sim:3+8                 rehearse a rotation on a simulated fleet
  keyroll run @rotate-token -i hosts.yml --check       look at your hosts, change nothing
  keyroll run @rotate-token -i hosts.yml               rotate; run it again to go on after a failure
  keyroll run book.yml -i hosts.ini --new-token-from file:/root/new-token
  keyroll run @rotate-token -i hosts.yml --escrow-to age1… --fetch-snapshot backups
  keyroll graph @rotate-token -i hosts.yml --format dot | dot -Tsvg > plan.svg
  keyroll lint book.yml -i hosts.yml
";

const RUN_EXAMPLES: &str = "\
Examples:
  keyroll run @rotate-token -i sim:3+8
  keyroll run @rotate-token -i hosts.yml --check
  keyroll run @rotate-token -i hosts.yml --new-token-from exec:'pass show k3s' --expect-unmanaged 'spot-*'
  keyroll run book.yml -i hosts.ini -l agent -f 10 -u admin -K
";

/// Rotates the join token of a live K3s cluster over SSH, and proves that the old one is dead.
#[derive(Debug, Parser)]
#[command(name = "keyroll", version, about, before_help = EXAMPLES, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// What comes from the environment.
    #[command(flatten)]
    pub surroundings: Surroundings,
}

/// What comes from the environment alone.
#[derive(Debug, Clone, Args)]
pub struct Surroundings {
    /// Any value: no colours.
    #[arg(long, env = "NO_COLOR", hide = true, global = true)]
    pub no_color: Option<String>,
    /// Any value but 0: colours even in a pipe.
    #[arg(long, env = "CLICOLOR_FORCE", hide = true, global = true)]
    pub clicolor_force: Option<String>,
    /// Where state lives by custom.
    #[arg(long, env = "XDG_STATE_HOME", hide = true, global = true)]
    pub xdg_state_home: Option<Utf8PathBuf>,
    /// Where sockets live by custom.
    #[arg(long, env = "XDG_RUNTIME_DIR", hide = true, global = true)]
    pub xdg_runtime_dir: Option<Utf8PathBuf>,
    /// The user's home.
    #[arg(long, env = "HOME", hide = true, global = true)]
    pub home: Option<Utf8PathBuf>,
}

impl Surroundings {
    /// Whether colours are refused.
    #[must_use]
    pub fn refuses_colour(&self) -> bool {
        self.no_color
            .as_ref()
            .is_some_and(|value| !value.is_empty())
    }

    /// Whether colours are wanted even in a pipe.
    #[must_use]
    pub fn forces_colour(&self) -> bool {
        self.clicolor_force
            .as_ref()
            .is_some_and(|value| !value.is_empty() && value != "0")
    }
}

/// Subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Performs a playbook, or with --check says what it would do.
    #[command(before_help = RUN_EXAMPLES)]
    Run(Box<Run>),
    /// Takes an unfinished rotation back, while no running server has the new token.
    #[command(before_help = mend::ROLLBACK_EXAMPLES)]
    Rollback(Box<Rollback>),
    /// Brings back a server that a token keeps from starting, or an agent whose token is refused.
    #[command(before_help = mend::RESCUE_EXAMPLES)]
    Rescue(Box<Rescue>),
    /// Mends servers that run and would not start again.
    #[command(before_help = mend::HEAL_EXAMPLES)]
    Heal(Box<Heal>),
    /// Draws the plan of a playbook.
    Graph(Graph),
    /// Says what is wrong with a playbook or an inventory.
    Lint(Books),
    /// Says from which place each node takes its token.
    Where(Glance),
    /// Says what is wrong on this machine or on hosts, and what to do.
    #[command(before_help = doctor::EXAMPLES)]
    Doctor(Box<Doctor>),
    /// Judges a token, or makes one.
    #[command(subcommand, before_help = token::EXAMPLES)]
    Token(Token),
    /// What is kept off the hosts for a restore of an older snapshot.
    #[command(subcommand)]
    Escrow(Escrow),
    /// Proves that the fleet runs with one token and the old one is dead; changes nothing.
    #[command(before_help = verify::EXAMPLES, after_help = verify::ENDS)]
    Verify(Box<Verify>),
}

/// A playbook and an inventory.
#[derive(Debug, Clone, Args)]
pub struct Books {
    /// A file, or a built-in playbook: @rotate-token, @rotate-agent-token, @rotate-tokens, @rollback, @rescue, @heal,
    /// @join-token, @revoke-join-token.
    #[arg(value_name = "PLAYBOOK")]
    pub playbook: String,
    /// Which hosts.
    #[command(flatten)]
    pub hosts: Hosts,
}

/// Which hosts are meant.
#[derive(Debug, Clone, Args)]
pub struct Hosts {
    /// A file, or sim:3+8 for a simulated fleet of 3 servers and 8 agents.
    #[arg(short, long, value_name = "INVENTORY")]
    pub inventory: String,
    /// Only these hosts; the others are still looked at where the cluster needs it.
    #[arg(short, long, value_name = "PATTERN")]
    pub limit: Option<String>,
    /// A variable, KEY=VALUE or JSON; wins over all others. Never a secret.
    #[arg(short, long = "extra-vars", value_name = "VARS", action = ArgAction::Append)]
    pub extra_vars: Vec<Unshown<ExtraVar>>,
}

/// `graph`.
#[derive(Debug, Clone, Args)]
pub struct Graph {
    /// What to draw.
    #[command(flatten)]
    pub books: Books,
    /// How to draw it.
    #[arg(long, value_enum, default_value_t = Format::Terminal)]
    pub format: Format,
}

/// How a plan is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[value(alias = "text")]
    Terminal,
    /// For Graphviz.
    Dot,
}

/// How fast a simulated fleet's clock runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Pace {
    /// As real time.
    Real,
    /// Ten times as fast.
    #[value(name = "10x")]
    Tenfold,
}

/// `run`.
#[derive(Debug, Clone, Args)]
pub struct Run {
    /// What to perform, and where.
    #[command(flatten)]
    pub books: Books,
    /// What is asked instead of performing.
    #[command(flatten)]
    pub only: Only,
    /// How it is performed.
    #[command(flatten)]
    pub perform: Perform,
    /// What is kept off the hosts.
    #[command(flatten)]
    pub keep: Keep,
    /// Where the new token comes from: `env:NAME`, `file:PATH`, `stdin` or `exec:COMMAND`. Made anew when not given.
    #[arg(long, value_name = "SOURCE")]
    pub new_token_from: Option<Unshown<NewTokenFrom>>,
    /// The same for the agent token, where agents have one of their own.
    #[arg(long, value_name = "SOURCE")]
    pub new_agent_token_from: Option<Unshown<NewTokenFrom>>,
    /// What the datastore has, where nothing on the hosts tells; only a rescue asks for it.
    #[arg(skip)]
    pub token_from: Option<Unshown<NewTokenFrom>>,
    /// Restarts the first server a second time: a trap that closes only then is seen while the others still serve.
    #[arg(long)]
    pub restart_twice: bool,
    /// What is known and let through.
    #[command(flatten)]
    pub accepted: Accepted,
    /// Leaves files that get the token as readable as they are; else what is wider than 0600 becomes 0600.
    #[arg(long)]
    pub keep_modes: bool,
}

/// How a playbook is performed, whichever it is.
#[derive(Debug, Clone, Args)]
pub struct Perform {
    /// How hosts are reached.
    #[command(flatten)]
    pub reach: Reach,
    /// Hosts at once.
    #[arg(short, long, value_name = "NUMBER", default_value = FORKS)]
    pub forks: NonZeroUsize,
    /// Which nodes are left out on purpose.
    #[command(flatten)]
    pub nodes: Nodes,
    /// Where the old token comes from, to be tried beside those that are found: `env:NAME`, `file:PATH`, `stdin` or
    /// `exec:COMMAND`.
    #[arg(long, value_name = "SOURCE")]
    pub old_token_from: Option<Unshown<NewTokenFrom>>,
    /// Each event as a line of JSON on stdout.
    #[arg(long)]
    pub json: bool,
    /// Answers each question with yes.
    #[arg(long, short = 'y')]
    pub yes: bool,
    /// Says more: each task and operation.
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,
    /// Where journals and locks are kept.
    #[arg(long, value_name = "FOLDER", env = "KEYROLL_STATE_DIR")]
    pub state_dir: Option<Utf8PathBuf>,
    /// How fast a simulated fleet's clock runs; as fast as the machine can when not given.
    #[arg(long, value_enum, value_name = "PACE")]
    pub pace: Option<Pace>,
}

/// What is asked instead of performing.
#[derive(Debug, Clone, Copy, Default, Args)]
#[group(multiple = false)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own on the command line"
)]
pub struct Only {
    /// Looks and says what would be done; changes nothing.
    #[arg(long, short = 'C')]
    pub check: bool,
    /// Lists the hosts of each play.
    #[arg(long)]
    pub list_hosts: bool,
    /// Lists the tasks of each play.
    #[arg(long)]
    pub list_tasks: bool,
    /// Reads playbook and inventory, and nothing more.
    #[arg(long)]
    pub syntax_check: bool,
}

/// How hosts are reached.
#[derive(Debug, Clone, Args)]
pub struct Reach {
    /// Logs in as this user.
    #[arg(short, long, value_name = "NAME")]
    pub user: Option<String>,
    /// Logs in with this key.
    #[arg(long, value_name = "FILE")]
    pub private_key: Option<Utf8PathBuf>,
    /// Runs generic steps as root; K3s steps always do.
    #[arg(short, long)]
    pub r#become: bool,
    /// Asks for sudo's password.
    #[arg(short = 'K', long)]
    pub ask_become_pass: bool,
    /// Reads sudo's password from the first line of this file.
    #[arg(long, value_name = "FILE", conflicts_with = "ask_become_pass")]
    pub become_password_file: Option<Utf8PathBuf>,
    /// An `ssh_config` in place of your own.
    #[arg(short = 'F', long, value_name = "FILE")]
    pub ssh_config: Option<Utf8PathBuf>,
    /// More arguments for ssh, as one text.
    #[arg(long, value_name = "ARGS", allow_hyphen_values = true)]
    pub ssh_common_args: Option<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_begins_with_examples() {
        assert!(
            Cli::command()
                .render_help()
                .to_string()
                .starts_with("Examples:")
        );
    }

    #[test]
    fn ansibles_habits_are_understood() {
        let line = "keyroll run book.yml -i hosts.ini -C -l agent -f 5 -b -K -u op -e a=1 -vv";
        let cli = Cli::try_parse_from(line.split(' ')).unwrap();
        let Command::Run(run) = cli.command else {
            panic!()
        };
        assert!(run.only.check && run.perform.reach.r#become && run.perform.reach.ask_become_pass);
        assert_eq!((run.perform.forks.get(), run.perform.verbose), (5, 2));
        assert_eq!(run.books.hosts.limit.as_deref(), Some("agent"));
    }

    #[test]
    fn a_literal_token_is_refused_and_not_repeated() {
        for bad in [
            "token=canary-1",
            "{\"new_token\": \"canary-1\"}",
            "x=1 NEW_TOKEN=canary-1",
        ] {
            let line = ["keyroll", "run", "b.yml", "-i", "h", "-e", bad];
            let cli = Cli::try_parse_from(line).unwrap();
            let Command::Run(run) = cli.command else {
                panic!()
            };
            let error = run.books.hosts.extra_vars[0].get().unwrap_err();
            assert!(error.contains("--new-token-from"), "{error}");
            assert!(!error.contains("canary-1"), "{error}");
        }
    }
}
