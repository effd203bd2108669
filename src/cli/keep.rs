//! What is kept off the hosts: options of `run`.

use clap::Args;

/// What is kept off the hosts, and what is left there on purpose.
#[derive(Debug, Clone, Default, Args)]
pub struct Keep {
    /// Keeps the old token nowhere but on the hosts, and there only until the proof: a restore of an older snapshot needs it.
    #[arg(long)]
    pub no_escrow: bool,
}
