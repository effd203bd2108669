//! Lab hosts for tests: raised through `tests/lab/lab.sh`, one test at a time, and taken down again.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command as Process;

use crate::ssh_rig::{cannot, required, unwanted};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/lab.sh");

/// The lab. Other tests that want it wait until this value is gone.
pub(crate) struct Lab {
    folder: PathBuf,
    sockets: tempfile::TempDir,
    ours: bool,
    _turn: File,
}

impl Lab {
    /// Raises hosts h1…hN; `None` (and says why) where that is not possible.
    pub(crate) async fn raise(test: &str, hosts: usize) -> Option<Self> {
        match Self::try_raise("keyroll-lab", hosts).await {
            Ok(lab) => Some(lab),
            Err(why) => {
                cannot(test, &why);
                None
            }
        }
    }

    /// The same in some folder of the machine's temporary one: labs in different folders do not meet.
    ///
    /// # Errors
    /// Why that is not possible.
    pub(crate) async fn try_raise(name: &str, hosts: usize) -> Result<Self, String> {
        let folder = std::env::temp_dir().join(name);
        if let Some(why) = obstacle(&folder).await {
            return Err(why);
        }
        std::fs::create_dir_all(&folder).unwrap();
        let turn = File::create(folder.join("turn")).unwrap();
        turn.lock().unwrap();
        let lab = Self {
            // Hosts that somebody raised by hand are used, and left up.
            ours: !folder.join("run/h1").exists(),
            sockets: tempfile::Builder::new().prefix("kl").tempdir().unwrap(),
            folder,
            _turn: turn,
        };
        lab.call(&["up", &hosts.to_string()]).await;
        Ok(lab)
    }

    /// Calls `lab.sh`, which must succeed.
    pub(crate) async fn call(&self, args: &[&str]) {
        let mut script = Process::new(SCRIPT);
        script
            .args(args)
            .env("LAB", &self.folder)
            .kill_on_drop(true);
        let done = tokio::time::timeout(Duration::from_mins(10), script.status()).await;
        assert!(done.unwrap().unwrap().success(), "lab.sh {args:?}");
    }

    /// Where it lives; its hosts' names depend on the spelling.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A file of the lab, such as `ssh_config`.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A folder of this test's own for ssh's sockets.
    pub(crate) fn sockets(&self) -> &Path {
        self.sockets.path()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if self.ours {
            let down = assert_cmd::Command::new(SCRIPT)
                .arg("down")
                .env("LAB", &self.folder)
                .output();
            assert!(down.is_ok_and(|output| output.status.success()) || std::thread::panicking());
        }
    }
}

/// Why there can be no lab here.
async fn obstacle(folder: &Path) -> Option<String> {
    if unwanted() {
        return Some("KEYROLL_LAB is off".to_owned());
    }
    let programs = [
        "/usr/bin/systemd-nspawn",
        "/usr/sbin/debootstrap",
        "/usr/bin/gcc",
    ];
    if let Some(program) = programs.iter().find(|program| !Path::new(program).exists()) {
        return Some(format!("there is no {program} on this machine"));
    }
    let who = Process::new("id").arg("-u").output().await.unwrap();
    if who.stdout != b"0\n" {
        return Some("lab hosts need root".to_owned());
    }
    // Making an image loads packages, which a plain `cargo test` should not do.
    let has_image = |folder: &Path| folder.join("rootfs/usr/sbin/sshd").exists();
    if !required() && !has_image(folder) && !has_image(&std::env::temp_dir().join("keyroll-lab")) {
        return Some("there is no lab image; `tests/lab/lab.sh rootfs` makes one".to_owned());
    }
    None
}
