//! Scripts run by the shells of this machine: what is rendered is what happens, and what is read is what was said.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use proptest::prelude::*;

use super::{Heard, Nonce, read, render};
use crate::secret::Content;
use crate::wire::{
    Batch, Become, Change, Command, FileKind, Owner, Query, Ran, Request, Response, WriteFile,
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
    let (stdout, stderr) = feed(shell, &render(&batch, &nonce()).text);
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

fn entries(folder: &Utf8Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
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
fn a_written_file_is_whole_has_its_mode_and_leaves_nothing_beside_it() {
    let (_dir, folder) = folder();
    let path = folder.join("sub dir/it's $HOME");
    let mut first = file(&path, b"\0one\xff\n");
    first.make_parent = true;
    let mut second = file(&path, b"");
    second.owner = Owner::Like(path.clone());
    second.mode = 0o600;
    assert_eq!(perform(vec![write(first.clone())]), [Response::Done]);
    assert_eq!(std::fs::read(&path).unwrap(), b"\0one\xff\n");
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
        0o640
    );
    assert_eq!(
        std::fs::metadata(folder.join("sub dir"))
            .unwrap()
            .permissions()
            .mode()
            & 0o7777,
        0o700
    );
    assert_eq!(perform(vec![write(second)]), [Response::Done]);
    assert_eq!(std::fs::read(&path).unwrap(), b"");
    assert_eq!(entries(&folder.join("sub dir")), ["it's $HOME"]);
}

#[test]
fn a_write_keeps_the_owner_of_the_file_it_is_like() {
    let (_dir, folder) = folder();
    let model = folder.join("model");
    std::fs::write(&model, "").unwrap();
    // Only root can give a file away; another user's file is then simply his own.
    std::os::unix::fs::chown(&model, Some(65534), Some(65534)).ok();
    let mut copy = file(&folder.join("copy"), b"x");
    copy.owner = Owner::Like(model.clone());
    assert_eq!(perform(vec![write(copy)]), [Response::Done]);
    let ids = |name: &str| {
        let meta = std::fs::metadata(folder.join(name)).unwrap();
        (meta.uid(), meta.gid())
    };
    assert_eq!(ids("copy"), ids("model"));
}

#[test]
fn a_write_that_cannot_end_leaves_the_old_file_and_no_temporary() {
    let (_dir, folder) = folder();
    std::fs::create_dir(folder.join("target")).unwrap();
    std::fs::write(folder.join("target/kept"), "").unwrap();
    let responses = perform(vec![write(file(&folder.join("target"), b"x"))]);
    assert!(ran(responses.first()).status != 0);
    assert_eq!(entries(&folder), ["target"]);
    let missing = perform(vec![write(file(&folder.join("none/file"), b"x"))]);
    assert!(matches!(missing.first(), Some(Response::Failed(_))));
}

#[test]
fn a_write_replaces_a_link_and_not_what_it_leads_to() {
    let (_dir, folder) = folder();
    std::fs::write(folder.join("real"), "real").unwrap();
    std::os::unix::fs::symlink("real", folder.join("link")).unwrap();
    assert_eq!(
        perform(vec![write(file(&folder.join("link"), b"new"))]),
        [Response::Done]
    );
    assert_eq!(std::fs::read(folder.join("real")).unwrap(), b"real");
    assert_eq!(std::fs::read(folder.join("link")).unwrap(), b"new");
}

#[test]
fn paths_are_renamed_and_removed() {
    let (_dir, folder) = folder();
    std::fs::write(folder.join("-a b"), "x").unwrap();
    std::fs::create_dir(folder.join("sub")).unwrap();
    std::fs::create_dir(folder.join("full")).unwrap();
    std::fs::write(folder.join("full/x"), "").unwrap();
    let rename = |from: &str, to: &str| {
        Request::Change(Change::Rename {
            from: folder.join(from),
            to: folder.join(to),
        })
    };
    let remove = |name: &str| {
        Request::Change(Change::Remove {
            path: folder.join(name),
        })
    };
    let done = perform(vec![
        rename("-a b", "b"),
        rename("b", "sub/c"),
        remove("sub/c"),
        remove("sub"),
        remove("sub"),
    ]);
    assert_eq!(done, vec![Response::Done; 5]);
    assert_eq!(entries(&folder), ["full"]);
    assert!(matches!(
        perform(vec![remove("full")]).first(),
        Some(Response::Failed(_))
    ));
    assert!(matches!(
        perform(vec![rename("gone", "x")]).first(),
        Some(Response::Failed(_))
    ));
}

#[test]
fn files_are_read_up_to_their_limit_and_missing_ones_are_none() {
    let (_dir, folder) = folder();
    std::fs::write(folder.join("five"), "12345").unwrap();
    let look = |name: &str, limit| {
        Request::Query(Query::Read {
            path: folder.join(name),
            limit,
        })
    };
    let responses = perform(vec![
        look("five", 5),
        look("five", 4),
        look("none", 5),
        look("", 5),
    ]);
    assert_eq!(
        responses.first(),
        Some(&Response::Content(Some(Content::from("12345"))))
    );
    assert_eq!(
        ran(responses.get(1)).stderr.text(),
        "the file is longer than 4 bytes"
    );
    assert_eq!(responses.get(2), Some(&Response::Content(None)));
    assert!(matches!(responses.get(3), Some(Response::Failed(_))));
}

#[test]
fn a_stat_tells_kind_mode_size_and_times() {
    let (_dir, folder) = folder();
    std::fs::write(folder.join("f"), "123").unwrap();
    std::os::unix::fs::symlink("f", folder.join("link")).unwrap();
    std::os::unix::fs::symlink("nowhere", folder.join("broken")).unwrap();
    let look = |name: &str, follow| {
        Request::Query(Query::Stat {
            path: folder.join(name),
            follow,
        })
    };
    let responses = perform(vec![
        look("f", true),
        look("link", false),
        look("link", true),
        look("broken", true),
        look("", true),
    ]);
    let real = std::fs::metadata(folder.join("f")).unwrap();
    let stat = |at: usize| match responses.get(at) {
        Some(Response::Stat(Some(stat))) => stat.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        (stat(0).kind, stat(0).size, stat(0).uid),
        (FileKind::File, 3, real.uid())
    );
    assert_eq!(
        stat(0).mtime.0,
        real.mtime() * 1_000_000 + real.mtime_nsec() / 1000
    );
    assert_eq!(stat(1).kind, FileKind::Symlink("f".into()));
    assert_eq!(stat(2).kind, FileKind::File);
    assert_eq!(responses.get(3), Some(&Response::Stat(None)));
    assert_eq!(stat(4).kind, FileKind::Directory);
}

#[test]
fn a_folder_is_listed_sorted_with_hidden_and_odd_names() {
    let (_dir, folder) = folder();
    let names = ["-n", ".hidden", "a\nb", "z"];
    for name in names {
        std::fs::write(folder.join(name), "").unwrap();
    }
    let look = |path: Utf8PathBuf| Request::Query(Query::List { path });
    let responses = perform(vec![
        look(folder.clone()),
        look(folder.join("none")),
        look(folder.join("z")),
    ]);
    assert_eq!(
        responses.first(),
        Some(&Response::List(Some(names.map(String::from).into())))
    );
    assert_eq!(responses.get(1), Some(&Response::List(None)));
    assert!(matches!(responses.get(2), Some(Response::Failed(_))));
}

#[test]
fn a_script_cut_anywhere_runs_nothing() {
    let (_dir, folder) = folder();
    let mark = folder.join("mark");
    let batch = batch(vec![
        write(file(&mark, b"it's")),
        change(&["touch", mark.as_str()]),
    ]);
    let text = render(&batch, &nonce()).text;
    let cuts = (0..text.len())
        .step_by(97)
        .chain(text.len() - 40..text.len());
    for shell in ["dash", "bash"] {
        for cut in cuts.clone() {
            let (stdout, stderr) = feed(shell, &text[..cut]);
            assert!(
                !read(&batch, &nonce(), &stdout, &stderr).started && !mark.exists(),
                "{shell} {cut}"
            );
        }
    }
    feed("dash", &text);
    assert!(mark.exists());
}

#[test]
fn talk_of_a_login_shell_before_the_script_is_passed_over() {
    let batch = batch(vec![run(Command::new(["echo", "x"]))]);
    let (stdout, stderr) = feed("sh", &render(&batch, &nonce()).text);
    let heard = read(
        &batch,
        &nonce(),
        &[b"Welcome!\n", &stdout[..]].concat(),
        &[b"lecture", &stderr[..]].concat(),
    );
    assert!(heard.ended);
    assert_eq!(ran(heard.responses.first()).stdout.text(), "x\n");
}

#[test]
fn a_killed_shell_leaves_the_answers_before_it_and_no_end() {
    let batch = batch(vec![
        change(&["echo", "done"]),
        change(&["sh", "-c", "kill -9 $(cut -d' ' -f4 /proc/$PPID/stat)"]),
    ]);
    let (stdout, stderr) = feed("sh", &render(&batch, &nonce()).text);
    let Heard {
        started,
        ended,
        responses,
    } = read(&batch, &nonce(), &stdout, &stderr);
    assert_eq!((started, ended, responses.len()), (true, false, 1));
}

#[test]
fn the_deadline_covers_every_request() {
    let slow = |seconds| run(Command::new(["true"]).within(Duration::from_secs(seconds)));
    let script = render(&batch(vec![slow(100), slow(200)]), &nonce());
    assert!(
        script.deadline >= Duration::from_mins(5) && script.deadline < Duration::from_secs(330)
    );
    assert!(!script.confidential);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_bytes_and_words_go_through_a_real_shell(
        input in proptest::collection::vec(any::<u8>(), 0..600),
        body in proptest::collection::vec(any::<u8>(), 0..600),
        words in proptest::collection::vec("[^\0]{0,20}", 0..5),
    ) {
        let program = "printf '%s\\0' \"$@\"; cat; cat <&3 >&2";
        let mut argv = vec!["sh".to_owned(), "-c".to_owned(), program.to_owned(), "sh".to_owned()];
        argv.extend(words.iter().cloned());
        let command = Command::new(argv).stdin(Content::new(input.clone())).fd3(Content::new(body.clone()));
        let responses = perform(vec![run(command)]);
        let mut expected = Vec::new();
        for word in words.iter().map(String::as_str).chain(words.is_empty().then_some("")) {
            expected.extend(word.bytes().chain([0]));
        }
        expected.extend(input);
        prop_assert_eq!(ran(responses.first()).stdout.bytes(), expected);
        prop_assert_eq!(ran(responses.first()).stderr.bytes(), body);
    }

    #[test]
    fn output_cut_anywhere_never_reads_as_ended(cut in 0..usize::MAX) {
        let batch = batch(vec![run(Command::new(["echo", "a"])), run(Command::new(["echo", "b"]))]);
        let (stdout, stderr) = feed("sh", &render(&batch, &nonce()).text);
        let heard = read(&batch, &nonce(), &stdout[..cut % stdout.len()], &stderr);
        prop_assert!(!heard.ended && heard.responses.len() <= 2);
        let all = ["a\n", "b\n"];
        for (response, text) in heard.responses.iter().zip(all) {
            prop_assert_eq!(ran(Some(response)).stdout.text(), text);
        }
    }
}
