//! What a scenario needs of a cluster, wherever that is; and the folder and the program of whoever runs keyroll.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::scenario::{Run, Topology};

const BUILT_IN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/playbooks");

/// How a command in a host ended.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) status: i32,
    pub(super) out: String,
    pub(super) err: String,
}

/// How a run of keyroll ended; `status` is −1 after a signal.
#[derive(Debug, Default)]
pub(super) struct Ended {
    pub(super) status: i32,
    pub(super) text: String,
    /// Secrets that were seen where none may be.
    pub(super) leaks: Vec<String>,
    /// Whether the moment of `when` came.
    pub(super) reached: bool,
}

/// A file that holds a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) text: String,
    pub(super) mode: u32,
    pub(super) group: u32,
}

/// A cluster that was raised for one scenario, and is gone when this is dropped.
pub(super) trait Backend {
    fn desk(&self) -> &Desk;

    /// keyroll, to its end or to where it is killed.
    fn keyroll(&self, run: &Run) -> Ended;

    /// A command in a host as root; a host that is off says nothing.
    fn command(&self, host: &str, argv: &[&str], stdin: &str) -> Said;

    fn read(&self, host: &str, path: &str) -> Option<Held>;

    /// Writes in place, as an editor does.
    fn write(&self, host: &str, path: &str, text: &str);

    /// Deletes a file that is there.
    fn remove(&self, host: &str, path: &str);

    fn fault(&self, host: &str, name: &str);

    fn heal(&self, host: &str);

    fn power(&self, host: &str, what: &str);

    fn wait(&self, seconds: u64);

    /// Everything about the cluster that a look must not change.
    fn everything(&self) -> BTreeMap<String, String>;
}

/// Where keyroll is run: its folder, its playbooks, both tokens.
pub(super) struct Desk {
    pub(super) own: TempDir,
    pub(super) topology: Topology,
    /// The token that the cluster has, and the one that it is to have.
    pub(super) old: String,
    pub(super) new: String,
}

impl Desk {
    pub(super) fn new(topology: &Topology, old: String) -> Self {
        let desk = Self {
            own: tempfile::Builder::new().prefix("ke").tempdir().unwrap(),
            topology: topology.clone(),
            old,
            new: drawn("new"),
        };
        for folder in ["tmp", "home", "state"] {
            std::fs::create_dir(desk.file(folder)).unwrap();
        }
        secret_file(&desk.file("new"), &desk.new);
        secret_file(&desk.file("old"), &desk.old);
        desk
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.own.path().join(name)
    }

    /// Arguments of one run.
    pub(super) fn arguments(&self, run: &Run, inventory: &str, quick: bool) -> Vec<String> {
        let state = format!("--state-dir={}", self.file("state").display());
        let mut args: Vec<String> = match &run.command {
            Some(command) => {
                let word = |word: &str| match word.strip_prefix('@') {
                    Some(name) if quick => self.book(name, None, quick),
                    _ => word.to_owned(),
                };
                command.split(' ').map(word).collect()
            }
            None => vec![
                "run".to_owned(),
                self.book("rotate-token", run.before.as_deref(), quick),
            ],
        };
        args.extend(["-i".to_owned(), inventory.to_owned(), state]);
        if run.command.is_none() {
            args.push("--accept-quorum-loss".to_owned());
            if !run.args.iter().any(|arg| arg.starts_with("--escrow-to")) {
                args.push("--no-escrow".to_owned());
            }
        }
        let [old, new] = ["old", "new"].map(|name| format!("file:{}", self.file(name).display()));
        if run.command.is_none() && !run.given_no_token {
            args.push(format!("--new-token-from={new}"));
        }
        let named = |arg: &String| arg.replace("file:OLD", &old).replace("file:NEW", &new);
        args.extend(run.args.iter().map(named));
        args
    }

    pub(super) fn surroundings(&self) -> [(&'static str, PathBuf); 3] {
        [
            ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin".into()),
            ("TMPDIR", self.file("tmp")),
            ("HOME", self.file("home")),
        ]
    }

    /// A built-in playbook, whole or up to a play, with short deadlines where leases are renewed each second.
    fn book(&self, name: &str, before: Option<&str>, quick: bool) -> String {
        let mut text = std::fs::read_to_string(format!("{BUILT_IN}/{name}.yml")).unwrap();
        if let Some(play) = before {
            let at = text.find(&format!("\n- name: {play}\n"));
            text.truncate(at.unwrap_or_else(|| panic!("there is no play `{play}`")) + 1);
        }
        if quick {
            for (slow, quick) in [
                ("settle: 30s", "settle: 1s, interval: 1s"),
                ("timeout: 5m", "timeout: 2m"),
                ("timeout: 10m", "timeout: 3m"),
                ("k3s_restart: {}", "k3s_restart: { timeout: 40 }"),
            ] {
                let whole = name == "rotate-token" && before.is_none();
                assert!(!whole || text.contains(slow), "no {slow}");
                text = text.replace(slow, quick);
            }
        }
        let path = self.file(&format!("{name}.yml"));
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

/// A token that is nobody else's.
pub(super) fn drawn(salt: &str) -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).unwrap();
    let hash = Sha256::digest([salt.as_bytes(), &bytes].concat());
    format!("{hash:x}")[..32].to_owned()
}

pub(super) fn secret_file(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}
