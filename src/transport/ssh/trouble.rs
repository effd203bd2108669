//! What ssh and sudo say when they fail, and what to do about it. Pure.

use crate::model::HostName;
use crate::wire::TransportError;

/// What to make of a failed connect.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The server was too busy to talk to us: try again.
    Busy(String),
    /// Trying again would change nothing.
    Final(TransportError),
}

enum Kind {
    Unreachable,
    Denied,
    Busy,
}

struct Sign {
    said: &'static str,
    kind: Kind,
    why: &'static str,
    hint: &'static str,
}

const fn sign(said: &'static str, kind: Kind, why: &'static str, hint: &'static str) -> Sign {
    Sign {
        said,
        kind,
        why,
        hint,
    }
}

const CHECK_ADDRESS: &str =
    "check ansible_host and ansible_port, and that sshd runs there and no firewall is between";
const CHECK_CONFIG: &str = "correct the ssh_config or the ssh arguments of the inventory";
const CHECK_KEY: &str =
    "check ansible_user and the private key; `ssh -v {address}` shows which keys were offered";

/// The first that fits wins: causes stand before their consequences.
const SSH: [Sign; 25] = [
    sign(
        "cannot start",
        Kind::Unreachable,
        "ssh cannot be started here",
        "install the OpenSSH client",
    ),
    sign(
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        Kind::Unreachable,
        "its host key has changed",
        "if the host was reinstalled, forget the old key with `ssh-keygen -R {address}`; if not, someone may stand between",
    ),
    sign(
        "Host key verification failed",
        Kind::Unreachable,
        "its host key is not known",
        "compare its fingerprint and accept it once with `ssh {address}`",
    ),
    sign(
        "host key is known for",
        Kind::Unreachable,
        "its host key is not known",
        "compare its fingerprint and accept it once with `ssh {address}`",
    ),
    sign(
        "UNPROTECTED PRIVATE KEY",
        Kind::Denied,
        "the private key can be read by others, so ssh ignores it",
        "chmod 600 the private key",
    ),
    sign(
        "Too many authentication failures",
        Kind::Denied,
        "too many keys were offered",
        "name the one key with ansible_ssh_private_key_file and set IdentitiesOnly yes",
    ),
    sign(
        "Permission denied (",
        Kind::Denied,
        "ssh: permission denied",
        CHECK_KEY,
    ),
    sign(
        "No supported authentication methods",
        Kind::Denied,
        "ssh: no way to log in is left",
        CHECK_KEY,
    ),
    sign(
        "Could not resolve hostname",
        Kind::Unreachable,
        "its name has no address",
        "correct the name, or set ansible_host",
    ),
    sign(
        "Connection refused",
        Kind::Unreachable,
        "connection refused",
        CHECK_ADDRESS,
    ),
    sign(
        "timed out",
        Kind::Unreachable,
        "the connect timed out",
        CHECK_ADDRESS,
    ),
    sign(
        "No route to host",
        Kind::Unreachable,
        "no route to host",
        CHECK_ADDRESS,
    ),
    sign(
        "Network is unreachable",
        Kind::Unreachable,
        "network is unreachable",
        CHECK_ADDRESS,
    ),
    sign(
        "Bad configuration option",
        Kind::Unreachable,
        "the ssh_config is not valid",
        CHECK_CONFIG,
    ),
    sign(
        "bad configuration options",
        Kind::Unreachable,
        "the ssh_config is not valid",
        CHECK_CONFIG,
    ),
    sign(
        "Bad owner or permissions",
        Kind::Unreachable,
        "others may write to the ssh_config",
        "make the ssh_config writable by its owner alone",
    ),
    sign(
        "Can't open user config file",
        Kind::Unreachable,
        "the ssh_config cannot be opened",
        CHECK_CONFIG,
    ),
    sign(
        "unknown option",
        Kind::Unreachable,
        "ssh does not know one of its arguments",
        CHECK_CONFIG,
    ),
    sign(
        "usage: ssh",
        Kind::Unreachable,
        "ssh does not understand its arguments",
        CHECK_CONFIG,
    ),
    sign(
        "Unable to negotiate",
        Kind::Unreachable,
        "the two ssh versions have no algorithm in common",
        "allow an older algorithm for this host in the ssh_config",
    ),
    sign(
        "kex_exchange_identification",
        Kind::Busy,
        "sshd dropped the connect",
        "",
    ),
    sign(
        "ssh_exchange_identification",
        Kind::Busy,
        "sshd dropped the connect",
        "",
    ),
    sign(
        "Not allowed at this time",
        Kind::Busy,
        "sshd dropped the connect",
        "",
    ),
    sign(
        "Connection reset by",
        Kind::Busy,
        "sshd dropped the connect",
        "",
    ),
    sign(
        "Connection closed by",
        Kind::Busy,
        "sshd dropped the connect",
        "",
    ),
];

const SUDO: [Sign; 7] = [
    sign(
        "must have a tty",
        Kind::Denied,
        "sudo: requiretty is set, and keyroll has no terminal",
        "add `Defaults:USER !requiretty` for this user to the sudoers",
    ),
    sign(
        "not in the sudoers file",
        Kind::Denied,
        "sudo: the user is not in the sudoers file",
        "give the user sudo, or set another ansible_user",
    ),
    sign(
        "not allowed to",
        Kind::Denied,
        "sudo: the user may not run a shell",
        "keyroll needs a sudo rule that allows `sh`",
    ),
    sign(
        "may not run sudo",
        Kind::Denied,
        "sudo: the user may not use sudo here",
        "give the user sudo, or set another ansible_user",
    ),
    sign(
        "incorrect password",
        Kind::Denied,
        "sudo: the password is wrong",
        "start again and give the right password (-K)",
    ),
    sign(
        "password is required",
        Kind::Denied,
        "sudo asks for a password",
        "start again with -K, or set ansible_become_password",
    ),
    sign(
        "not found",
        Kind::Denied,
        "there is no sudo on this host",
        "install sudo, or log in as root",
    ),
];

/// Reads what `ssh` said when it could not connect.
pub(super) fn of_ssh(host: &HostName, address: &str, stderr: &str) -> Trouble {
    let Some(sign) = SSH.iter().find(|sign| stderr.contains(sign.said)) else {
        let line = last_line(stderr);
        let why = if line.is_empty() {
            "ssh failed without a word"
        } else {
            line
        };
        return Trouble::Final(unreachable(
            host,
            why,
            &format!("try `ssh {address}` by hand"),
        ));
    };
    let line = stderr
        .lines()
        .map(str::trim)
        .find(|line| line.contains(sign.said))
        .unwrap_or_default();
    let hint = sign.hint.replace("{address}", address);
    match sign.kind {
        Kind::Unreachable => Trouble::Final(unreachable(host, &with_line(sign.why, line), &hint)),
        Kind::Denied => Trouble::Final(denied(host, &with_line(sign.why, line), &hint)),
        Kind::Busy => Trouble::Busy(with_line(sign.why, line)),
    }
}

/// Reads what `sudo` said when it ended without running anything.
pub(super) fn of_sudo(host: &HostName, stderr: &str) -> TransportError {
    match SUDO.iter().find(|sign| stderr.contains(sign.said)) {
        Some(sign) => denied(host, sign.why, sign.hint),
        None => denied(
            host,
            &with_line("sudo ran nothing", last_line(stderr)),
            "try `sudo sh` there by hand",
        ),
    }
}

pub(super) fn unreachable(host: &HostName, why: &str, hint: &str) -> TransportError {
    TransportError::Unreachable {
        host: host.clone(),
        why: why.to_owned(),
        hint: hint.to_owned(),
    }
}

pub(super) fn denied(host: &HostName, why: &str, hint: &str) -> TransportError {
    TransportError::Denied {
        host: host.clone(),
        why: why.to_owned(),
        hint: hint.to_owned(),
    }
}

fn with_line(why: &str, line: &str) -> String {
    if line.is_empty() || line.contains(why) {
        return if line.is_empty() { why } else { line }.to_owned();
    }
    format!("{why} ({line})")
}

fn last_line(text: &str) -> &str {
    text.lines()
        .map(str::trim)
        .rfind(|line| !line.is_empty())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ssh(stderr: &str) -> Trouble {
        of_ssh(&HostName::new("h1").unwrap(), "10.0.0.1", stderr)
    }

    fn end(stderr: &str) -> TransportError {
        match ssh(stderr) {
            Trouble::Final(error) => error,
            Trouble::Busy(why) => panic!("busy: {why}"),
        }
    }

    #[test]
    fn a_changed_host_key_is_not_called_an_unknown_one() {
        let said = "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.\r\n";
        assert!(end(said).to_string().contains("has changed"));
        assert_eq!(
            end("Host key verification failed.").hint(),
            Some("compare its fingerprint and accept it once with `ssh 10.0.0.1`")
        );
    }

    #[test]
    fn a_refused_key_is_denied_and_a_refused_port_is_unreachable() {
        let key = end("ops@10.0.0.1: Permission denied (publickey).\r\n");
        assert!(matches!(key, TransportError::Denied { .. }));
        let port = end("ssh: connect to host 10.0.0.1 port 22: Connection refused\r\n");
        assert!(matches!(port, TransportError::Unreachable { .. }));
    }

    #[test]
    fn a_drop_by_the_server_may_be_tried_again() {
        let said = "kex_exchange_identification: read: Connection reset by peer\r\nConnection reset by 10.0.0.1 port 22";
        assert!(matches!(ssh(said), Trouble::Busy(_)));
    }

    #[test]
    fn a_failed_jump_is_told_by_its_cause() {
        let said = "channel 0: open failed: connect failed: Connection refused\nstdio forwarding failed\nConnection closed by UNKNOWN port 65535";
        assert!(end(said).to_string().contains("refused"));
    }

    #[test]
    fn words_that_nobody_foresaw_are_repeated() {
        assert!(
            end("muxserver_listen: odd thing")
                .to_string()
                .contains("odd thing")
        );
    }

    #[test]
    fn sudo_is_told_apart() {
        let host = HostName::new("h1").unwrap();
        let why = |text: &str| of_sudo(&host, text).to_string();
        assert!(why("sudo: sorry, you must have a tty to run sudo").contains("requiretty"));
        assert!(why("bob is not in the sudoers file.").contains("not in the sudoers"));
        assert!(why("sh: 1: sudo: not found").contains("no sudo"));
    }
}
