//! sudo's password: asked for on the terminal, or read from a file.

use camino::Utf8Path;

use super::trouble::Trouble;
use crate::cli::Reach;
use crate::secret::Secret;

/// The password, when one was promised on the command line.
pub(super) fn read(reach: &Reach) -> Result<Option<Secret>, Trouble> {
    if reach.ask_become_pass {
        return ask().map(Some);
    }
    reach.become_password_file.as_deref().map(file).transpose()
}

fn ask() -> Result<Secret, Trouble> {
    let terminal = console::Term::stderr();
    if !terminal.is_term() {
        return Err(Trouble::usage(
            "--ask-become-pass needs a terminal",
            "use --become-password-file, or sudo without a password",
        ));
    }
    let wrong = |error: std::io::Error| {
        Trouble::usage(format!("the password cannot be read: {error}"), "try again")
    };
    terminal.write_str("sudo password: ").map_err(wrong)?;
    terminal.read_secure_line().map(Secret::new).map_err(wrong)
}

fn file(path: &Utf8Path) -> Result<Secret, Trouble> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Trouble::usage(
            format!("the password file {path} cannot be read: {error}"),
            "correct --become-password-file",
        )
    })?;
    Ok(Secret::new(text.lines().next().unwrap_or_default()))
}
