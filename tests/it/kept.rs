//! A simulated fleet in a file: one run at a time, and nothing is begun that could not be kept.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

#[expect(
    clippy::disallowed_methods,
    reason = "a second run begins while the first goes on"
)]
fn keyroll(place: &TempDir, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyroll"));
    command
        .env_clear()
        .env("KEYROLL_STATE_DIR", place.path().join("state"))
        .current_dir(place.path())
        .stdin(Stdio::null())
        .args(args);
    command
}

fn ended(place: &TempDir, args: &[&str]) -> (i32, String) {
    let output = keyroll(place, args).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    (output.status.code().unwrap(), said)
}

#[test]
fn two_runs_on_one_kept_fleet_lock_each_other_out_also_through_a_link() {
    let place = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("fleet.json", place.path().join("link.json")).unwrap();
    let args = ["run", "@rotate-token", "-i", "sim:3+1?state=fleet.json"];
    let mut first = keyroll(&place, &args)
        .args(["--pace", "real"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let locks = place.path().join("state/locks");
    let begun = Instant::now();
    let is_held = || {
        let locks = std::fs::read_dir(&locks).into_iter().flatten().flatten();
        let mut holders = locks.filter_map(|lock| std::fs::read_to_string(lock.path()).ok());
        holders.any(|holder| !holder.is_empty())
    };
    while !is_held() {
        assert!(begun.elapsed() < Duration::from_mins(1), "no lock is taken");
        std::thread::sleep(Duration::from_millis(20));
    }
    let same = "sim:3+1?state=link.json";
    let (code, said) = ended(&place, &["run", "@rotate-token", "-i", same]);
    let look = ended(&place, &["run", "@rotate-token", "-i", same, "--check"]);
    first.kill().unwrap();
    first.wait().unwrap();
    assert_eq!(code, 6, "{said}");
    assert!(said.contains(&format!("process {}", first.id())), "{said}");
    assert_eq!(look.0, 10, "{}", look.1);
    let (code, said) = ended(&place, &["run", "@rotate-token", "-i", same]);
    assert_eq!(code, 0, "{said}");
    assert!(place.path().join("link.json").is_symlink());
}

#[test]
fn a_fleet_that_cannot_be_kept_is_not_touched() {
    let place = tempfile::tempdir().unwrap();
    let fleet = "sim:1+0?state=none/f.json";
    let (code, said) = ended(&place, &["run", "@rotate-token", "-i", fleet]);
    assert_eq!(code, 6, "{said}");
    assert!(said.contains("none/f.json"), "{said}");
    assert!(!place.path().join("state/runs").exists(), "{said}");
}

#[test]
fn a_part_that_contradicts_a_kept_fleet_is_marked() {
    let place = tempfile::tempdir().unwrap();
    let rotate = |fleet: &str| ended(&place, &["run", "@rotate-token", "-i", fleet]);
    assert_eq!(rotate("sim:3+1?state=f.json").0, 0);
    let (code, said) = rotate("sim:5+1?state=f.json");
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("\n      ^^^\n"), "{said}");
    let (code, said) = rotate("sim:3+1?state=f.json&fault=agent-1:unreachable");
    assert_ne!(code, 0, "{said}");
}
