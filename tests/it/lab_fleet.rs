//! A K3s cluster on lab hosts, the real `keyroll`, and ways to look at both from outside.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::{Arc, Weak};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command as Process};
use tokio::sync::{Mutex, MutexGuard};

use crate::ssh_hosts::Lab;
use crate::ssh_rig::cannot;

const HOSTS: usize = 8;
const FOLDER: &str = "keyroll-lab-e2e";
const INSTALL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/k3s.sh");
const BUILT_IN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/playbooks/rotate-token.yml");

static RAISED: Mutex<Weak<Lab>> = Mutex::const_new(Weak::new());
static TURN: Mutex<()> = Mutex::const_new(());

/// The lab that tests of this binary share: raised by the first, taken down by the last.
async fn lab(test: &str) -> Option<Arc<Lab>> {
    let mut raised = RAISED.lock().await;
    if let Some(lab) = raised.upgrade() {
        return Some(lab);
    }
    let lab = Arc::new(Lab::raise_in(FOLDER, test, HOSTS).await?);
    *raised = Arc::downgrade(&lab);
    Some(lab)
}

/// How many hosts, and what keeps the data.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) servers: usize,
    pub(crate) agents: usize,
}

/// A fresh cluster. One test at a time has one.
pub(crate) struct Cluster {
    pub(crate) size: Size,
    /// The token that it has, and the one that it is to have.
    pub(crate) old: String,
    pub(crate) new: String,
    /// Everything that keyroll keeps, and its temporary folder and home.
    pub(crate) own: TempDir,
    real: Option<String>,
    lab: Arc<Lab>,
    _turn: MutexGuard<'static, ()>,
}

/// How a run of keyroll ended.
pub(crate) struct Ended {
    pub(crate) status: i32,
    pub(crate) text: String,
}

impl Cluster {
    /// Installs K3s on lab hosts: the real one where `K3S_BIN` names its folder, else the stand-in.
    /// `None` (and says why) where that is not possible.
    pub(crate) async fn install(test: &str, size: Size) -> Option<Self> {
        Self::with(test, size, real_k3s()).await
    }

    /// The same with the stand-in, whose faults can be chosen.
    pub(crate) async fn install_standin(test: &str, size: Size) -> Option<Self> {
        Self::with(test, size, None).await
    }

    async fn with(test: &str, size: Size, real: Option<String>) -> Option<Self> {
        let standin = option_env!("CARGO_BIN_EXE_k3s-standin");
        if standin.is_none() && real.is_none() {
            cannot(test, "it was built without --features standin");
            return None;
        }
        let lab = lab(test).await?;
        let turn = TURN.lock().await;
        let cluster = Self {
            size,
            old: drawn("old"),
            new: drawn("new"),
            own: tempfile::Builder::new().prefix("ke").tempdir().unwrap(),
            real,
            lab,
            _turn: turn,
        };
        cluster.furnish().await;
        Some(cluster)
    }

    async fn furnish(&self) {
        for folder in ["tmp", "home", "state"] {
            std::fs::create_dir(self.own.path().join(folder)).unwrap();
        }
        secret_file(&self.lab.file("token"), &self.old);
        secret_file(&self.file("new"), &self.new);
        let store = if self.size.servers == 1 {
            "sqlite"
        } else {
            "etcd"
        };
        let (servers, agents) = (self.size.servers.to_string(), self.size.agents.to_string());
        let done = self.script(&["install", &servers, &agents, store]).await;
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.success(), "{said}");
        let inventory = self.script(&["inventory"]).await;
        std::fs::write(self.file("lab.yml"), inventory.stdout).unwrap();
        let book = match self.real {
            Some(_) => std::fs::read_to_string(BUILT_IN).unwrap(),
            None => quick(),
        };
        std::fs::write(self.file("book.yml"), book).unwrap();
    }

    async fn script(&self, args: &[&str]) -> Output {
        let mut script = Process::new(INSTALL);
        script
            .args(args)
            .env("LAB", self.lab.file(""))
            .env("LEASE_MS", "1000")
            .env_remove("K3S_BIN")
            .kill_on_drop(true);
        if let Some(standin) = option_env!("CARGO_BIN_EXE_k3s-standin") {
            script.env("STANDIN", standin);
        }
        if let Some(real) = &self.real {
            script.env("K3S_BIN", real);
        }
        let done = tokio::time::timeout(Duration::from_mins(5), script.output()).await;
        done.unwrap().unwrap()
    }

    /// Gives the stand-in on one host more variables, which count from its next start.
    pub(crate) async fn tune(&self, host: &str, variable: &str) {
        let done = self.script(&["tune", host, variable]).await;
        assert!(done.status.success());
    }

    /// A file of this test's own.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.own.path().join(name)
    }

    /// A file of the lab.
    pub(crate) fn lab_file(&self, name: &str) -> PathBuf {
        self.lab.file(name)
    }

    /// Calls `lab.sh`, which must succeed.
    pub(crate) async fn lab(&self, args: &[&str]) {
        self.lab.call(args).await;
    }

    /// Names of all hosts, servers first.
    pub(crate) fn hosts(&self) -> Vec<String> {
        let count = self.size.servers + self.size.agents;
        (1..=count).map(|number| format!("h{number}")).collect()
    }

    /// Names of the servers.
    pub(crate) fn servers(&self) -> Vec<String> {
        self.hosts()[..self.size.servers].to_vec()
    }

    /// `keyroll run BOOK …` as a person would call it here.
    pub(crate) fn keyroll(&self, book: &str, more: &[&str]) -> Process {
        let mut keyroll = Process::new(env!("CARGO_BIN_EXE_keyroll"));
        keyroll
            .args(["run", book, "--no-escrow", "--state-dir"])
            .arg(self.file("state"))
            .arg("-i")
            .arg(self.file("lab.yml"))
            .args(more)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("TMPDIR", self.file("tmp"))
            .env("HOME", self.file("home"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if !more.contains(&"-F") {
            keyroll.arg("-F").arg(self.lab.file("ssh_config"));
        }
        let new = format!("file:{}", self.file("new").display());
        keyroll.args(["--new-token-from", &new]);
        keyroll
    }

    /// Runs it to its end.
    pub(crate) async fn run(&self, book: &str, more: &[&str]) -> Ended {
        let mut keyroll = self.keyroll(book, more);
        let done = tokio::time::timeout(Duration::from_mins(20), keyroll.output()).await;
        Ended::of(&done.unwrap().unwrap())
    }

    /// The built-in playbook, with short deadlines where the stand-in is.
    pub(crate) fn book(&self) -> String {
        self.file("book.yml").display().to_string()
    }

    /// Where a host's disk is seen from here.
    pub(crate) fn disk(&self, host: &str) -> PathBuf {
        self.lab.file("run").join(host).join("root")
    }

    /// Runs a program inside a host, with some input.
    pub(crate) async fn on(&self, host: &str, argv: &[&str], input: &str) -> Output {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/lab.sh");
        let mut child: Child = Process::new(script)
            .args(["in", host])
            .args(argv)
            .env("LAB", self.lab.file(""))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).await.unwrap();
        drop(stdin);
        let done = tokio::time::timeout(Duration::from_mins(1), child.wait_with_output()).await;
        done.unwrap().unwrap()
    }

    /// What a server says to a secret: `405`, `401` or kubectl's words.
    pub(crate) async fn knock(&self, host: &str, secret: &str) -> String {
        let config = serde_json::json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "k",
            "clusters": [{"name": "k", "cluster": {"server": "https://127.0.0.1:6443",
                "certificate-authority": "/var/lib/rancher/k3s/server/tls/server-ca.crt"}}],
            "users": [{"name": "k", "user": {"username": "server", "password": secret}}],
            "contexts": [{"name": "k", "context": {"cluster": "k", "user": "k"}}],
        });
        let argv = [
            "/usr/local/bin/k3s",
            "kubectl",
            "--kubeconfig=/dev/stdin",
            "get",
            "--raw",
            "/v1-k3s/token",
        ];
        let said = self.on(host, &argv, &config.to_string()).await;
        let words = String::from_utf8_lossy(&said.stderr).into_owned();
        match () {
            () if words.contains("(MethodNotAllowed)") => "405".to_owned(),
            () if words.contains("must be logged in") => "401".to_owned(),
            () => words,
        }
    }

    /// Status of all nodes, as people look at it.
    pub(crate) async fn nodes(&self) -> String {
        let said = self
            .on("h1", &["/usr/local/bin/k3s", "kubectl", "get", "nodes"], "")
            .await;
        String::from_utf8_lossy(&said.stdout).into_owned()
    }

    /// Everything about a cluster that a look must not change.
    pub(crate) async fn digest(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        for host in self.hosts() {
            for top in ["etc/rancher", "etc/systemd/system", "var/lib/rancher"] {
                digest(&self.disk(&host).join(top), &host, &mut all);
            }
            let units = [
                "systemctl",
                "show",
                "-p",
                "Id,InvocationID,NRestarts",
                "k3s",
                "k3s-agent",
            ];
            let shown = self.on(&host, &units, "").await.stdout;
            all.insert(format!("{host} units"), String::from_utf8(shown).unwrap());
        }
        all
    }
}

impl Ended {
    pub(crate) fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            status: output.status.code().unwrap_or(-1),
            text: text(&output.stdout) + &text(&output.stderr),
        }
    }
}

fn digest(path: &Path, host: &str, all: &mut BTreeMap<String, String>) {
    let Ok(meta) = std::fs::symlink_metadata(path) else {
        return;
    };
    let bytes = if meta.is_symlink() {
        std::fs::read_link(path)
            .unwrap()
            .into_os_string()
            .into_encoded_bytes()
    } else if meta.is_file() {
        std::fs::read(path).unwrap()
    } else {
        Vec::new()
    };
    let line = format!(
        "{:o} {}:{} {}.{} {:x}",
        meta.mode(),
        meta.uid(),
        meta.gid(),
        meta.mtime(),
        meta.mtime_nsec(),
        Sha256::digest(bytes)
    );
    all.insert(format!("{host} {}", path.display()), line);
    if meta.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            digest(&entry.unwrap().path(), host, all);
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests are started by cargo, not by the command line"
)]
fn real_k3s() -> Option<String> {
    std::env::var("K3S_BIN").ok()
}

/// The built-in playbook with short deadlines: leases are renewed each second here.
fn quick() -> String {
    let book = std::fs::read_to_string(BUILT_IN).unwrap();
    let quick = book
        .replace("settle: 30s", "settle: 4s, interval: 1s")
        .replace("timeout: 5m", "timeout: 40s")
        .replace("k3s_restart: {}", "k3s_restart: { timeout: 20 }");
    assert!(
        quick.contains("settle: 4s, interval: 1s")
            && quick.contains("timeout: 40s")
            && quick.contains("timeout: 20")
    );
    quick
}

/// A token that is nobody else's.
fn drawn(salt: &str) -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).unwrap();
    let hash = Sha256::digest([salt.as_bytes(), &bytes].concat());
    format!("{hash:x}")[..32].to_owned()
}

fn secret_file(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}
