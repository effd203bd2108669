//! keyroll against lab hosts, and what is done to them in the middle of a run.

use std::cell::{Cell, RefCell};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command as Process};

use super::backend::{Backend as _, Ended};
use super::lab::Cluster;
use super::person;
use super::scenario::{Run, When};

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
        let (stdout, stderr) = (keyroll.stdout.take(), keyroll.stderr.take());
        let following = Following {
            cluster: self,
            when: run.when.as_ref(),
            keyroll: RefCell::new(keyroll),
            text: RefCell::default(),
            reached: Cell::new(false),
        };
        tokio::join!(
            following.listen(stdout.unwrap()),
            following.listen(stderr.unwrap())
        );
        let mut keyroll = following.keyroll.into_inner();
        let status = keyroll.wait().await.unwrap().code().unwrap_or(-1);
        Ended {
            status,
            text: following.text.into_inner(),
            reached: following.reached.get(),
            leaks: Vec::new(),
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

/// A run under way, and what is to be done in the middle of it.
struct Following<'a> {
    cluster: &'a Cluster<'a>,
    when: Option<&'a When>,
    keyroll: RefCell<Child>,
    text: RefCell<String>,
    reached: Cell<bool>,
}

impl Following<'_> {
    /// Reads one of keyroll's two outputs to its end.
    async fn listen(&self, output: impl AsyncRead + Unpin) {
        let mut lines = BufReader::new(output).lines();
        while let Some(line) = lines.next_line().await.unwrap() {
            self.text.borrow_mut().push_str(&(line.clone() + "\n"));
            self.cluster.hears(&line);
            let Some(when) = self.when.filter(|when| line.contains(&when.says)) else {
                continue;
            };
            if self.reached.replace(true) {
                continue;
            }
            tokio::time::sleep(Duration::from_millis(when.after_ms)).await;
            if when.kill {
                self.keyroll.borrow_mut().start_kill().unwrap();
            }
            self.cluster.interfere(when);
        }
    }
}
