//! Opens sessions through a master connection.

use std::sync::Arc;
use std::time::Duration;

use camino::Utf8Path;
use openssh::{Child, ChildStderr, ChildStdin, ChildStdout, Session, Stdio};
use tokio::time::timeout;

use super::hearing::{Came, Hearing};
use super::link::{Link, Master};
use super::trouble::denied;
use super::{SshOptions, master};
use crate::transport::script::Nonce;
use crate::wire::TransportError;

/// How long a session may take to close when it has said all.
const CLOSING: Duration = Duration::from_secs(2);

/// How often a session is asked for when the server has none left.
const TRIES: u32 = 6;

/// An open session and its three streams.
pub(super) struct Talk {
    pub(super) child: Child<Arc<Session>>,
    pub(super) stdin: Option<ChildStdin>,
    pub(super) out: Hearing<ChildStdout>,
    pub(super) err: Hearing<ChildStderr>,
}

/// Why a session did not open. Nothing was sent.
pub(super) enum Closed {
    /// The server has no session left.
    Busy(String),
    /// The master is dead or does not answer.
    Gone(String),
}

/// Opens a session, and asks again a few times when the server has none left.
pub(super) async fn open_patiently(
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

/// Opens a session, or says why not.
pub(super) async fn open(
    socket: &Utf8Path,
    argv: &[String],
    limit: Duration,
) -> Result<Talk, Closed> {
    let session = Arc::new(master::session(socket));
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
        Ok(Ok(Came::End)) if exited(talk.child).await => {
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

/// Whether a status came: then the shell ended by itself, and the connection was there to the end.
pub(super) async fn exited(child: Child<Arc<Session>>) -> bool {
    // Status 127 comes as an error of its own.
    matches!(
        timeout(CLOSING, child.wait()).await,
        Ok(Ok(_) | Err(openssh::Error::Remote(_)))
    )
}

/// Up to a half more than `pause`, so that many hosts do not try again at the same moment.
pub(super) fn jitter(pause: Duration) -> Duration {
    let mut byte = [0];
    // Without randomness there is simply no jitter.
    getrandom::fill(&mut byte).ok();
    pause * u32::from(byte[0]) / 512
}

pub(super) fn nonce(link: &Link) -> Result<Nonce, TransportError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|why| link.not_started(&format!("the kernel gives no random numbers: {why}")))?;
    Ok(Nonce::from_bytes(bytes))
}
