//! Scripts run by the shells of this machine: what is rendered is what happens, and what is read is what was said.

mod files;
mod hostile;

use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use super::{Nonce, read, render};
use crate::secret::Content;
use crate::wire::{
    Batch, Become, Change, Command, Owner, Query, Ran, Request, Response, WriteFile,
};

fn nonce() -> Nonce {
    Nonce::from_bytes(*b"0123456789abcdef")
}

fn batch(requests: Vec<Request>) -> Batch {
    Batch {
        r#become: Become::Login,
        requests,
    }
}

fn feed(shell: &str, text: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let output = assert_cmd::Command::new(shell)
        .write_stdin(text)
        .timeout(Duration::from_mins(1))
        .output()
        .unwrap();
    (output.stdout, output.stderr)
}

fn perform_with(shell: &str, requests: Vec<Request>) -> Vec<Response> {
    let batch = batch(requests);
    let (stdout, stderr) = feed(shell, &render(&batch, &nonce(), None).text);
    let heard = read(&batch, &nonce(), &stdout, &stderr);
    assert!(
        heard.started && heard.ended,
        "{} | {}",
        lossy(&stdout),
        lossy(&stderr)
    );
    heard.responses
}

fn perform(requests: Vec<Request>) -> Vec<Response> {
    perform_with("sh", requests)
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn run(command: Command) -> Request {
    Request::Query(Query::Run(command))
}

#[test]
fn a_command_that_asks_the_cluster_itself_passes_by_every_proxy() {
    let said = |command: Command| match perform(vec![run(command)]).remove(0) {
        Response::Ran(ran) => ran.stdout.text().into_owned(),
        other => panic!("{other:?}"),
    };
    let shows = || Command::new(["sh", "-c", "echo \"$NO_PROXY|$no_proxy|$0\"", "a b"]);
    assert_eq!(said(shows().directly()), "*|*|a b\n");
    assert_eq!(said(shows()), "||a b\n");
    let reads = Command::new(["cat"]).stdin(Content::from("input"));
    assert_eq!(said(reads.directly()), "input");
}

fn change(argv: &[&str]) -> Request {
    Request::Change(Change::Run(Command::new(argv.iter().copied())))
}

fn ran(response: Option<&Response>) -> &Ran {
    match response {
        Some(Response::Ran(ran) | Response::Failed(ran)) => ran,
        other => panic!("not a command's answer: {other:?}"),
    }
}

fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = Utf8PathBuf::from(dir.path().to_str().unwrap());
    (dir, path)
}

fn file(path: &Utf8Path, content: &[u8]) -> WriteFile {
    WriteFile {
        path: path.to_owned(),
        content: Content::new(content),
        mode: 0o640,
        owner: Owner::Runner,
        make_parent: false,
    }
}

fn write(file: WriteFile) -> Request {
    Request::Change(Change::WriteFile(file))
}

#[test]
fn dash_and_bash_pass_every_byte_through_both_descriptors() {
    let all: Vec<u8> = (0..=255).chain(0..=255).collect();
    for shell in ["sh", "dash", "bash"] {
        let both = Command::new(["sh", "-c", "cat; cat <&3"])
            .stdin(Content::new(all.clone()))
            .fd3(Content::new(b"-%d\\".as_slice()));
        let responses = perform_with(shell, vec![run(both)]);
        let expected = [all.as_slice(), b"-%d\\"].concat();
        assert_eq!(ran(responses.first()).stdout.bytes(), expected, "{shell}");
    }
}

#[test]
fn descriptor_three_is_closed_and_input_is_empty_when_not_asked_for() {
    let look = Command::new(["sh", "-c", "cat; [ -e /dev/fd/3 ] || echo closed"]);
    assert_eq!(
        ran(perform(vec![run(look)]).first()).stdout.text(),
        "closed\n"
    );
}

#[test]
fn status_and_both_streams_are_kept_apart() {
    let say = Command::new(["sh", "-c", "printf 'a\\0b'; printf 'c' >&2; exit 7"]);
    let responses = perform(vec![run(say), run(Command::new(["no such program"]))]);
    let first = ran(responses.first());
    assert_eq!(
        (first.status, first.stdout.bytes(), first.stderr.bytes()),
        (7, &b"a\0b"[..], &b"c"[..])
    );
    assert_eq!(ran(responses.get(1)).status, 127);
}

#[test]
fn a_command_at_its_deadline_is_ended_and_said_to_be() {
    let slow = Command::new(["sleep", "60"]).within(Duration::from_secs(1));
    let honest = Command::new(["sh", "-c", "exit 124"]);
    let responses = perform(vec![run(slow), run(honest)]);
    assert!(ran(responses.first()).timed_out);
    assert_eq!(
        (
            ran(responses.get(1)).status,
            ran(responses.get(1)).timed_out
        ),
        (124, false)
    );
}

#[test]
fn two_megabytes_go_in_and_come_back() {
    let big: Vec<u8> = (0..2 << 20)
        .map(|at: u32| u8::try_from(at % 251).unwrap())
        .collect();
    let echo = Command::new(["cat"]).stdin(Content::new(big.clone()));
    assert_eq!(ran(perform(vec![run(echo)]).first()).stdout.bytes(), big);
}

#[test]
fn a_command_that_ignores_its_input_ends_quietly() {
    let deaf = Command::new(["true"]).stdin(Content::new(vec![b'x'; 1 << 20]));
    let responses = perform(vec![run(deaf)]);
    assert_eq!(
        (
            ran(responses.first()).status,
            ran(responses.first()).stderr.text()
        ),
        (0, "".into())
    );
}

#[test]
fn a_failed_change_ends_the_batch_and_a_failed_query_does_not() {
    let (_dir, folder) = folder();
    let never = folder.join("never");
    let responses = perform(vec![
        run(Command::new(["false"])),
        change(&["true"]),
        change(&["sh", "-c", "exit 3"]),
        write(file(&never, b"x")),
    ]);
    assert_eq!(responses.len(), 3);
    assert_eq!(ran(responses.last()).status, 3);
    assert!(!never.exists());
}

#[test]
fn what_no_script_can_say_fails_by_itself() {
    let responses = perform(vec![
        run(Command::new(["a\0b"])),
        run(Command::new(Vec::<String>::new())),
        Request::Query(Query::read("relative")),
        run(Command::new(["echo", "on"])),
    ]);
    assert_eq!(ran(responses.first()).status, 126);
    assert_eq!(ran(responses.get(1)).status, 126);
    assert_eq!(
        ran(responses.get(2)).stderr.text(),
        "the path is not absolute\n"
    );
    assert_eq!(ran(responses.get(3)).stdout.text(), "on\n");
}

#[test]
fn the_deadline_covers_every_request() {
    let slow = |seconds| run(Command::new(["true"]).within(Duration::from_secs(seconds)));
    let script = render(&batch(vec![slow(100), slow(200)]), &nonce(), None);
    assert!(
        script.deadline >= Duration::from_mins(5) && script.deadline < Duration::from_secs(330)
    );
    assert!(!script.confidential);
}
