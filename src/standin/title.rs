//! A running k3s shows `k3s server` or `k3s agent` to who lists processes, and none of its arguments.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Carries the arguments to the same process under its new title.
const HIDDEN: &str = "STANDIN_ARGS";

/// The arguments, once they do not show.
///
/// # Errors
/// When the process cannot begin anew.
pub(super) fn hide(args: Vec<String>, env: &BTreeMap<String, String>) -> io::Result<Vec<String>> {
    if let Some(hidden) = env.get(HIDDEN) {
        return serde_json::from_str(hidden).map_err(io::Error::other);
    }
    let [kind, _, ..] = args.as_slice() else {
        return Ok(args);
    };
    if args.iter().any(|arg| arg.starts_with("--cluster-reset")) {
        return Ok(args);
    }
    let mut again = begin_anew()?;
    let hidden = serde_json::to_string(&args)?;
    again.arg0("k3s").arg(kind).env(HIDDEN, hidden);
    // Does not come back.
    Err(again.exec())
}

#[expect(
    clippy::disallowed_methods,
    reason = "it starts no process: this one goes on under another title"
)]
fn begin_anew() -> io::Result<Command> {
    Ok(Command::new(std::env::current_exe()?))
}
