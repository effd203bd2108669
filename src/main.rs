//! Parses, runs, exits.

use std::process::ExitCode;

use clap::Parser as _;
use keyroll::{app, cli::Cli};

fn main() -> ExitCode {
    app::run(&Cli::parse()).into()
}
