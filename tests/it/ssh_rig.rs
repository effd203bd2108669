//! What the tests over real ssh share: an sshd of our own on loopback, and requests in few words.

use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use keyroll::inventory::Connect;
use keyroll::model::HostName;
use keyroll::secret::Content;
use keyroll::transport::ssh::{SshOptions, SshTransport};
use keyroll::wire::{
    Batch, Become, Change, Command, Query, Ran, Request, Response, Transport, TransportError,
};
use tempfile::TempDir;
use tokio::process::{Child, Command as Process};

const SSHD: &str = "/usr/sbin/sshd";

/// Says that a test could not run, and fails it when a lab is required.
pub(crate) fn cannot(test: &str, why: &str) {
    let line = format!("NOT RUN: {test}: {why}\n");
    std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes()).unwrap();
    assert!(!required(), "{line}");
}

/// Whether nothing may be left out.
pub(crate) fn required() -> bool {
    wish().as_deref() == Some("required")
}

/// Whether no lab is wanted.
pub(crate) fn unwanted() -> bool {
    wish().as_deref() == Some("off")
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests are started by cargo, not by the command line"
)]
fn wish() -> Option<String> {
    std::env::var("KEYROLL_LAB").ok()
}

/// An sshd that runs as the current user, and ends with this value.
pub(crate) struct Sshd {
    pub(crate) dir: TempDir,
    pub(crate) port: u16,
    user: String,
    daemon: Option<Child>,
}

impl Sshd {
    /// Starts one with more lines in its configuration; `None` (and says why) where there is no sshd.
    pub(crate) async fn start(test: &str, more: &str) -> Option<Self> {
        for program in [SSHD, "/usr/bin/ssh", "/usr/bin/ssh-keygen"] {
            if !Path::new(program).exists() {
                cannot(test, &format!("there is no {program} on this machine"));
                return None;
            }
        }
        let dir = tempfile::Builder::new().prefix("kr").tempdir().unwrap();
        for key in ["host", "user", "stranger"] {
            keygen(&dir.path().join(key)).await;
        }
        // Root's sshd wants its separation folder, which a machine without a running sshd lacks.
        std::fs::create_dir_all("/run/sshd").ok();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let who = Process::new("id").arg("-un").output().await.unwrap();
        let user = String::from_utf8(who.stdout).unwrap().trim().to_owned();
        let mut sshd = Self {
            dir,
            port,
            user,
            daemon: None,
        };
        sshd.configure(more);
        sshd.run().await;
        Some(sshd)
    }

    fn configure(&self, more: &str) {
        let path = |name: &str| self.path(name).display().to_string();
        std::fs::copy(path("user.pub"), path("authorized")).unwrap();
        std::fs::set_permissions(path("authorized"), PermissionsExt::from_mode(0o600)).unwrap();
        let config = format!(
            "Port {}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\n\
             UsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n{more}\n",
            self.port,
            path("host"),
            path("authorized"),
        );
        std::fs::write(path("sshd_config"), config).unwrap();
        self.know("host.pub");
    }

    /// Makes this the only host key that is known for this sshd.
    pub(crate) fn know(&self, public_key: &str) {
        let key = std::fs::read_to_string(self.path(public_key)).unwrap();
        std::fs::write(
            self.path("known"),
            format!("[127.0.0.1]:{} {key}", self.port),
        )
        .unwrap();
    }

    async fn run(&mut self) {
        let daemon = Process::new(SSHD)
            .args(["-D", "-e", "-f"])
            .arg(self.path("sshd_config"))
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::fs::File::create(self.path("sshd.log")).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        self.daemon = Some(daemon);
        for _ in 0..200 {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!(
            "sshd does not listen: {}",
            std::fs::read_to_string(self.path("sshd.log")).unwrap()
        );
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn connect(&self) -> Connect {
        let words = format!(
            "-o UserKnownHostsFile={} -o GlobalKnownHostsFile=/dev/null -o IdentitiesOnly=yes -o IdentityAgent=none",
            self.path("known").display()
        );
        Connect {
            address: Some("127.0.0.1".to_owned()),
            port: Some(self.port),
            user: Some(self.user.clone()),
            private_key: Some(self.path("user").display().to_string()),
            args: words.split(' ').map(String::from).collect(),
            become_password: None,
        }
    }

    pub(crate) fn options(&self) -> SshOptions {
        let mut options = SshOptions::new(self.path("ctl").to_str().unwrap());
        options.config = Some("/dev/null".into());
        options.connect_timeout = Duration::from_secs(5);
        options
    }

    pub(crate) fn transport(&self) -> SshTransport {
        SshTransport::new([(host(), self.connect())], self.options()).unwrap()
    }

    /// Sends bytes to a `sh` on the host, without the transport.
    pub(crate) async fn feed(&self, input: &[u8]) {
        let connect = self.connect();
        let mut ssh = Process::new("ssh")
            .args(["-F", "/dev/null", "-o", "BatchMode=yes", "-p"])
            .arg(self.port.to_string())
            .args(&connect.args)
            .arg("-i")
            .arg(self.path("user"))
            .args(["-l", &self.user, "127.0.0.1", "sh"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut stdin = ssh.stdin.take().unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stdin, input)
            .await
            .unwrap();
        drop(stdin);
        ssh.wait().await.unwrap();
    }

    /// Processes of this user whose command line holds this word.
    pub(crate) fn pids(word: &str) -> Vec<u32> {
        let cmdline = |entry: &std::fs::DirEntry| {
            std::fs::read(entry.path().join("cmdline")).unwrap_or_default()
        };
        std::fs::read_dir("/proc")
            .unwrap()
            .filter_map(Result::ok)
            .filter(|entry| String::from_utf8_lossy(&cmdline(entry)).contains(word))
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect()
    }
}

async fn keygen(path: &Path) {
    let made = Process::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(path)
        .status()
        .await
        .unwrap();
    assert!(made.success());
}

pub(crate) fn host() -> HostName {
    HostName::new("box").unwrap()
}

pub(crate) fn batch(requests: Vec<Request>) -> Batch {
    Batch {
        r#become: Become::Login,
        requests,
    }
}

pub(crate) fn sh(script: &str) -> Command {
    Command::new(["sh", "-c", script])
}

pub(crate) fn query(command: Command) -> Request {
    Request::Query(Query::Run(command))
}

pub(crate) fn change(command: Command) -> Request {
    Request::Change(Change::Run(command))
}

/// Runs one command as the login user.
pub(crate) async fn run(transport: &SshTransport, command: Command) -> Result<Ran, TransportError> {
    let batch = batch(vec![query(command)]);
    Ok(only(transport.exec(&host(), &batch).await?))
}

/// The only answer, which is a command's.
pub(crate) fn only(responses: Vec<Response>) -> Ran {
    match <[Response; 1]>::try_from(responses) {
        Ok([Response::Ran(ran)]) => ran,
        other => panic!("not one command's answer: {other:?}"),
    }
}

pub(crate) fn text(ran: &Ran) -> String {
    ran.stdout.text().into_owned()
}

pub(crate) fn bytes(len: usize) -> Content {
    let pattern: Vec<u8> = (0..=250).cycle().take(len).collect();
    Content::new(pattern)
}
