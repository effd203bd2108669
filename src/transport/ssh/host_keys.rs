//! Whether the user's own settings let ssh accept host keys that nobody has checked.

use std::process::Stdio;

use tokio::process::Command;
use tokio::time::timeout;

use super::link::Link;
use super::{SshOptions, command, master};

/// What `StrictHostKeyChecking` is for this host, when it accepts unknown keys: `accept-new` or `no`.
pub(super) async fn lax(link: &Link, options: &SshOptions) -> Option<&'static str> {
    let asked = Command::new(&options.program)
        .arg("-G")
        .args(command::start(&link.host, &link.connect, options, "none"))
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let said = timeout(master::LOCAL, asked).await.ok()?.ok()?;
    setting(&String::from_utf8_lossy(&said.stdout))
}

/// Reads the output of `ssh -G`. In batch mode `ask` is as good as `yes`.
fn setting(settings: &str) -> Option<&'static str> {
    settings.lines().find_map(
        |line| match line.strip_prefix("stricthostkeychecking ")?.trim() {
            "accept-new" => Some("accept-new"),
            "false" | "no" | "off" => Some("no"),
            _ => None,
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_settings_that_accept_unknown_keys_are_lax() {
        let said = |value: &str| {
            setting(&format!(
                "user ops\nstricthostkeychecking {value}\nport 22\n"
            ))
        };
        assert_eq!(said("false"), Some("no"));
        assert_eq!(said("accept-new"), Some("accept-new"));
        assert_eq!((said("true"), said("ask")), (None, None));
    }
}
