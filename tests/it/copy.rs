//! The copy of a sqlite datastore on a real machine: K3s is a process that has a file open and writes its log, and
//! `systemctl` names it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::process::{Child, Command as Process};

use crate::ssh_rig::cannot;

const SCRIPT: &str = include_str!("../../src/steps/k3s_snapshot/copy.sh");

/// Writes numbered lines to the log for ever, by itself and without a pause.
const WRITER: &str =
    "exec 3<>\"$1\"; n=0; while :; do n=$((n+1)); printf '%08d\\n' $n >>\"$1-wal\"; done";

/// A database that is written to for ever, and what is around it.
struct Desk {
    folder: TempDir,
    writer: Child,
}

impl Desk {
    /// The writer is given the database's path.
    fn new(argv: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("state.db"), [7; 4096]).unwrap();
        std::fs::write(path("token"), "K10x::server:old\n").unwrap();
        std::fs::create_dir(path("bin")).unwrap();
        let writer = Process::new(argv[0])
            .args(&argv[1..])
            .arg(path("state.db"))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let desk = Self { folder, writer };
        desk.program("systemctl", &format!("echo MainPID={}", desk.pid()));
        desk.program("sqlite3", "echo ok");
        desk
    }

    fn pid(&self) -> u32 {
        self.writer.id().unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a program before all others of its name.
    fn program(&self, name: &str, text: &str) {
        let path = self.path("bin").join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// A shell that is about to read the script.
    fn start(&self, shell: &str) -> Child {
        let found =
            std::env::join_paths([&self.path("bin"), Path::new("/usr/bin"), Path::new("/bin")]);
        Process::new(shell)
            .args(["-s", "--", "copy-sqlite"])
            .arg(self.path("state.db"))
            .arg(self.path("copies"))
            .args(["before-1-sqlite", "k3s.service"])
            .arg(self.path("token"))
            .env("PATH", found.unwrap())
            .stdin(Stdio::from(std::fs::File::open(self.script()).unwrap()))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    fn script(&self) -> PathBuf {
        let path = self.path("script");
        std::fs::write(&path, SCRIPT).unwrap();
        path
    }

    async fn copy(&self, shell: &str) -> Output {
        let done = self.start(shell).wait_with_output();
        tokio::time::timeout(Duration::from_mins(2), done)
            .await
            .unwrap()
            .unwrap()
    }

    fn stands_still(&self) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        status.contains("T (stopped)")
    }

    fn log(&self) -> u64 {
        std::fs::metadata(self.path("state.db-wal")).map_or(0, |log| log.len())
    }

    /// Whether the writer goes on.
    async fn goes_on(&self) -> bool {
        let before = self.log();
        tokio::time::sleep(Duration::from_millis(300)).await;
        self.log() > before
    }

    async fn until_log(&self) {
        let begun = Instant::now();
        while self.log() == 0 {
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "nothing is written"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn said(output: &Output) -> String {
    let both = [&output.stdout, &output.stderr];
    both.map(|text| String::from_utf8_lossy(text).into_owned())
        .concat()
}

fn run(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(work);
}

#[test]
fn a_copy_is_one_moment_of_a_process_that_goes_on() {
    run(async {
        for shell in ["sh", "bash"] {
            let desk = Desk::new(&["sh", "-c", WRITER, "k3s"]);
            desk.until_log().await;
            let done = desk.copy(shell).await;
            assert!(done.status.success(), "{shell}: {}", said(&done));
            assert!(!desk.stands_still() && desk.goes_on().await, "{shell}");
            let copy = desk.path("copies/before-1-sqlite");
            let log = std::fs::read(copy.join("state.db-wal")).unwrap();
            assert!(
                !log.is_empty() && log.ends_with(b"\n"),
                "the log was cut in a write"
            );
            assert!(
                std::fs::read(desk.path("state.db-wal"))
                    .unwrap()
                    .starts_with(&log)
            );
            let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&copy), mode(&copy.join("token"))), (0o700, 0o600));
            let words = said(&done);
            let ms = words.split("stood still for ").nth(1).unwrap();
            let ms: u64 = ms.split(' ').next().unwrap().parse().unwrap();
            assert!(ms <= 5000, "{words}");
            let again = desk.copy(shell).await;
            assert!(
                said(&again).contains("is there already"),
                "{}",
                said(&again)
            );
        }
    });
}

#[test]
fn a_script_that_is_killed_leaves_nothing_frozen() {
    run(async {
        let desk = Desk::new(&["sh", "-c", WRITER, "k3s"]);
        desk.until_log().await;
        desk.program("cmp", "sleep 60");
        let mut script = desk.start("sh");
        let begun = Instant::now();
        while !desk.stands_still() {
            assert!(
                begun.elapsed() < Duration::from_secs(40),
                "it never stood still"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let group = format!("-{}", script.id().unwrap());
        let killed = Process::new("kill")
            .args(["-KILL", "--", &group])
            .status()
            .await;
        assert!(killed.unwrap().success());
        script.wait().await.unwrap();
        assert!(
            desk.stands_still(),
            "the script itself thawed it: nothing was tried"
        );
        tokio::time::sleep(Duration::from_secs(7)).await;
        assert!(!desk.stands_still() && desk.goes_on().await);
    });
}

#[test]
fn a_copy_that_takes_too_long_is_none_and_what_it_froze_goes_on() {
    run(async {
        let desk = Desk::new(&["sh", "-c", WRITER, "k3s"]);
        desk.until_log().await;
        desk.program("cmp", "sleep 6; exec /usr/bin/cmp \"$@\"");
        // Its first look is too slow, and its second finds the same: none of the five is whole.
        desk.program("sleep", "exec /bin/sleep \"$1\"");
        let mut script = desk.start("sh");
        let begun = Instant::now();
        while !desk.stands_still() {
            assert!(
                begun.elapsed() < Duration::from_secs(40),
                "it never stood still"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert!(!desk.path("copies/before-1-sqlite").exists());
        let asked = Process::new("kill")
            .arg(script.id().unwrap().to_string())
            .status()
            .await;
        assert!(asked.unwrap().success());
        let ended = tokio::time::timeout(Duration::from_secs(30), script.wait()).await;
        assert!(!ended.unwrap().unwrap().success());
        assert!(!desk.stands_still() && desk.goes_on().await);
        assert!(
            !desk.path("copies/.before-1-sqlite.part").exists(),
            "half a copy was left"
        );
    });
}

#[test]
fn what_cannot_be_copied_is_named_and_never_frozen() {
    run(async {
        let closed = Desk::new(&["sh", "-c", "while :; do sleep 1; done", "k3s"]);
        let done = closed.copy("sh").await;
        assert!(said(&done).contains("has not opened"), "{}", said(&done));
        let odd = Desk::new(&["sh", "-c", WRITER, "k3s"]);
        odd.until_log().await;
        std::fs::write(odd.path("state.db-journal"), "x").unwrap();
        let done = odd.copy("sh").await;
        assert!(said(&done).contains("rollback journal"), "{}", said(&done));
        std::fs::remove_file(odd.path("state.db-journal")).unwrap();
        odd.program("sqlite3", "echo 'row 1 missing from index'");
        let done = odd.copy("sh").await;
        assert!(
            said(&done).contains("the copy is damaged: row 1"),
            "{}",
            said(&done)
        );
        odd.program("cp", "echo 'cp: No space left on device' >&2; exit 1");
        let done = odd.copy("sh").await;
        assert!(said(&done).contains("No space left"), "{}", said(&done));
        assert!(!odd.path("copies/before-1-sqlite").exists());
        assert!(!odd.path("copies/.before-1-sqlite.part").exists());
        assert!(odd.goes_on().await);
    });
}

#[test]
fn a_copy_of_real_sqlite_holds_every_row_of_its_moment() {
    const INSERTS: &str = "import sqlite3, sys, time
c = sqlite3.connect(sys.argv[1] + '.real'); c.execute('pragma journal_mode=wal')
c.execute('create table t(n integer primary key, b blob)'); c.commit(); n = 0
while True:
    n += 1; c.execute('insert into t values(?, zeroblob(3000))', (n,)); c.commit(); time.sleep(0.001)
";
    const CHECK: &str = "import sqlite3, sys
c = sqlite3.connect(sys.argv[1]); ok = c.execute('pragma integrity_check').fetchone()[0]
count, last = c.execute('select count(*), max(n) from t').fetchone()
print(ok, count == last and count > 0)
";
    run(async {
        let has = Process::new("python3")
            .args(["-c", "import sqlite3"])
            .output()
            .await;
        if !has.is_ok_and(|done| done.status.success()) {
            return cannot("a_copy_of_real_sqlite", "there is no python3 with sqlite3");
        }
        let desk = Desk::new(&["python3", "-c", INSERTS]);
        let (real, path) = (desk.path("state.db.real"), desk.path("state.db"));
        let begun = Instant::now();
        while !real.with_extension("real-wal").exists() {
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "nothing is written"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // The same names, through links: the log is found by the database's own name.
        std::fs::remove_file(&path).unwrap();
        std::fs::hard_link(&real, &path).unwrap();
        std::fs::hard_link(real.with_extension("real-wal"), desk.path("state.db-wal")).unwrap();
        desk.program("readlink", &format!("echo {}", real.display()));
        let done = desk.copy("sh").await;
        assert!(done.status.success(), "{}", said(&done));
        let copy = desk.path("copies/before-1-sqlite/state.db");
        let checked = Process::new("python3")
            .args(["-c", CHECK])
            .arg(&copy)
            .output()
            .await;
        assert_eq!(
            String::from_utf8_lossy(&checked.unwrap().stdout).trim(),
            "ok True"
        );
    });
}
