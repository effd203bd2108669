//! The command lines of `ssh`. Pure.

use camino::Utf8PathBuf;
use sha2::{Digest, Sha256};

use super::SshOptions;
use crate::inventory::Connect;
use crate::model::HostName;

/// Bytes of a socket's name.
pub(super) const SOCKET_NAME_LEN: usize = 16;

/// Seconds that a master outlives its last session when nobody ends it.
const PERSIST_S: u32 = 120;

/// What the user may not change: nobody is there to answer a question, and errors must be readable.
const FIRST: [&str; 4] = [
    "BatchMode=yes",
    "LogLevel=ERROR",
    "ClearAllForwardings=yes",
    "RemoteCommand=none",
];

/// Where ssh goes: `ansible_host`, or the host's name.
pub(super) fn address<'a>(host: &'a HostName, connect: &'a Connect) -> &'a str {
    connect.address.as_deref().unwrap_or(host.as_str())
}

/// The same path in every run that reaches the host in the same way.
pub(super) fn socket(host: &HostName, connect: &Connect, options: &SshOptions) -> Utf8PathBuf {
    let mut digest = Sha256::new();
    for word in start(host, connect, options, "") {
        digest.update(word.as_bytes());
        digest.update([0]);
    }
    digest.update(host.as_str().as_bytes());
    let mut name = format!("{:x}", digest.finalize());
    name.truncate(SOCKET_NAME_LEN);
    options.control_dir.join(name)
}

/// Arguments that start a master. For each option ssh takes the first value it sees.
pub(super) fn start(
    host: &HostName,
    connect: &Connect,
    options: &SshOptions,
    socket: &str,
) -> Vec<String> {
    let mut args: Vec<String> = Vec::new();
    if let Some(config) = &options.config {
        args.extend(["-F".to_owned(), config.to_string()]);
    }
    args.extend(["-M", "-f", "-N", "-T", "-S", socket].map(String::from));
    let mut set = |option: String| args.extend(["-o".to_owned(), option]);
    for option in FIRST {
        set(option.to_owned());
    }
    set(format!("ControlPersist={PERSIST_S}"));
    args.extend(options.args.iter().chain(&connect.args).cloned());
    let timeout = options.connect_timeout.as_secs().max(1);
    for option in [
        format!("ConnectTimeout={timeout}"),
        "ServerAliveInterval=10".to_owned(),
        "ServerAliveCountMax=3".to_owned(),
    ] {
        args.extend(["-o".to_owned(), option]);
    }
    let mut give = |flag: &str, value: Option<String>| {
        args.extend(value.into_iter().flat_map(|value| [flag.to_owned(), value]));
    };
    give("-p", connect.port.map(|port| port.to_string()));
    give("-l", connect.user.clone());
    give("-i", connect.private_key.clone());
    args.extend(["--".to_owned(), address(host, connect).to_owned()]);
    args
}

/// Arguments that end a master.
pub(super) fn stop(socket: &str) -> Vec<String> {
    ["-F", "/dev/null", "-S", socket, "-O", "exit", "--", "host"]
        .map(String::from)
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> HostName {
        HostName::new("server-1").unwrap()
    }

    #[test]
    fn our_settings_come_before_the_users_and_theirs_before_our_defaults() {
        let mut options = SshOptions::new("/run/k");
        options.config = Some("/etc/lab".into());
        options.args = vec!["-o".into(), "ConnectTimeout=3".into()];
        let connect = Connect {
            address: Some("::1".into()),
            port: Some(2222),
            user: Some("ops".into()),
            ..Connect::default()
        };
        let line = start(&host(), &connect, &options, "/run/k/s").join(" ");
        assert!(line.starts_with("-F /etc/lab -M -f -N -T -S /run/k/s -o BatchMode=yes"));
        assert!(line.contains("-o ConnectTimeout=3 -o ConnectTimeout=10"));
        assert!(line.ends_with("-p 2222 -l ops -- ::1"));
        assert!(!line.contains("StrictHostKeyChecking"));
    }

    #[test]
    fn a_socket_has_the_same_short_name_until_the_way_to_the_host_changes() {
        let options = SshOptions::new("/run/k");
        let one = socket(&host(), &Connect::default(), &options);
        assert_eq!(one, socket(&host(), &Connect::default(), &options));
        assert_eq!(one.file_name().map(str::len), Some(SOCKET_NAME_LEN));
        let other = Connect {
            port: Some(2),
            ..Connect::default()
        };
        assert_ne!(one, socket(&host(), &other, &options));
    }
}
