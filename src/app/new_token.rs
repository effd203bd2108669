//! Gets a token from where the operator says it is. No error repeats what was found there.

use std::io::{IsTerminal as _, Read as _};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::process::Stdio;
use std::time::Duration;

use camino::Utf8Path;
use tokio::io::AsyncReadExt as _;

use super::trouble::Trouble;
use crate::cli::NewTokenFrom;
use crate::exit::Exit;
use crate::k3s::token::{self, Token};
use crate::report::Writer;
use crate::secret::Secret;

/// A longer one is no token.
const LONGEST: u64 = 4096;

/// How long a program may take.
const DEADLINE: Duration = Duration::from_mins(1);

/// Makes one for this run.
pub(super) fn made() -> Result<Secret, Trouble> {
    token::generate().map_err(|error| {
        Trouble::said(
            Exit::Internal,
            format!("no token can be made: {error}"),
            "give one with --new-token-from",
        )
    })
}

/// Reads and checks the new token that this option gives.
pub(super) fn read(option: &str, from: &NewTokenFrom) -> Result<Secret, Trouble> {
    let (place, text) = text(from);
    let wrong = |why: &str| {
        Trouble::usage(
            format!("the new token from {place} cannot be used: {why}"),
            format!("correct it there, or leave {option} out: keyroll then makes one"),
        )
    };
    let text = text.map_err(|why| wrong(&why))?;
    token::check_new(&text).map_err(|error| wrong(&error.to_string()))
}

/// Reads a token that a cluster has or had, in any form that K3s takes.
pub(super) fn read_known(option: &str, from: &NewTokenFrom) -> Result<Secret, Trouble> {
    let (place, text) = text(from);
    let wrong = |why: &str| {
        Trouble::usage(
            format!("{option}: the token from {place} cannot be used: {why}"),
            format!(
                "correct it there, or leave {option} out: only tokens that are found on the hosts are then tried"
            ),
        )
    };
    let text = text.map_err(|why| wrong(&why))?;
    let token = Token::parse(&text).map_err(|error| wrong(&error.to_string()))?;
    Ok(token.secret)
}

/// Where it is, and what stands there without one line end.
fn text(from: &NewTokenFrom) -> (String, Result<String, String>) {
    let (place, text) = match from {
        NewTokenFrom::Env(name) => (format!("env:{name}"), variable(name)),
        NewTokenFrom::File(path) => (format!("file:{path}"), file(path)),
        NewTokenFrom::Stdin => ("stdin".to_owned(), input()),
        NewTokenFrom::Exec(argv) => (
            format!("exec:{}", argv.first().map_or("", String::as_str)),
            output(argv, DEADLINE),
        ),
    };
    let one = |text: String| match text.strip_suffix('\n') {
        Some(rest) => rest.strip_suffix('\r').unwrap_or(rest).to_owned(),
        None => text,
    };
    (place, text.map(one))
}

#[expect(
    clippy::disallowed_methods,
    reason = "which variable it is only the command line says"
)]
fn variable(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|_| "there is no such variable, or it is no text".to_owned())
}

fn file(path: &Utf8Path) -> Result<String, String> {
    // Another kind is not even opened: a named pipe would wait for a writer, a device may never end.
    let meta = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if let Some(kind) = other_kind(meta.file_type()) {
        return Err(format!("it is {kind}, and no file: {THROUGH}"));
    }
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mode = file
        .metadata()
        .map_err(|error| error.to_string())?
        .permissions()
        .mode();
    if mode & 0o077 != 0 {
        let warning = format!(
            "warning: {path} can be read by others (mode {:04o}): chmod 600 {path}",
            mode & 0o7777
        );
        Writer::standard().talk(&warning).ok();
    }
    bounded(file)
}

/// What goes for what is no file.
const THROUGH: &str =
    "name a file of mode 0600, or give the token through `stdin` or `exec:PROGRAM`";

/// What a path is when it is no file.
fn other_kind(kind: std::fs::FileType) -> Option<&'static str> {
    let kinds = [
        (kind.is_dir(), "a directory"),
        (kind.is_fifo(), "a named pipe (FIFO)"),
        (kind.is_char_device() || kind.is_block_device(), "a device"),
        (kind.is_socket(), "a socket"),
    ];
    kinds.into_iter().find_map(|(is, name)| is.then_some(name))
}

/// What stands on standard input, when it is no terminal.
pub(super) fn input() -> Result<String, String> {
    if std::io::stdin().is_terminal() {
        return Err("stdin is a terminal, which would show it; use a pipe".to_owned());
    }
    bounded(std::io::stdin())
}

fn bounded(from: impl std::io::Read) -> Result<String, String> {
    let mut bytes = Vec::new();
    let read = from.take(LONGEST + 1).read_to_end(&mut bytes);
    read.map_err(|error| error.to_string())?;
    if bytes.len() as u64 > LONGEST {
        Err(too_long())
    } else {
        utf8(bytes)
    }
}

fn utf8(bytes: Vec<u8>) -> Result<String, String> {
    let is_utf16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to() + 1;
        if is_utf16 {
            "it is UTF-16, as some editors write it, and not UTF-8: iconv -f UTF-16 -t UTF-8 FILE"
                .to_owned()
        } else {
            format!("it is not UTF-8: byte {at} belongs to no character")
        }
    })
}

fn too_long() -> String {
    format!("it is longer than {LONGEST} bytes: give the token alone, on one line")
}

/// What a program prints, run without a shell under a deadline.
fn output(argv: &[String], deadline: Duration) -> Result<String, String> {
    let [program, rest @ ..] = argv else {
        return Err("no program is named".to_owned());
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let ended = async {
        let mut child = tokio::process::Command::new(program)
            .args(rest)
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut text = Vec::new();
        if let Some(out) = child.stdout.take() {
            out.take(LONGEST + 1).read_to_end(&mut text).await?;
        }
        if text.len() as u64 > LONGEST {
            child.kill().await?;
            return Ok(Err(too_long()));
        }
        let status = child.wait().await?;
        if !status.success() {
            return Ok(Err(format!("it ended with {status}")));
        }
        Ok(utf8(text))
    };
    let ended = runtime.block_on(async { tokio::time::timeout(deadline, ended).await });
    let ended = ended.map_err(|_| format!("it did not end within {deadline:?}, and was killed"))?;
    ended.unwrap_or_else(|error: std::io::Error| Err(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use camino::Utf8PathBuf;

    const GOOD: &str = "canary0123456789abcdef0123456789";

    fn words(from: &NewTokenFrom) -> String {
        match read("--new-token-from", from) {
            Ok(secret) => secret.expose().to_owned(),
            Err(Trouble::Said { what, exit, .. }) => {
                format!("{}: {}", exit.number(), what.join(" "))
            }
            Err(Trouble::Problems(_)) => panic!(),
        }
    }

    #[test]
    fn a_file_and_a_program_give_a_token_without_one_line_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(folder.path().join("t")).unwrap();
        std::fs::write(&path, format!("{GOOD}\n")).unwrap();
        assert_eq!(words(&NewTokenFrom::File(path.clone())), GOOD);
        assert_eq!(
            words(&NewTokenFrom::Exec(vec!["cat".into(), path.to_string()])),
            GOOD
        );
        std::fs::write(&path, format!("{GOOD}\n\n")).unwrap();
        assert!(words(&NewTokenFrom::File(path)).starts_with("2: "));
    }

    /// No time is measured: a program that was waited for would hold the test for ever.
    #[test]
    fn a_program_that_does_not_end_is_left_at_its_deadline() {
        let argv = ["sh", "-c", "printf canary; exec sleep infinity"].map(str::to_owned);
        let late = output(&argv, Duration::from_millis(50)).unwrap_err();
        assert_eq!(late, "it did not end within 50ms, and was killed");
    }

    #[test]
    fn each_bad_source_is_named_and_what_it_holds_is_not() {
        let missing = words(&NewTokenFrom::File("/none/there".into()));
        assert!(
            missing.contains("file:/none/there") && missing.contains("No such file"),
            "{missing}"
        );
        assert!(words(&NewTokenFrom::Env("KEYROLL_NO_SUCH".into())).contains("no such variable"));
        assert!(words(&NewTokenFrom::Exec(vec!["false".into()])).contains("exit status: 1"));
        let folder = tempfile::tempdir().unwrap();
        let fifo = Utf8PathBuf::from_path_buf(folder.path().join("pipe")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            fifo.as_str(),
            rustix::fs::FileType::Fifo,
            0o600.into(),
            0,
        )
        .unwrap();
        for (path, kind) in [
            (fifo, "a named pipe (FIFO)"),
            ("/dev/zero".into(), "a device"),
            ("/tmp".into(), "a directory"),
        ] {
            let refused = words(&NewTokenFrom::File(path.clone()));
            assert!(refused.contains(&format!("file:{path}")), "{refused}");
            assert!(
                refused.contains(&format!("it is {kind}, and no file")),
                "{refused}"
            );
        }
        let wide = folder.path().join("wide");
        std::fs::write(&wide, b"\xff\xfea\0").unwrap();
        let wide = Utf8PathBuf::from_path_buf(wide).unwrap();
        assert!(words(&NewTokenFrom::File(wide)).contains("it is UTF-16"));
        let endless = words(&NewTokenFrom::Exec(vec!["yes".into()]));
        assert!(endless.contains("longer than 4096 bytes"), "{endless}");
        let bad = words(&NewTokenFrom::Exec(vec![
            "echo".into(),
            "canary-with space".into(),
        ]));
        assert!(bad.starts_with("2: ") && !bad.contains("canary"), "{bad}");
    }
}
