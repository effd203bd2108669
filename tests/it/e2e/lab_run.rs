//! keyroll against lab hosts, and what is done to them in the middle of a run.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command as Process};

use super::backend::{Backend as _, Ended};
use super::lab::Cluster;
use super::person;
use super::scenario::{Run, When};

/// The built-in playbook's name for the rotate.
const ROTATED: &str = "Re-encrypt the datastore";

impl Cluster<'_> {
    /// Whether leases are renewed each second.
    pub(super) fn is_quick(&self) -> bool {
        self.labs.real.is_none()
    }

    fn program(&self, run: &Run) -> Process {
        let inventory = self.inventory().display().to_string();
        let mut keyroll = Process::new(env!("CARGO_BIN_EXE_keyroll"));
        keyroll
            .args(self.desk.arguments(run, &inventory, self.is_quick()))
            .arg("-F")
            .arg(self.ssh_config())
            .env_clear()
            .envs(self.desk.surroundings())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        keyroll
    }

    pub(super) async fn follow(&self, run: &Run) -> Ended {
        let mut keyroll = self.program(run).spawn().unwrap();
        let lines = BufReader::new(keyroll.stdout.take().unwrap());
        let mut errors = keyroll.stderr.take().unwrap();
        let mut stderr = String::new();
        let ((mut text, reached, status), _) = tokio::join!(
            self.listen(&mut keyroll, lines, run.when.as_ref()),
            errors.read_to_string(&mut stderr),
        );
        text += &stderr;
        Ended {
            status,
            text,
            reached,
            leaks: Vec::new(),
        }
    }

    /// Reads on to the end, and does what is to be done in the middle.
    async fn listen(
        &self,
        keyroll: &mut Child,
        lines: BufReader<ChildStdout>,
        when: Option<&When>,
    ) -> (String, bool, i32) {
        let (mut lines, mut text, mut reached) = (lines.lines(), String::new(), false);
        while let Some(line) = lines.next_line().await.unwrap() {
            text = text + &line + "\n";
            if line.starts_with("  changed") && line.contains(ROTATED) {
                self.reboot().await;
            }
            let Some(when) = when.filter(|when| !reached && line.contains(&when.says)) else {
                continue;
            };
            reached = true;
            tokio::time::sleep(Duration::from_millis(when.after_ms)).await;
            if when.kill {
                keyroll.kill().await.unwrap();
            }
            self.interfere(when);
        }
        let status = keyroll.wait().await.unwrap().code().unwrap_or(-1);
        (text, reached, status)
    }

    async fn reboot(&self) {
        let host = self.reboots.borrow_mut().take();
        if let Some(host) = host {
            tokio::time::sleep(Duration::from_secs(2)).await;
            self.power(&host, "rebooted");
        }
    }

    fn interfere(&self, when: &When) {
        for (host, what) in when.power.iter().flatten() {
            self.power(host, what);
        }
        for (host, deeds) in when.person.iter().flatten() {
            for deed in deeds {
                person::does(self, host, deed).unwrap();
            }
        }
    }
}
