//! What is kept off the hosts: options of `run`, and `escrow`.

use camino::Utf8PathBuf;
use clap::{ArgAction, Args, Subcommand};

/// What is kept off the hosts, and what is left there on purpose.
#[derive(Debug, Clone, Default, Args)]
pub struct Keep {
    /// Keeps the old token, encrypted to this age recipient (age1…, or a file with one a line): a restore of an older snapshot needs it.
    #[arg(long, value_name = "RECIPIENT|FILE", action = ArgAction::Append)]
    pub escrow_to: Vec<String>,
    /// Decrypts what was kept once, as a test, with this age identity.
    #[arg(long, value_name = "FILE", requires = "escrow_to")]
    pub escrow_identity: Option<Utf8PathBuf>,
    /// Keeps the old token nowhere but on the hosts, and there only until the proof: you have it, or restore no older snapshot.
    #[arg(long, conflicts_with = "escrow_to")]
    pub no_escrow: bool,
    /// Brings the snapshots that are taken to this folder, which nobody else can enter.
    #[arg(long, value_name = "FOLDER")]
    pub fetch_snapshot: Option<Utf8PathBuf>,
}

/// `escrow`.
#[derive(Debug, Clone, Subcommand)]
pub enum Escrow {
    /// Lists what is kept: cluster, run, date, tag, recipients and snapshots.
    List(EscrowList),
    /// Prints an old token that is kept, and nothing else.
    Show(EscrowShow),
}

/// Where it is kept.
#[derive(Debug, Clone, Args)]
pub struct EscrowPlace {
    /// The folder that the playbook named (`escrow_dir`).
    #[arg(long, value_name = "FOLDER")]
    pub dir: Option<Utf8PathBuf>,
    /// Where keyroll keeps its own files.
    #[arg(long, value_name = "FOLDER", env = "KEYROLL_STATE_DIR")]
    pub state_dir: Option<Utf8PathBuf>,
}

/// `escrow list`.
#[derive(Debug, Clone, Args)]
pub struct EscrowList {
    /// Where.
    #[command(flatten)]
    pub place: EscrowPlace,
    /// The list as JSON on stdout.
    #[arg(long)]
    pub json: bool,
}

/// `escrow show`.
#[derive(Debug, Clone, Args)]
pub struct EscrowShow {
    /// Whose, as `escrow list` names it.
    #[arg(value_name = "RUN")]
    pub run: String,
    /// The age identity that decrypts it.
    #[arg(long, value_name = "FILE")]
    pub identity: Utf8PathBuf,
    /// Where.
    #[command(flatten)]
    pub place: EscrowPlace,
}
