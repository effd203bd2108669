//! Cuts, kills, noise, hostile bytes, and eyes that look for secrets.

use std::time::Duration;

use proptest::prelude::*;

use super::{batch, change, feed, file, folder, nonce, perform, ran, run, write};
use crate::secret::Content;
use crate::transport::script::{Heard, read, render};
use crate::wire::{Command, Query, Request};

#[test]
fn a_script_cut_anywhere_runs_nothing() {
    let (_dir, folder) = folder();
    let mark = folder.join("mark");
    let batch = batch(vec![
        write(file(&mark, b"it's")),
        change(&["touch", mark.as_str()]),
    ]);
    let text = render(&batch, &nonce(), None).text;
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
    let (stdout, stderr) = feed("sh", &render(&batch, &nonce(), None).text);
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
    let (stdout, stderr) = feed("sh", &render(&batch, &nonce(), None).text);
    let Heard {
        started,
        ended,
        responses,
    } = read(&batch, &nonce(), &stdout, &stderr);
    assert_eq!((started, ended, responses.len()), (true, false, 1));
}

/// Looks from inside a command that has the secret on its input, and holds it in a shell variable only.
const SEARCH: &str = r#"read -r secret; for file in /proc/[0-9]*/cmdline /proc/[0-9]*/environ; do
  case $(tr '\0' ' ' <"$file" 2>/dev/null) in *"$secret"*) echo "$file" ;; esac; done
  ls -A "$TMPDIR"; echo searched"#;

#[test]
fn no_process_and_no_temporary_file_shows_what_is_on_the_input() {
    let (_dir, folder) = folder();
    let secret = "canary-7f3a9c";
    let look = Command::new(["sh", "-c", SEARCH])
        .stdin(Content::from(format!("{secret}\n").as_str()))
        .fd3(Content::new(vec![b'x'; 300_000]));
    let batch = batch(vec![run(look)]);
    for shell in ["dash", "bash"] {
        let output = assert_cmd::Command::new(shell)
            .env("TMPDIR", &folder)
            .write_stdin(&render(&batch, &nonce(), None).text[..])
            .timeout(Duration::from_mins(1))
            .output()
            .unwrap();
        let heard = read(&batch, &nonce(), &output.stdout, &output.stderr);
        assert_eq!(
            ran(heard.responses.first()).stdout.text(),
            "searched\n",
            "{shell}"
        );
    }
}

proptest! {
    #[test]
    fn output_that_nobody_foresaw_is_never_an_answer(
        stdout in proptest::collection::vec(any::<u8>(), 0..300),
        stderr in proptest::collection::vec(any::<u8>(), 0..300),
        fields in ":?[0-9:.x]{0,12}\n?",
    ) {
        let batch = batch(vec![run(Command::new(["true"])), Request::Query(Query::stat("/"))]);
        let mark = nonce();
        let mark = mark.as_str();
        let forged = [format!("{mark}:start\n").as_bytes(), &stdout, format!("{mark}:0{fields}").as_bytes()].concat();
        prop_assert!(!read(&batch, &nonce(), &forged, &stderr).ended);
        prop_assert!(!read(&batch, &nonce(), &stdout, &stderr).started);
    }
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
        let (stdout, stderr) = feed("sh", &render(&batch, &nonce(), None).text);
        let heard = read(&batch, &nonce(), &stdout[..cut % stdout.len()], &stderr);
        prop_assert!(!heard.ended && heard.responses.len() <= 2);
        let all = ["a\n", "b\n"];
        for (response, text) in heard.responses.iter().zip(all) {
            prop_assert_eq!(ran(Some(response)).stdout.text(), text);
        }
    }
}
