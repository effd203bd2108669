//! The program as people run it, over the simulated fleet: screens, exit numbers, journals.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use assert_cmd::Command;
use tempfile::TempDir;

const NEW: &str = "canary0123456789abcdef0123456789";

fn keyroll(state: &Path) -> Command {
    let mut command = Command::cargo_bin("keyroll").unwrap();
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("KEYROLL_STATE_DIR", state);
    command.timeout(Duration::from_mins(2));
    command
}

fn run(state: &TempDir, args: &[&str]) -> Output {
    keyroll(state.path()).args(args).output().unwrap()
}

fn exit(state: &TempDir, args: &[&str]) -> i32 {
    let output = run(state, args);
    output.status.code().unwrap_or_else(|| panic!("{output:?}"))
}

fn state() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// All journals below a state folder.
fn journals(state: &TempDir) -> String {
    let runs = std::fs::read_dir(state.path().join("runs")).unwrap();
    let text = |run: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(run.unwrap().path().join("journal.jsonl")).unwrap()
    };
    runs.map(text).collect()
}

/// Whether a journal is there that tells of an operation.
fn has_begun(state: &TempDir) -> bool {
    let runs = std::fs::read_dir(state.path().join("runs"));
    let mut journals = runs
        .into_iter()
        .flatten()
        .filter_map(|run| std::fs::read_to_string(run.ok()?.path().join("journal.jsonl")).ok());
    journals.any(|journal| journal.contains("op_started"))
}

/// Covers the tags of generated tokens, which follow the names of snapshots.
fn untagged(text: &str) -> String {
    let mut parts = text.split("-rotation-");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |sum, part| {
        let tag = part.bytes().take_while(u8::is_ascii_hexdigit).count();
        let covered = if tag == 8 { "<TAG>" } else { "" };
        sum + "-rotation-" + covered + &part[if tag == 8 { 8 } else { 0 }..]
    })
}

/// What a person sees, with run ids of one width.
fn screen(output: &Output) -> String {
    let told = format!(
        "{}---- stderr\n{}---- exit {}\n",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        output.status.code().unwrap_or(-1)
    );
    let line = |line: &str| match line.strip_prefix("run 20") {
        Some(rest) => format!(
            "run <RUN>{}\n",
            rest.split_once(':').map_or("", |(_, rest)| rest)
        ),
        None => format!("{line}\n"),
    };
    untagged(&told).lines().map(line).collect()
}

#[test]
fn a_rotation_as_people_see_it() {
    let state = state();
    insta::assert_snapshot!(screen(&run(
        &state,
        &["run", "@rotate-token", "-i", "sim:1+2"]
    )));
}

#[test]
fn a_dry_run_as_people_see_it() {
    let state = state();
    insta::assert_snapshot!(screen(&run(
        &state,
        &["run", "@rotate-token", "-i", "sim:1+2", "--check"]
    )));
    assert!(!journals(&state).contains("op_started"));
}

#[test]
fn every_way_to_end_has_its_number() {
    let state = state();
    let missing = state.path().join("none.yml").display().to_string();
    let blocked = "/proc/keyroll-cannot-be-here";
    let table: &[(&[&str], i32)] = &[
        (&["--help"], 0),
        (&["run", "@rotate-token", "-i", "sim:1+1"], 0),
        (&["lint", "@rotate-token", "-i", "sim:1+1"], 0),
        (
            &["graph", "@rotate-token", "-i", "sim:1+1", "--format", "dot"],
            0,
        ),
        (
            &["run", "@rotate-token", "-i", "sim:1+1", "--list-tasks"],
            0,
        ),
        (&["run"], 2),
        (&["run", "@rotate-token", "-i", "sim:0"], 2),
        (
            &["run", "@rotate-token", "-i", "sim:1+0", "-e", "token=x"],
            2,
        ),
        (
            &[
                "run",
                "@rotate-token",
                "-i",
                "sim:1+0",
                "--new-token-from",
                "exec:false",
            ],
            2,
        ),
        (&["run", &missing, "-i", "sim:1+0"], 3),
        (&["run", "@rotate-token", "-i", &missing], 3),
        (
            &[
                "run",
                "@rotate-token",
                "-i",
                "sim:1+0",
                "--state-dir",
                blocked,
            ],
            6,
        ),
        (&["run", "@rotate-token", "-i", "sim:1+1", "--check"], 10),
    ];
    for (args, number) in table {
        assert_eq!(exit(&state, args), *number, "{args:?}");
    }
}

#[test]
fn the_token_that_was_just_taken_out_of_use_is_not_taken_into_it_again() {
    let state = state();
    let fleet = format!(
        "sim:1+1?state={}",
        state.path().join("fleet.json").display()
    );
    let token = state.path().join("token");
    let rotate = |to: &str| {
        std::fs::write(&token, format!("{to}\n")).unwrap();
        let from = format!("file:{}", token.display());
        let args = ["run", "@rotate-token", "-i", &fleet, "--new-token-from"];
        run(&state, &[&args[..], &[&from]].concat())
    };
    let other = NEW.chars().rev().collect::<String>();
    assert_eq!(rotate(NEW).status.code(), Some(0));
    assert_eq!(rotate(&other).status.code(), Some(0));
    let again = rotate(NEW);
    let seen = screen(&again);
    assert_eq!(again.status.code(), Some(4), "{seen}");
    assert!(seen.contains("(old-token-again)"), "{seen}");
}

#[test]
fn with_a_given_token_a_second_run_finds_nothing_to_do_and_no_output_holds_the_token() {
    let state = state();
    let token = state.path().join("token");
    std::fs::write(&token, format!("{NEW}\n")).unwrap();
    let fleet = format!(
        "sim:3+2?state={}",
        state.path().join("fleet.json").display()
    );
    let from = format!("file:{}", token.display());
    let args = [
        "run",
        "@rotate-token",
        "-i",
        &fleet,
        "--new-token-from",
        &from,
        "-v",
    ];
    let first = run(&state, &args);
    assert_eq!(first.status.code(), Some(0), "{}", screen(&first));
    let second = run(&state, &args);
    let seen = screen(&second);
    assert_eq!(second.status.code(), Some(0), "{seen}");
    assert!(
        seen.contains("0 tasks changed something") || seen.contains("1 task changed something"),
        "{seen}"
    );
    let json = run(
        &state,
        &[
            "run",
            "@rotate-token",
            "-i",
            &fleet,
            "--new-token-from",
            &from,
            "--json",
            "--check",
        ],
    );
    let all = screen(&first) + &seen + &screen(&json) + &journals(&state);
    assert!(!all.contains(NEW));
    assert!(all.contains("run_ended"));
}

#[test]
fn each_line_of_json_is_an_event_in_order() {
    let state = state();
    let output = run(
        &state,
        &["run", "@rotate-token", "-i", "sim:1+0", "--json", "--check"],
    );
    let text = String::from_utf8(output.stdout).unwrap();
    for (number, line) in text.lines().enumerate() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["seq"], number);
    }
    assert!(text.lines().last().unwrap().contains("run_ended"));
    assert_eq!(text.lines().count(), journals(&state).lines().count());
}

#[test]
fn the_first_signal_ends_the_run_with_130_and_says_what_the_next_does() {
    let state = state();
    let binary = assert_cmd::cargo::cargo_bin("keyroll");
    #[expect(
        clippy::disallowed_methods,
        reason = "a signal goes to a process that runs"
    )]
    let child = std::process::Command::new(binary)
        .env_clear()
        .env("KEYROLL_STATE_DIR", state.path())
        .args(["run", "@rotate-token", "-i", "sim:3+4", "--pace", "10x"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let started = std::time::Instant::now();
    while !has_begun(&state) {
        assert!(started.elapsed() < Duration::from_mins(1), "it never began");
        std::thread::sleep(Duration::from_millis(20));
    }
    Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .assert()
        .success();
    let output = child.wait_with_output().unwrap();
    let seen = screen(&output);
    assert_eq!(output.status.code(), Some(130), "{seen}");
    assert!(
        seen.contains("Ctrl-C again ends after the operations under way"),
        "{seen}"
    );
    assert!(seen.contains("run the same command to go on"), "{seen}");
    assert!(
        journals(&state)
            .lines()
            .last()
            .unwrap()
            .contains("run_ended")
    );
}

#[test]
fn no_colour_in_a_pipe_unless_it_is_forced() {
    let state = state();
    let args = ["run", "@rotate-token", "-i", "sim:1+0", "--check"];
    assert!(!screen(&run(&state, &args)).contains('\u{1b}'));
    let forced = keyroll(state.path())
        .env("CLICOLOR_FORCE", "1")
        .args(args)
        .output()
        .unwrap();
    assert!(screen(&forced).contains('\u{1b}'));
}

#[test]
fn where_tells_of_each_host_and_shows_no_token() {
    let state = state();
    let fleet = "sim:1+3?installer=mixed&fault=agent-2:unreachable&fault=agent-3:foreign-token";
    let shown = run(&state, &["where", "-i", fleet]);
    insta::assert_snapshot!(screen(&shown));
    let json = run(&state, &["where", "-i", fleet, "--json"]);
    let places: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&places["schema"], &places["exit"]), (&1.into(), &7.into()));
    assert_eq!(places["hosts"][0]["token"]["place"], "env-file");
    assert_eq!(places["hosts"][2]["outcome"], "unreachable");
    assert_eq!(json.status.code(), Some(7));
    let spec = keyroll::sim::spec::parse(fleet).unwrap();
    let secret = keyroll::sim::Fleet::raise(&spec, keyroll::model::HostTime(0)).first_secret();
    for output in [shown, json] {
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(!said.contains(secret.expose()));
        assert!(
            said.lines()
                .all(|line| line.starts_with(' ') || line.chars().count() <= 100)
        );
    }
}

#[test]
fn where_refuses_what_others_own_and_says_what_to_do_there() {
    let state = state();
    for (installer, name) in [
        ("rancher", "owned-by-rancher"),
        ("nixos", "surface-not-durable"),
        ("nixos-store", "in-nix-store"),
    ] {
        let fleet = format!("sim:1+1?installer={installer}");
        let output = run(&state, &["where", "-i", &fleet]);
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.contains(name) && said.contains("next: "), "{said}");
        assert_eq!(output.status.code(), Some(4));
        assert_eq!(exit(&state, &["run", "@rotate-token", "-i", &fleet]), 4);
    }
}
