//! Questions that keyroll asks on a terminal: a real one, with a person at its other end.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tempfile::TempDir;
use tokio::process::Command;

const ESCROW: &str = "Rotate without keeping it? [y/N] ";
const PERFORM: &str = "plays on 2 hosts? [y/N] ";
/// What a keyboard sends for the end of the input.
const END: &str = "\x04";

/// A folder with an inventory of real hosts, and an `ssh` that writes down that it was called and reaches nobody.
struct Desk(TempDir);

/// How keyroll ended, and all that stood on the terminal.
struct Ended {
    status: Option<i32>,
    text: String,
}

impl Desk {
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        let inventory = "server:\n  hosts: { s1: }\nagent:\n  hosts: { a1: }\n";
        std::fs::write(desk.path("hosts.yml"), inventory).unwrap();
        let called = desk.path("called").display().to_string();
        let ssh =
            format!("#!/bin/sh\necho \"$@\" >>{called}\necho 'no route to host' >&2\nexit 255\n");
        std::fs::write(desk.path("ssh"), ssh).unwrap();
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(desk.path("ssh"), mode).unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Whether any host was called.
    fn called(&self) -> bool {
        self.path("called").exists()
    }

    fn runs(&self) -> usize {
        std::fs::read_dir(self.path("state/runs")).map_or(0, Iterator::count)
    }

    /// Runs keyroll on a terminal; each answer is typed when its question stands there.
    async fn run(&self, more: &[&str], answers: &'static [(&str, &str)]) -> Ended {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let slave = || {
            let file = File::options().read(true).write(true).open(&name).unwrap();
            Stdio::from(file)
        };
        let path = format!("{}:/usr/bin:/bin", self.0.path().display());
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("keyroll"));
        command
            .args(["run", "@rotate-token", "-i"])
            .arg(self.path("hosts.yml"))
            .args(more)
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.0.path())
            .env("KEYROLL_STATE_DIR", self.path("state"))
            .stdin(slave())
            .stdout(slave())
            .stderr(slave())
            .kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        // It holds the terminal's other end open.
        drop(command);
        let person = tokio::task::spawn_blocking(move || sit(&mut File::from(master), answers));
        let both = async { (child.wait().await.unwrap(), person.await.unwrap()) };
        let (status, text) = tokio::time::timeout(Duration::from_mins(2), both)
            .await
            .unwrap();
        let status = status.code();
        Ended { status, text }
    }
}

/// Reads until nobody has the terminal open any more.
fn sit(terminal: &mut File, answers: &[(&str, &str)]) -> String {
    let (mut text, mut answered) = (String::new(), 0);
    let mut answers = answers.iter();
    let mut next = answers.next();
    let mut piece = [0; 4096];
    // Linux says that as an error.
    while let Ok(read) = terminal.read(&mut piece) {
        text += &String::from_utf8_lossy(&piece[..read]);
        if let Some((question, answer)) = next
            && let Some(at) = text[answered..].find(question)
        {
            answered += at + question.len();
            terminal.write_all(answer.as_bytes()).unwrap();
            next = answers.next();
        }
    }
    assert!(next.is_none(), "it never asked {next:?}: {text}");
    text
}

#[tokio::test]
async fn who_will_not_lose_the_old_token_stops_before_anything_is_asked_of_a_host() {
    for answer in [
        &[(ESCROW, "n\n")],
        &[(ESCROW, "\n")],
        &[(ESCROW, "yes please\n")],
        &[(ESCROW, END)],
    ] {
        let desk = Desk::new();
        let ended = desk.run(&[], answer).await;
        let text = &ended.text;
        assert_eq!(ended.status, Some(130), "{answer:?}: {text}");
        assert!(
            text.contains("a restore of a snapshot from before the rotation needs the old token"),
            "{text}"
        );
        assert!(text.contains("nothing was done"), "{answer:?}: {text}");
        assert!(!text.contains(PERFORM), "{answer:?}: {text}");
        assert!(!desk.called() && desk.runs() == 0, "{answer:?}: {text}");
    }
}

#[tokio::test]
async fn who_needs_it_no_more_is_asked_whether_to_perform() {
    for answers in [
        &[(ESCROW, "y\n"), (PERFORM, "n\n")],
        &[(ESCROW, "yes\n"), (PERFORM, END)],
    ] {
        let desk = Desk::new();
        let ended = desk.run(&[], answers).await;
        let text = &ended.text;
        assert_eq!(ended.status, Some(130), "{answers:?}: {text}");
        assert!(text.contains("nothing was done"), "{text}");
        assert!(!desk.called() && desk.runs() == 0, "{text}");
    }
}

#[tokio::test]
async fn who_says_yes_twice_begins() {
    let desk = Desk::new();
    let ended = desk.run(&[], &[(ESCROW, "y\n"), (PERFORM, "Y\n")]).await;
    assert_eq!(ended.status, Some(7), "{}", ended.text);
    assert!(desk.called() && desk.runs() == 1, "{}", ended.text);
}

#[tokio::test]
async fn who_has_chosen_on_the_command_line_is_asked_once() {
    let desk = Desk::new();
    let ended = desk.run(&["--no-escrow"], &[(PERFORM, "n\n")]).await;
    assert_eq!(ended.status, Some(130), "{}", ended.text);
    assert!(!ended.text.contains(ESCROW), "{}", ended.text);
    assert!(!desk.called(), "{}", ended.text);
}
