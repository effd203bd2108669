//! The copy of a sqlite datastore on a real machine: a real database that a process writes without a pause, the script as it is
//! sent to a host, and stand-ins for systemd's two programs. Nothing here depends on how fast the machine is.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::process::{Child, Command as Process};

use crate::ssh_rig::cannot;

const SCRIPT: &str = include_str!("../../src/steps/k3s_snapshot/copy.sh");

/// Commits rows for ever, folds its log in every few of them, and says after each commit how far it is.
const WRITER: &str = "import os, sqlite3, sys
c = sqlite3.connect(sys.argv[1], isolation_level=None)
c.execute('pragma journal_mode=wal'); c.execute('pragma synchronous=off'); c.execute('pragma wal_autocheckpoint=20')
c.execute('create table t(n integer primary key, b blob)')
said = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT); n = 0
while True:
    n += 1
    c.execute('insert into t values(?, randomblob(3000))', (n,))
    os.pwrite(said, b'%020d' % n, 0)
    c.execute('delete from t where n <= ?', (n - 500,))
";

/// Of each copy, and of how far the writer had said to be: whether the copy is whole and holds just that.
const JUDGE: &str = "import sqlite3, sys
for folder, said in zip(sys.argv[1::2], sys.argv[2::2]):
    c = sqlite3.connect(folder + '/state.db')
    whole = c.execute('pragma integrity_check').fetchone()[0]
    count, first, last = c.execute('select count(*), min(n), max(n) from t').fetchone()
    if whole != 'ok' or last - int(said) not in (0, 1) or count != last - first + 1:
        print(folder, whole, said, count, first, last)
";

/// Has the database open beside K3s, and says when.
const READER: &str = "import sqlite3, sys, time
c = sqlite3.connect(sys.argv[1]); c.execute('select max(n) from t').fetchone(); open(sys.argv[2] + '-too', 'w'); time.sleep(600)";

/// The longest that anything here may take.
const PATIENCE: Duration = Duration::from_mins(5);

/// A datastore, what is around it, and maybe the process that has it open.
struct Desk {
    folder: TempDir,
    writer: Option<Child>,
}

impl Desk {
    /// One that is written to; `None` where no Python can.
    async fn new(test: &str) -> Option<Self> {
        let has = Process::new("python3")
            .args(["-c", "import sqlite3"])
            .output()
            .await;
        if !has.is_ok_and(|done| done.status.success()) {
            cannot(test, "there is no python3 with sqlite3");
            return None;
        }
        let mut desk = Self {
            folder: tempfile::tempdir().unwrap(),
            writer: None,
        };
        std::fs::create_dir(desk.path("bin")).unwrap();
        let writer = desk.python(WRITER).spawn().unwrap();
        desk.stands_in_for_systemd(writer.id().unwrap());
        desk.writer = Some(writer);
        desk.until(|desk| desk.said() > 600).await;
        Some(desk)
    }

    /// A process that is given the database and the file for its words.
    fn python(&self, text: &str) -> Process {
        let mut process = Process::new("python3");
        process
            .args(["-c", text])
            .arg(self.path("state.db"))
            .arg(self.path("said"))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        process
    }

    /// `systemctl` names the process; `systemd-run` begins a session of its own.
    fn stands_in_for_systemd(&self, main: u32) {
        let watch = self.path("watch").display().to_string();
        self.program(
            "systemctl",
            &format!(
                "case $1 in show) echo MainPID={main} ;; stop) kill -- -\"$(cat {watch})\" ;; esac"
            ),
        );
        self.program(
            "systemd-run",
            &format!("shift 2\nsetsid \"$@\" >/dev/null 2>&1 &\necho $! >{watch}"),
        );
    }

    /// What thaws K3s waits for the file `go` in place of some seconds.
    fn thaws_when_told(&self) {
        let go = self.path("go").display().to_string();
        let text = format!(
            "[ \"$1\" = 60 ] || exec /bin/sleep \"$@\"\nuntil [ -e {go} ]; do /bin/sleep 0.02; done"
        );
        self.program("sleep", &text);
    }

    /// `cp` does this first whenever K3s stands still.
    fn while_still(&self, text: &str) {
        let main = self.pid();
        self.program(
            "cp",
            &format!("if grep -q 'T (stopped)' /proc/{main}/status; then\n{text}\nfi\nexec /bin/cp \"$@\""),
        );
    }

    fn pid(&self) -> u32 {
        self.writer.as_ref().unwrap().id().unwrap()
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

    /// The script, which may take so many seconds for a copy.
    fn start(&self, shell: &str, name: &str, most: u32, found: &[&Path]) -> Child {
        std::fs::write(self.path("script"), SCRIPT).unwrap();
        let script = std::fs::File::open(self.path("script")).unwrap();
        let own = self.path("bin");
        let found = std::env::join_paths([&*own].iter().chain(found)).unwrap();
        Process::new(shell)
            .args(["-s", "--", "copy-sqlite"])
            .arg(self.path("state.db"))
            .arg(self.path("copies"))
            .args([name, "k3s.service", &most.to_string(), "60"])
            .env_clear()
            .env("PATH", found)
            .stdin(Stdio::from(script))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    async fn copy(&self, shell: &str, name: &str) -> Output {
        ended(self.start(shell, name, 60, &usual())).await
    }

    /// Sees that a copy is refused with these words, and that all is as it was.
    async fn refuses(&self, part: &str) {
        let done = self.copy("/bin/sh", "refused").await;
        assert_eq!(done.status.code(), Some(1), "{part}: {}", text(&done));
        let words = text(&done);
        assert!(
            words.contains(part) && words.contains("--own-backup"),
            "{part}: {words}"
        );
        self.left_nothing("refused").await;
    }

    async fn left_nothing(&self, name: &str) {
        assert!(!self.path("copies").join(name).exists());
        assert!(!self.path("copies").join(format!(".{name}.part")).exists());
        if self.writer.is_some() {
            self.goes_on().await;
        }
    }

    fn stands_still(&self) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        status.contains("T (stopped)")
    }

    /// How far the writer has said to be.
    fn said(&self) -> u64 {
        let said = std::fs::read_to_string(self.path("said")).unwrap_or_default();
        said.parse().unwrap_or_default()
    }

    async fn goes_on(&self) {
        let before = self.said();
        self.until(|desk| !desk.stands_still() && desk.said() > before)
            .await;
    }

    async fn until(&self, holds: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            assert!(begun.elapsed() < PATIENCE, "it never came to that");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn usual() -> [&'static Path; 2] {
    ["/usr/bin", "/bin"].map(Path::new)
}

async fn ended(script: Child) -> Output {
    let done = tokio::time::timeout(PATIENCE, script.wait_with_output());
    done.await.unwrap().unwrap()
}

fn text(output: &Output) -> String {
    let both = [&output.stdout, &output.stderr];
    both.map(|text| String::from_utf8_lossy(text).into_owned())
        .concat()
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn fifty_copies_of_a_database_that_is_written_all_the_time_are_each_whole_and_of_one_moment()
{
    let Some(desk) = Desk::new("fifty_copies").await else {
        return;
    };
    // Nothing is written while K3s stands still: what it said then is what the copy must hold.
    let (said, seen) = (desk.path("said"), desk.path("seen"));
    desk.while_still(&format!("cat {} >{}", said.display(), seen.display()));
    let mut judged = Process::new("python3");
    judged.args(["-c", JUDGE]).kill_on_drop(true);
    for number in 0..50 {
        let shell = if number % 2 == 0 {
            "/bin/sh"
        } else {
            "/bin/bash"
        };
        let name = format!("copy-{number}");
        let done = desk.copy(shell, &name).await;
        assert!(done.status.success(), "{shell}: {}", text(&done));
        assert!(
            text(&done).contains("K3s stood still for"),
            "{}",
            text(&done)
        );
        judged.arg(desk.path("copies").join(name));
        judged.arg(std::fs::read_to_string(&seen).unwrap());
    }
    desk.goes_on().await;
    let copy = desk.path("copies/copy-0");
    assert_eq!((mode(&copy), mode(&copy.join("state.db"))), (0o700, 0o600));
    let wrong = judged.output().await.unwrap();
    assert!(
        wrong.status.success() && text(&wrong).is_empty(),
        "{}",
        text(&wrong)
    );
    let again = desk.copy("/bin/sh", "copy-0").await;
    assert!(
        text(&again).contains("is there already"),
        "{}",
        text(&again)
    );
}

#[tokio::test]
async fn a_script_that_is_killed_leaves_k3s_to_what_thaws_it() {
    let Some(desk) = Desk::new("a_script_that_is_killed").await else {
        return;
    };
    desk.thaws_when_told();
    let go = desk.path("go").display().to_string();
    desk.while_still(&format!(
        "until [ -e {go} ]; do /bin/sleep 0.02; done; exit 1"
    ));
    let mut script = desk.start("/bin/sh", "killed", 600, &usual());
    desk.until(Desk::stands_still).await;
    let group = format!("-{}", script.id().unwrap());
    let killed = Process::new("kill").args(["-KILL", "--", &group]).status();
    assert!(killed.await.unwrap().success());
    script.wait().await.unwrap();
    assert!(
        desk.stands_still(),
        "the script thawed it: nothing was tried"
    );
    std::fs::write(desk.path("go"), "").unwrap();
    desk.goes_on().await;
}

#[tokio::test]
async fn a_script_that_is_asked_to_end_thaws_k3s_itself() {
    let Some(desk) = Desk::new("a_script_that_is_asked_to_end").await else {
        return;
    };
    desk.thaws_when_told();
    let (now, end) = (desk.path("now"), desk.path("end"));
    let (now_text, end_text) = (now.display(), end.display());
    desk.while_still(&format!(
        "echo >{now_text}; until [ -e {end_text} ]; do /bin/sleep 0.02; done"
    ));
    let script = desk.start("/bin/sh", "asked", 600, &usual());
    desk.until(|_| now.exists()).await;
    let pid = script.id().unwrap().to_string();
    assert!(
        Process::new("kill")
            .arg(pid)
            .status()
            .await
            .unwrap()
            .success()
    );
    std::fs::write(&end, "").unwrap();
    let done = ended(script).await;
    assert!(
        text(&done).contains("ended from outside"),
        "{}",
        text(&done)
    );
    desk.left_nothing("asked").await;
}

#[tokio::test]
async fn a_copy_during_which_k3s_was_thawed_is_none() {
    let Some(desk) = Desk::new("a_copy_during_which").await else {
        return;
    };
    desk.thaws_when_told();
    let (go, main) = (desk.path("go"), desk.pid());
    desk.while_still(&format!(
        "echo >{go}; while grep -q 'T (stopped)' /proc/{main}/status; do /bin/sleep 0.02; done; rm {go}",
        go = go.display()
    ));
    desk.refuses("nothing was copied").await;
}

#[tokio::test]
async fn a_database_that_takes_too_long_is_named_with_its_size_and_k3s_never_stopped() {
    let Some(desk) = Desk::new("a_database_that_takes_too_long").await else {
        return;
    };
    desk.program("cp", "/bin/sleep 1\nexec /bin/cp \"$@\"");
    let done = ended(desk.start("/bin/sh", "slow", 1, &usual())).await;
    let words = text(&done);
    assert_eq!(done.status.code(), Some(1), "{words}");
    assert!(
        words.contains(" MiB, and a copy took ") && words.contains("was not stopped"),
        "{words}"
    );
    assert!(!desk.path("watch").exists(), "it was about to be stopped");
    desk.left_nothing("slow").await;
}

#[tokio::test]
async fn what_cannot_be_copied_is_named_and_k3s_goes_on() {
    let Some(mut desk) = Desk::new("what_cannot_be_copied").await else {
        return;
    };
    let journal = desk.path("state.db-journal");
    std::fs::write(&journal, "x").unwrap();
    desk.refuses("rollback journal").await;
    std::fs::remove_file(&journal).unwrap();
    desk.program("sqlite3", "echo 'row 1 missing from index'");
    desk.refuses("damaged: sqlite3 says row 1").await;
    std::fs::remove_file(desk.path("bin/sqlite3")).unwrap();
    desk.program("systemd-run", "exit 1");
    desk.refuses("systemd-run cannot start").await;
    desk.stands_in_for_systemd(std::process::id());
    desk.refuses("has not opened").await;
    desk.stands_in_for_systemd(desk.pid());
    let mut reader = desk.python(READER).spawn().unwrap();
    desk.until(|desk| desk.path("said-too").exists()).await;
    desk.refuses("has ").await;
    let done = desk.copy("/bin/sh", "refused").await;
    let pid = format!("process {} (", reader.id().unwrap());
    assert!(
        text(&done).contains(&pid) && text(&done).contains("beside K3s"),
        "{}",
        text(&done)
    );
    reader.kill().await.unwrap();
    desk.program("cp", "echo 'cp: No space left on device' >&2; exit 1");
    desk.refuses("No space left").await;
    std::fs::remove_file(desk.path("bin/cp")).unwrap();

    desk.writer.take().unwrap().kill().await.unwrap();
    desk.stands_in_for_systemd(0);
    let said = desk.said().to_string();
    let done = desk.copy("/bin/sh", "of-a-dead-one").await;
    assert!(text(&done).contains("K3s did not run"), "{}", text(&done));
    let mut judge = Process::new("python3");
    judge
        .args(["-c", JUDGE])
        .arg(desk.path("copies/of-a-dead-one"));
    let wrong = judge.arg(said).output().await.unwrap();
    assert!(
        wrong.status.success() && text(&wrong).is_empty(),
        "{}",
        text(&wrong)
    );
}

#[tokio::test]
async fn a_host_without_sqlite_and_python_is_told_that_nothing_was_checked() {
    let Some(desk) = Desk::new("a_host_without_sqlite").await else {
        return;
    };
    let few = desk.path("few");
    std::fs::create_dir(&few).unwrap();
    let programs = "cat chmod cp grep head mkdir mv rm setsid sh sleep sort stat sync timeout";
    for program in programs.split(' ') {
        let place = usual().map(|folder| folder.join(program));
        let place = place.iter().find(|place| place.exists()).unwrap();
        symlink(place, few.join(program)).unwrap();
    }
    let done = ended(desk.start("/bin/sh", "unchecked", 60, &[&few])).await;
    assert!(done.status.success(), "{}", text(&done));
    assert!(text(&done).contains("NOT checked there"), "{}", text(&done));
}

/// The model's file is copied on lab hosts, where real sqlite judges the copy.
#[tokio::test]
async fn the_models_database_is_one_for_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("state.db"),
        keyroll::sim::sqlite::database(),
    )
    .unwrap();
    let text_of = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('pragma integrity_check').fetchone()[0])";
    let judged = Process::new("python3")
        .args(["-c", text_of])
        .arg(folder.path().join("state.db"))
        .output()
        .await;
    match judged {
        Ok(judged) => assert_eq!(text(&judged), "ok\n"),
        Err(error) => cannot("the_models_database", &error.to_string()),
    }
}
