//! Opens a session and becomes who it must be there.

use std::time::Duration;

use tokio::sync::{MutexGuard, Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::SshOptions;
use super::link::Link;
use super::session::{self, Closed, Talk};
use super::sudo::{self, Refusal, Words};
use super::trouble::{self, denied};
use crate::secret::Secret;
use crate::wire::{Become, TransportError};

/// How long sudo may take, which may ask a slow directory service.
const SUDO: Duration = Duration::from_secs(30);

/// A session with a shell of the right user that waits for its script, and the permit to have it.
pub(super) struct Entered<'a> {
    pub(super) talk: Talk,
    pub(super) permit: Option<SemaphorePermit<'a>>,
}

/// Opens a session; connects once more when the connection turns out to be dead. Nothing was sent.
pub(super) async fn enter<'a>(
    link: &'a Link,
    options: &SshOptions,
    pace: &Semaphore,
    r#become: &Become,
) -> Result<Entered<'a>, TransportError> {
    // The semaphore is never closed; without a permit the server itself says when there are too many.
    let mut permit = link.sessions.one().await.ok();
    let (mut broken, mut tries) = (None, 0);
    while tries < 2 {
        let master = link.master(options, pace, broken).await?;
        let words = words(link, r#become, master.uid)?;
        let argv = argv(r#become, words.as_ref());
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
        return Ok(Entered { talk, permit });
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
