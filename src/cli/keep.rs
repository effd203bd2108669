//! What is kept off the hosts: options of `run`, and `escrow`.

use camino::Utf8PathBuf;
use clap::{ArgAction, Args, Subcommand};

/// What is kept off the hosts, and what is left there on purpose.
#[derive(Debug, Clone, Default, Args)]
pub struct Keep {
    /// Keeps the old token, encrypted to this recipient: age1…, an ssh-ed25519 or ssh-rsa public key, or @FILE with one a line. A
    /// restore of an older snapshot needs it.
    #[arg(long, value_name = "RECIPIENT", action = ArgAction::Append)]
    pub escrow_to: Vec<String>,
    /// Decrypts what was kept once, as a test, with this age identity or ssh private key.
    #[arg(long, value_name = "FILE", requires = "escrow_to")]
    pub escrow_identity: Option<Utf8PathBuf>,
    /// Keeps the old token nowhere but on the hosts, and there only until the proof: you have it, or restore no older snapshot.
    #[arg(long, conflicts_with = "escrow_to")]
    pub no_escrow: bool,
    /// Takes no snapshot and no copy of the datastore before and after the rotation: you have one.
    #[arg(long, conflicts_with = "fetch_snapshot")]
    pub own_backup: bool,
    /// Brings the snapshots that are taken to this folder, which nobody else can enter.
    #[arg(long, value_name = "FOLDER")]
    pub fetch_snapshot: Option<Utf8PathBuf>,
}

/// `escrow`.
#[derive(Debug, Clone, Subcommand)]
pub enum Escrow {
    /// Lists what is kept: cluster, run, date, digest, recipients and snapshots.
    List(EscrowList),
    /// Says what is kept of one rotation; prints the old token only with --show.
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
    /// Which, as `escrow list` names it; the run is enough.
    #[arg(value_name = "ID")]
    pub id: String,
    /// Decrypts it with this age identity or ssh private key.
    #[arg(long, value_name = "FILE")]
    pub identity: Option<Utf8PathBuf>,
    /// Prints the old token, and nothing else.
    #[arg(long, requires = "identity")]
    pub show: bool,
    /// Where.
    #[command(flatten)]
    pub place: EscrowPlace,
}
