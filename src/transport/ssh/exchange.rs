//! One batch in one session: opens it, becomes who it must be, sends the script and hears the answers.

use std::time::Duration;

use camino::Utf8Path;
use openssh::{Child, ChildStderr, ChildStdin, ChildStdout, Session, Stdio};
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::hearing::{Came, Hearing};
use super::link::{Link, Master};
use super::sudo::{self, Refusal, Words};
use super::trouble::{self, denied};
use super::{SshOptions, master};
use crate::secret::Secret;
use crate::transport::script::{self, Nonce, Script};
use crate::wire::{Batch, Become, Response, TransportError};

/// How long a session may take to close when its trailer has come.
const CLOSING: Duration = Duration::from_secs(2);

/// How long sudo may take, which may ask a slow directory service.
const SUDO: Duration = Duration::from_secs(30);

/// How often a session is asked for when the server has none left.
const TRIES: u32 = 6;

/// An open session and its three streams.
struct Talk {
    child: Child<std::sync::Arc<Session>>,
    stdin: Option<ChildStdin>,
    out: Hearing<ChildStdout>,
    err: Hearing<ChildStderr>,
}

/// What is sent.
struct Letter<'a> {
    batch: &'a Batch,
    nonce: Nonce,
    script: Script,
}

/// Why a session did not open. Nothing was sent.
enum Closed {
    /// The server has no session left.
    Busy(String),
    /// The master is dead or does not answer.
    Gone(String),
}

/// Carries one batch; connects once more when the connection turns out to be dead before anything was sent.
pub(super) async fn exec(
    link: &Link,
    options: &SshOptions,
    pace: &Semaphore,
    batch: &Batch,
) -> Result<Vec<Response>, TransportError> {
    let _permit = link.sessions.acquire().await;
    let nonce = nonce(link)?;
    let letter = Letter {
        batch,
        script: script::render(batch, &nonce),
        nonce,
    };
    let mut broken = None;
    for _ in 0..2 {
        let master = link.master(options, pace, broken).await?;
        let words = words(link, &batch.r#become, master.uid)?;
        let argv = argv(&batch.r#become, words.as_ref());
        let talk = match open_patiently(&master, &argv, options).await {
            Ok(talk) => talk,
            Err(Closed::Busy(why)) => return Err(link.not_started(&why)),
            Err(Closed::Gone(_)) => {
                broken = Some(master.generation);
                continue;
            }
        };
        let talk = match &words {
            Some(words) => rise(link, talk, words).await?,
            None => talk,
        };
        return exchange(link, talk, &letter, options.slack).await;
    }
    Err(link.not_started("no session could be opened, even on a new connection"))
}

/// Asks for the login's user id, which also shows that `sh` runs there.
pub(super) async fn login_uid(
    link: &Link,
    socket: &Utf8Path,
    options: &SshOptions,
) -> Result<u32, TransportError> {
    let nonce = nonce(link)?;
    let (head, tail) = (
        format!("{}-", nonce.as_str()),
        format!("-{}", nonce.as_str()),
    );
    let ask = format!("echo {head}$(id -u){tail}");
    let argv = ["sh", "-c", &ask].map(String::from);
    let mut talk = match open(socket, &argv, options.connect_timeout).await {
        Ok(talk) => talk,
        Err(Closed::Busy(why) | Closed::Gone(why)) => return Err(link.not_started(&why)),
    };
    talk.stdin = None;
    let ending = format!("{tail}\n");
    match timeout(options.connect_timeout, talk.out.until(ending.as_bytes())).await {
        Err(_) | Ok(Err(_)) => return Err(link.not_started("the login shell does not answer")),
        Ok(Ok(Came::End))
            if timeout(CLOSING, talk.child.wait())
                .await
                .is_ok_and(|end| end.is_ok()) =>
        {
            let why = format!("the login shell does not run sh ({})", talk.out.tail());
            return Err(denied(&link.host, &why, "log in as a user with a shell"));
        }
        Ok(Ok(Came::End)) => return Err(link.not_started("the connection closed")),
        Ok(Ok(Came::Word)) => {}
    }
    let said = String::from_utf8_lossy(talk.out.heard());
    let uid = said
        .split(&head)
        .nth(1)
        .and_then(|rest| rest.split('-').next());
    uid.and_then(|uid| uid.parse().ok()).ok_or_else(|| {
        denied(
            &link.host,
            "`id -u` says no number there",
            "log in by hand and look",
        )
    })
}

/// Up to a half more than `pause`, so that many hosts do not try again at the same moment.
pub(super) fn jitter(pause: Duration) -> Duration {
    let mut byte = [0];
    // Without randomness there is simply no jitter.
    getrandom::fill(&mut byte).ok();
    pause * u32::from(byte[0]) / 512
}

fn nonce(link: &Link) -> Result<Nonce, TransportError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|why| link.not_started(&format!("the kernel gives no random numbers: {why}")))?;
    Ok(Nonce::from_bytes(bytes))
}

/// The words of the talk with sudo, when one is needed.
fn words(link: &Link, r#become: &Become, uid: u32) -> Result<Option<Words>, TransportError> {
    match r#become {
        Become::Login => return Ok(None),
        Become::Root if uid == 0 => return Ok(None),
        Become::User(name) if name.is_empty() || name.starts_with('-') => {
            return Err(denied(
                &link.host,
                "become_user is no user name",
                "correct become_user",
            ));
        }
        Become::Root | Become::User(_) => {}
    }
    if link.wrong_password.get().is_some() {
        return Err(wrong_password(link));
    }
    Ok(Some(Words {
        prompt: format!("keyroll-{}", nonce(link)?.as_str()),
        go: format!("go-{}", nonce(link)?.as_str()),
    }))
}

fn argv(r#become: &Become, words: Option<&Words>) -> Vec<String> {
    let Some(words) = words else {
        return vec!["sh".to_owned()];
    };
    let user = match r#become {
        Become::User(name) => Some(name.as_str()),
        Become::Login | Become::Root => None,
    };
    let mut argv = vec!["sudo".to_owned()];
    argv.extend(words.argv(user));
    argv
}

/// Opens a session, and asks again a few times when the server has none left.
async fn open_patiently(
    master: &Master,
    argv: &[String],
    options: &SshOptions,
) -> Result<Talk, Closed> {
    let mut pause = Duration::from_millis(100);
    for _ in 1..TRIES {
        match open(&master.socket, argv, options.connect_timeout).await {
            Err(Closed::Busy(_)) => tokio::time::sleep(pause + jitter(pause)).await,
            end => return end,
        }
        pause *= 2;
    }
    open(&master.socket, argv, options.connect_timeout).await
}

async fn open(socket: &Utf8Path, argv: &[String], limit: Duration) -> Result<Talk, Closed> {
    let session = std::sync::Arc::new(master::session(socket));
    let (program, words) = argv
        .split_first()
        .ok_or_else(|| Closed::Gone("no command".to_owned()))?;
    let mut command = session.arc_command(program.as_str());
    command
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = match timeout(limit, command.spawn()).await {
        Ok(Ok(child)) => child,
        Ok(Err(error)) => return Err(closed(&error)),
        Err(_) => return Err(Closed::Gone("the connection is silent".to_owned())),
    };
    match (
        child.stdin().take(),
        child.stdout().take(),
        child.stderr().take(),
    ) {
        (Some(stdin), Some(out), Some(err)) => Ok(Talk {
            child,
            stdin: Some(stdin),
            out: Hearing::new(out),
            err: Hearing::new(err),
        }),
        _ => Err(Closed::Gone("the session has no streams".to_owned())),
    }
}

fn closed(error: &openssh::Error) -> Closed {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    if text.contains("refused by peer") {
        Closed::Busy(text)
    } else {
        Closed::Gone(text)
    }
}

/// Becomes the other user, or says why not. Nothing of the script was sent yet.
async fn rise(link: &Link, mut talk: Talk, words: &Words) -> Result<Talk, TransportError> {
    let password: Option<&Secret> = link.connect.become_password.as_ref();
    let Some(stdin) = &mut talk.stdin else {
        return Err(link.not_started("the session has no input"));
    };
    let handshake = sudo::talk(stdin, &mut talk.out, &mut talk.err, words, password);
    let refusal = match timeout(SUDO, handshake).await {
        Ok(Ok(())) => return Ok(talk),
        Ok(Err(refusal)) => refusal,
        Err(_) => Refusal::Silence,
    };
    Err(match refusal {
        Refusal::NoPassword => denied(
            &link.host,
            "sudo asks for a password",
            "start again with -K, or set ansible_become_password",
        ),
        Refusal::WrongPassword => {
            link.wrong_password.set(()).ok();
            wrong_password(link)
        }
        Refusal::Silence if talk.err.heard().is_empty() => link.not_started("sudo does not answer"),
        Refusal::Silence => denied(
            &link.host,
            &format!(
                "sudo waits for something else than a password ({})",
                talk.err.tail()
            ),
            "try `sudo sh` there by hand",
        ),
        Refusal::Ended => {
            let said = talk.err.tail();
            let exited = timeout(CLOSING, talk.child.wait())
                .await
                .is_ok_and(|end| end.is_ok());
            if said.is_empty() && !exited {
                link.not_started("the connection closed before sudo answered")
            } else {
                trouble::of_sudo(&link.host, &said)
            }
        }
    })
}

fn wrong_password(link: &Link) -> TransportError {
    denied(
        &link.host,
        "sudo: the password is wrong; it is not offered again in this run, so that the account is not locked",
        "start again and give the right password (-K)",
    )
}

/// Sends the script and hears both streams at the same time, since either side may be big.
async fn exchange(
    link: &Link,
    talk: Talk,
    letter: &Letter<'_>,
    slack: Duration,
) -> Result<Vec<Response>, TransportError> {
    let Talk {
        child,
        stdin,
        mut out,
        mut err,
    } = talk;
    let trailer = format!("{}:end\n", letter.nonce.as_str());
    let mut sent = false;
    let limit = letter.script.deadline.saturating_add(slack);
    let work = async {
        tokio::join!(
            send(stdin, &letter.script.text, &mut sent),
            out.until(trailer.as_bytes()),
            err.until(trailer.as_bytes()),
        )
    };
    let in_time = timeout(limit, work).await.is_ok();
    let heard = script::read(letter.batch, &letter.nonce, out.heard(), err.heard());
    // Sessions that are still closing count against sshd's limit.
    let exited = in_time
        && timeout(CLOSING, child.wait())
            .await
            .is_ok_and(|end| end.is_ok());
    if heard.ended {
        return Ok(heard.responses);
    }
    if !heard.started && !sent {
        return Err(link.not_started("the script was not sent to its end"));
    }
    if !heard.started && exited {
        let said = if letter.script.confidential {
            String::new()
        } else {
            err.tail()
        };
        return Err(denied(
            &link.host,
            &format!("its shell ended without running anything {said}").trim_end(),
            "log in by hand and try `sh`",
        ));
    }
    Err(TransportError::Unknown {
        host: link.host.clone(),
        done: heard.responses,
        why: if in_time {
            "the connection closed, or the shell there was killed".to_owned()
        } else {
            format!("no end came within {} s", limit.as_secs())
        },
    })
}

/// Sends all of the script and closes the input. `sent` stays false when the last byte was not taken.
async fn send(stdin: Option<ChildStdin>, text: &[u8], sent: &mut bool) {
    let Some(mut stdin) = stdin else {
        return;
    };
    *sent = stdin.write_all(text).await.is_ok() && stdin.flush().await.is_ok();
}
