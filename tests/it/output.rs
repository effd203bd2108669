//! Where the output goes may be full, which is said, or gone, which is its reader's choice.

use std::fs::OpenOptions;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

#[expect(
    clippy::disallowed_methods,
    reason = "stdout is what is tested, and no test tool gives it away"
)]
fn keyroll(place: &TempDir, args: &[&str], out: impl Into<Stdio>) -> Output {
    let child = Command::new(env!("CARGO_BIN_EXE_keyroll"))
        .env_clear()
        .env("HOME", place.path())
        .current_dir(place.path())
        .args(args)
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.wait_with_output().unwrap()
}

/// What a command says on stderr, and its exit number, when stdout is full.
fn on_full(place: &TempDir, args: &[&str]) -> (i32, String) {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = keyroll(place, args, full);
    let said = String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), said)
}

#[test]
fn an_output_that_cannot_be_written_is_no_success() {
    let place = tempfile::tempdir().unwrap();
    let fleet = "sim:1+1";
    for args in [
        &["token", "generate"][..],
        &["token", "inspect", "-i", fleet],
        &["token", "inspect", "-i", fleet, "--json"],
        &["token", "age", "-i", fleet, "--json"],
        &["verify", "-i", fleet],
        &["verify", "-i", fleet, "-q"],
        &["verify", "-i", fleet, "--json"],
        &["where", "-i", fleet],
        &["where", "-i", fleet, "--json"],
        &["doctor", "-i", fleet, "--json"],
        &["escrow", "list", "--json"],
        &["lint", "@rotate-token", "-i", fleet],
        &["graph", "@rotate-token", "-i", fleet],
    ] {
        let (code, said) = on_full(&place, args);
        assert_eq!(code, 6, "{args:?}: {said}");
        assert!(
            said.contains("error: the output could not be written: No space left"),
            "{args:?}: {said}"
        );
    }
}

#[test]
fn a_full_output_does_not_stop_a_run_and_its_end_says_so() {
    let place = tempfile::tempdir().unwrap();
    let args = ["run", "@rotate-token", "-i", "sim:1+1?state=f.json"];
    let (code, said) = on_full(&place, &args);
    assert_eq!(code, 6, "{said}");
    assert!(said.contains("could not be written"), "{said}");
    let verify = keyroll(
        &place,
        &["verify", "-i", "sim:1+1?state=f.json", "-q"],
        Stdio::piped(),
    );
    let verdict = String::from_utf8(verify.stdout).unwrap();
    assert!(verdict.contains("proved it dead"), "{verdict}");
}

#[test]
fn a_reader_that_went_away_is_no_trouble() {
    let place = tempfile::tempdir().unwrap();
    for args in [
        &["where", "-i", "sim:3+9"][..],
        &["run", "@rotate-token", "-i", "sim:1+1", "--json"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = keyroll(&place, args, writer);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(!said.contains("could not be written"), "{said}");
    }
}

#[test]
fn a_run_whose_first_server_cannot_be_reached_ends_with_an_event_too() {
    let place = tempfile::tempdir().unwrap();
    let fleet = "sim:3+1?fault=server-1:unreachable";
    for more in [&[][..], &["--check"]] {
        let args = [&["run", "@rotate-token", "-i", fleet, "--json"], more].concat();
        let output = keyroll(&place, &args, Stdio::piped());
        assert_eq!(output.status.code(), Some(7));
        let said = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<&str> = said.lines().collect();
        assert!(lines.first().unwrap().contains("run_started"), "{said}");
        let last = lines.last().unwrap();
        assert!(last.contains("run_ended"), "{said}");
        assert!(last.contains("server-1"), "{said}");
    }
    let output = keyroll(
        &place,
        &["run", "@rotate-token", "-i", fleet],
        Stdio::piped(),
    );
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("went wrong: Look before touching"), "{said}");
    assert!(said.contains("exit 7"), "{said}");
}
