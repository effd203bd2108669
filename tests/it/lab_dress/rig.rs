//! A cluster on lab hosts, keyroll beside it, and what stands on all disks.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::{NEW, OLD, SERVERS};
use crate::ssh_hosts::Lab;

/// What holds surfaces, and what must not change beside them.
const PLACES: [&str; 5] = [
    "etc",
    "var/lib/k3s-token",
    "var/lib/rancher/k3s/server/token",
    "usr/local/bin",
    "nix/store",
];

/// Owner, mode and bytes of a file, or where a link leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) owner: (u32, u32),
    pub(super) mode: u32,
    pub(super) text: Vec<u8>,
}

pub(super) struct Rig {
    pub(super) standin: &'static str,
    pub(super) lab: Lab,
    pub(super) own: tempfile::TempDir,
    pub(super) hosts: usize,
}

impl Rig {
    pub(super) fn script(&self, name: &str, args: &[&str], input: &str) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/lab")
            .join(name);
        let done = assert_cmd::Command::new(script)
            .args(args)
            .env("LAB", self.lab.folder())
            .env("LEASE_MS", "1000")
            .env_remove("K3S_BIN")
            .env("STANDIN", self.standin)
            .timeout(Duration::from_mins(3))
            .write_stdin(input)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{name} {args:?}: {said}");
        String::from_utf8(done.stdout).unwrap()
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.own.path().join(name)
    }

    /// A file that only its owner can read.
    pub(super) fn keep(&self, path: &Path, text: &str) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(path, mode).unwrap();
        assert!(path.starts_with(self.own.path()) || path.starts_with(self.lab.folder()));
    }

    /// A cluster as `k3s.sh` installs it, whose token is OLD.
    pub(super) fn install(&self) {
        let plan: String = (1..=self.hosts)
            .map(|number| match number {
                number if number <= SERVERS => format!("h{number} h{number} server store=etcd\n"),
                number => format!("h{number} h{number} agent\n"),
            })
            .collect();
        self.keep(&self.lab.file("clusters/dress/token"), OLD);
        self.script("k3s.sh", &["install", "dress"], &plan);
        std::fs::write(
            self.file("lab.yml"),
            self.script("k3s.sh", &["inventory", "dress"], ""),
        )
        .unwrap();
        self.keep(&self.file("new"), NEW);
        let book = std::fs::read_to_string(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/playbooks/rotate-token.yml"
        ))
        .unwrap();
        let book = [
            ("settle: 30s", "settle: 1s, interval: 1s"),
            ("serial: [10%, 25%]", "serial: 100%"),
        ]
        .into_iter()
        .fold(book, |book, (slow, quick)| {
            assert!(book.contains(slow), "no {slow}");
            book.replace(slow, quick)
        });
        std::fs::write(self.file("book.yml"), book).unwrap();
    }

    pub(super) fn dress(&self, wishes: &[(String, &str)]) {
        let wishes: Vec<String> = wishes
            .iter()
            .map(|(host, name)| format!("{host}={name}"))
            .collect();
        let args: Vec<&str> = std::iter::once("dress")
            .chain(wishes.iter().map(String::as_str))
            .collect();
        self.script("dress.sh", &args, "");
    }

    pub(super) fn keyroll(&self, args: &[&str]) -> (i32, String) {
        let done = assert_cmd::Command::new(env!("CARGO_BIN_EXE_keyroll"))
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", self.own.path())
            .env("KEYROLL_STATE_DIR", self.file("state"))
            .args(args)
            .arg("-i")
            .arg(self.file("lab.yml"))
            .arg("-F")
            .arg(self.lab.file("ssh_config"))
            .timeout(Duration::from_mins(4))
            .output()
            .unwrap();
        let said = String::from_utf8([done.stdout, done.stderr].concat()).unwrap();
        assert!(!said.contains(OLD) && !said.contains(NEW), "{said}");
        (done.status.code().unwrap_or(-1), said)
    }

    pub(super) fn rotate(&self) -> (i32, String) {
        let (book, new) = (self.file("book.yml"), self.file("new"));
        let new = format!("--new-token-from=file:{}", new.display());
        self.keyroll(&[
            "run",
            book.to_str().unwrap(),
            "--no-escrow",
            "--accept-quorum-loss",
            &new,
        ])
    }

    /// What `where --json` says of each host.
    pub(super) fn places(&self) -> (i32, BTreeMap<String, Value>) {
        let (exit, said) = self.keyroll(&["where", "--json"]);
        let said: Value =
            serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
        let hosts = said["hosts"].as_array().unwrap().iter();
        let named = |row: &Value| (row["host"].as_str().unwrap().to_owned(), row.clone());
        (exit, hosts.map(named).collect())
    }

    /// Where a host's disk is seen from here.
    pub(super) fn disk(&self, host: &str) -> PathBuf {
        self.lab.file("run").join(host).join("root")
    }

    /// Every file of every host where surfaces may be.
    pub(super) fn files(&self) -> BTreeMap<(String, String), Held> {
        let mut found = BTreeMap::new();
        for host in (1..=self.hosts).map(|number| format!("h{number}")) {
            let root = self.disk(&host);
            for place in PLACES {
                below(&root, &root.join(place), &mut |path, held| {
                    found.insert((host.clone(), path), held);
                });
            }
        }
        found
    }
}

pub(super) fn below(root: &Path, path: &Path, take: &mut impl FnMut(String, Held)) {
    let Ok(meta) = std::fs::symlink_metadata(path) else {
        return;
    };
    let text = if meta.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            below(root, &entry.unwrap().path(), take);
        }
        return;
    } else if meta.is_symlink() {
        std::fs::read_link(path)
            .unwrap()
            .into_os_string()
            .into_encoded_bytes()
    } else if meta.is_file() && meta.len() < 1 << 20 {
        std::fs::read(path).unwrap()
    } else {
        meta.len().to_string().into_bytes()
    };
    let shown = format!("/{}", path.strip_prefix(root).unwrap().display());
    take(
        shown,
        Held {
            owner: (meta.uid(), meta.gid()),
            mode: meta.mode(),
            text,
        },
    );
}
