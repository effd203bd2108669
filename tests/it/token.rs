//! `token inspect` and `token generate` as people run them.

use std::process::Output;
use std::time::Duration;

use assert_cmd::Command;
use serde_json::Value;

const SECRET: &str = "canary9f8e7d6c5b4a39281706f5e4d3c2b1a0";
const HASH: &str = "3d1f6a6e4971678a412c43f4e24d32c0d9baa7a3cd65fbe0cb3477474a8278d4";

fn token(args: &[&str], stdin: &str) -> Output {
    let state = tempfile::tempdir().unwrap();
    Command::cargo_bin("keyroll")
        .unwrap()
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("KEYROLL_STATE_DIR", state.path())
        .timeout(Duration::from_mins(1))
        .arg("token")
        .args(args)
        .write_stdin(stdin)
        .output()
        .unwrap()
}

fn all(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

fn json(args: &[&str], stdin: &str) -> (i32, Value) {
    let output = token(&[args, &["--json"]].concat(), stdin);
    assert!(!all(&output).contains(SECRET), "{}", all(&output));
    let value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", all(&output)));
    (output.status.code().unwrap(), value)
}

fn names(token: &Value) -> Vec<&str> {
    let found = token["findings"].as_array().unwrap();
    found
        .iter()
        .map(|it| it["name"].as_str().unwrap())
        .collect()
}

#[test]
fn a_good_token_ends_with_0_and_a_bad_one_with_4() {
    for (text, exit, kind) in [
        (format!("{SECRET}\n"), 0, "bare"),
        (format!("K10{HASH}::server:{SECRET}"), 0, "server"),
        (format!("K10{HASH}::node:{SECRET}"), 0, "node"),
        (format!("K10{HASH}::admin:{SECRET}"), 0, "other-user"),
        (format!("K10{HASH}:server:{SECRET}"), 4, "none"),
        (format!("\"{SECRET}\""), 4, "bare"),
        (String::new(), 4, "none"),
    ] {
        let (code, seen) = json(&["inspect"], &text);
        assert_eq!(
            (code, seen["tokens"][0]["kind"].as_str()),
            (exit, Some(kind))
        );
    }
}

#[test]
fn the_secret_is_shown_only_when_it_is_asked_for() {
    let hidden = token(&["inspect"], SECRET);
    assert!(!all(&hidden).contains(SECRET), "{}", all(&hidden));
    assert!(all(&token(&["inspect", "--show"], SECRET)).contains(SECRET));
}

#[test]
fn an_argument_is_refused_and_not_repeated() {
    for args in [
        &["inspect", SECRET][..],
        &["inspect", "-", SECRET],
        &["inspect", "-i", "sim:1+0", SECRET],
        &["generate", SECRET],
        &[SECRET],
    ] {
        let output = token(args, "");
        assert_eq!(output.status.code(), Some(2), "{}", all(&output));
        assert!(!all(&output).contains(SECRET), "{}", all(&output));
        assert!(
            all(&output).contains("never given as an argument"),
            "{}",
            all(&output)
        );
    }
}

#[test]
fn every_host_of_a_fleet_is_asked_and_its_servers_accept_their_token() {
    let (code, seen) = json(&["inspect", "-i", "sim:3+2"], "");
    assert_eq!(code, 0, "{seen:#}");
    let tokens = seen["tokens"].as_array().unwrap();
    assert_eq!(tokens.len(), 5);
    for token in tokens {
        assert_eq!(names(token), [] as [&str; 0]);
        let answers: Vec<_> = token["answers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| &it["answer"])
            .collect();
        assert_eq!(answers, ["accepted", "200, accepted"], "{token:#}");
        assert!(token["can"].as_array().unwrap().len() == 5);
    }
    assert!(
        tokens
            .iter()
            .any(|token| token["ca"] == "the CA of this fleet")
    );
}

#[test]
fn agents_with_a_token_of_their_own_can_join_and_no_more() {
    let (code, seen) = json(
        &[
            "inspect",
            "-i",
            "sim:1+1?agent-token=separate",
            "-l",
            "agent-1",
        ],
        "",
    );
    let token = &seen["tokens"][0];
    assert_eq!((code, &token["can"][0]), (0, &"join agents".into()));
    assert_eq!(token["can"].as_array().unwrap().len(), 1, "{seen:#}");
}

#[test]
fn a_token_on_stdin_is_shown_to_the_fleet_and_its_hash_compared() {
    let stranger = format!("K10{HASH}::server:{SECRET}");
    let (code, seen) = json(&["inspect", "-", "-i", "sim:2+1"], &stranger);
    assert_eq!(code, 4);
    assert_eq!(
        names(&seen["tokens"][0]),
        ["token-ca-differs", "token-refused"]
    );
    let boot = "abcdef.0123456789abcdef";
    let (code, seen) = json(&["inspect", "-", "-i", "sim:1+0"], boot);
    assert_eq!((code, names(&seen["tokens"][0]).len()), (0, 0));
    assert_eq!(seen["tokens"][0]["answers"].as_array().unwrap().len(), 0);
}

#[test]
fn a_host_that_cannot_be_reached_ends_with_7() {
    let fleet = "sim:1+1?fault=agent-1:unreachable";
    let (code, seen) = json(&["inspect", "-i", fleet], "");
    assert_eq!((code, seen["tokens"].as_array().unwrap().len()), (7, 1));
    assert_eq!(seen["not_seen"][0]["host"], "agent-1");
    assert!(seen["not_seen"][0]["next"].as_str().unwrap().len() > 9);
    let said = all(&token(&["inspect", "-i", fleet], ""));
    assert!(said.contains("agent-1 cannot be reached"), "{said}");
    assert!(said.contains("\nnext: "), "{said}");
    let fleet = "sim:3+0?fault=server-3:unreachable";
    let said = all(&token(&["age", "-i", fleet], ""));
    let (_, behind) = said.split_once("not seen: server-3: ").unwrap();
    assert!(
        behind.lines().nth(1).unwrap().starts_with("  next: "),
        "{said}"
    );
}

#[test]
fn a_made_token_stands_alone_on_stdout_and_is_a_good_one() {
    for (args, length) in [
        (&["generate"][..], 32),
        (&["generate", "--length", "45"], 45),
        (&["generate", "--bytes", "32"], 64),
    ] {
        let made = token(args, "");
        let text = String::from_utf8(made.stdout).unwrap();
        assert_eq!((text.len(), made.stderr.len()), (length + 1, 0));
        assert_eq!(json(&["inspect"], &text).0, 0);
    }
    for args in [
        &["generate", "--length", "31"][..],
        &["generate", "--bytes", "9999"],
    ] {
        assert_eq!(token(args, "").status.code(), Some(2));
    }
}
