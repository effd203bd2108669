//! Stands in for `k3s` on lab hosts.

use std::process::ExitCode;

fn main() -> ExitCode {
    let args = std::env::args().skip(1).collect();
    keyroll::standin::run(args, std::env::vars().collect())
}
