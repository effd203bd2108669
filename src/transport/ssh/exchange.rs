//! One batch in one session: opens it, becomes who it must be, sends the script and hears the answers.

use std::time::Duration;

use openssh::ChildStdin;
use tokio::io::AsyncWriteExt;
use tokio::sync::{MutexGuard, Semaphore};
use tokio::time::timeout;

use super::SshOptions;
use super::link::Link;
use super::session::{self, Closed, Talk};
use super::sudo::{self, Refusal, Words};
use super::trouble::{self, denied};
use crate::secret::Secret;
use crate::transport::script::{self, Nonce, Script};
use crate::wire::{Batch, Become, Response, TransportError};

/// How long sudo may take, which may ask a slow directory service.
const SUDO: Duration = Duration::from_secs(30);

/// What is sent.
struct Letter<'a> {
    batch: &'a Batch,
    nonce: Nonce,
    script: Script,
}

/// Carries one batch; connects once more when the connection turns out to be dead before anything was sent.
pub(super) async fn exec(
    link: &Link,
    options: &SshOptions,
    pace: &Semaphore,
    batch: &Batch,
) -> Result<Vec<Response>, TransportError> {
    // The semaphore is never closed; without a permit the server itself says when there are too many.
    let mut permit = link.sessions.one().await.ok();
    let nonce = session::nonce(link)?;
    let letter = Letter {
        batch,
        script: script::render(batch, &nonce),
        nonce,
    };
    let (mut broken, mut tries) = (None, 0);
    while tries < 2 {
        let master = link.master(options, pace, broken).await?;
        let words = words(link, &batch.r#become, master.uid)?;
        let argv = argv(&batch.r#become, words.as_ref());
        let turn = turn(link, words.as_ref()).await?;
        let mut opened = session::open(&master.socket, &argv, options.connect_timeout).await;
        if let Err(Closed::Busy(_)) = &opened {
            permit = permit.and_then(|refused| link.sessions.fewer(refused));
            if permit.is_none() {
                drop(turn);
                permit = link.sessions.one().await.ok();
                continue;
            }
            // Even one is too many while others, that have ended, still close.
            opened = session::open_patiently(&master, &argv, options).await;
        }
        let talk = match opened {
            Ok(talk) => talk,
            Err(Closed::Busy(why)) => return Err(link.not_started(&why)),
            Err(Closed::Gone(_)) => {
                broken = Some(master.generation);
                tries += 1;
                continue;
            }
        };
        let talk = match &words {
            Some(words) => rise(link, talk, words).await?,
            None => talk,
        };
        drop(turn);
        let heard = exchange(link, talk, &letter, options.slack).await;
        drop(permit);
        return heard;
    }
    Err(link.not_started("no session could be opened, even on a new connection"))
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
    Ok(Some(Words {
        prompt: format!("keyroll-{}", session::nonce(link)?.as_str()),
        go: format!("go-{}", session::nonce(link)?.as_str()),
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

/// Until sudo has once said yes, one batch at a time asks it: a wrong password is offered once, not eight times.
///
/// To be held before the session opens, since a sudo that asks makes others of the same user wait.
async fn turn<'a>(
    link: &'a Link,
    words: Option<&Words>,
) -> Result<Option<MutexGuard<'a, ()>>, TransportError> {
    if words.is_none() || link.risen.get().is_some() {
        return Ok(None);
    }
    let turn = link.turn.lock().await;
    if link.wrong_password.get().is_some() {
        return Err(wrong_password(link));
    }
    Ok(Some(turn))
}

/// Becomes the other user, or says why not. Nothing of the script was sent yet.
async fn rise(link: &Link, mut talk: Talk, words: &Words) -> Result<Talk, TransportError> {
    let password: Option<&Secret> = link.connect.become_password.as_ref();
    let Some(stdin) = &mut talk.stdin else {
        return Err(link.not_started("the session has no input"));
    };
    let handshake = sudo::talk(stdin, &mut talk.out, &mut talk.err, words, password);
    let refusal = match timeout(SUDO, handshake).await {
        Ok(Ok(())) => {
            link.risen.set(()).ok();
            return Ok(talk);
        }
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
            let exited = session::exited(talk.child).await;
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
        // A stream that is too long ends the work at once.
        tokio::try_join!(
            send(stdin, &letter.script.text, &mut sent),
            out.until(trailer.as_bytes()),
            err.until(trailer.as_bytes()),
        )
    };
    let in_time = timeout(limit, work).await.is_ok();
    let heard = script::read(letter.batch, &letter.nonce, out.heard(), err.heard());
    // Sessions that are still closing count against sshd's limit.
    let exited = in_time && session::exited(child).await;
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
            format!("its shell ended without running anything {said}").trim_end(),
            "log in by hand and try `sh`",
        ));
    }
    let why = if out.is_full() || err.is_full() {
        "it said more than 64 MiB".to_owned()
    } else if in_time {
        "the connection closed, or the shell there was killed".to_owned()
    } else {
        format!("no end came within {} s", limit.as_secs())
    };
    Err(TransportError::Unknown {
        host: link.host.clone(),
        done: heard.responses,
        why,
    })
}

/// Sends all of the script and closes the input. `sent` stays false when the last byte was not taken.
async fn send(stdin: Option<ChildStdin>, text: &[u8], sent: &mut bool) -> std::io::Result<()> {
    if let Some(mut stdin) = stdin {
        // What the answers say counts more than why the input was not taken.
        *sent = stdin.write_all(text).await.is_ok() && stdin.flush().await.is_ok();
    }
    Ok(())
}
