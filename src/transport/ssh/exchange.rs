//! One batch in one session: sends the script and hears the answers.

use std::time::Duration;

use openssh::ChildStdin;
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::link::Link;
use super::session::{self, Talk};
use super::trouble::denied;
use super::{SshOptions, entry};
use crate::transport::script::{self, Nonce, Script};
use crate::wire::{Batch, Request, Response, TransportError};

/// What is sent.
struct Letter<'a> {
    batch: &'a Batch,
    nonce: Nonce,
    script: Script,
}

/// Carries one batch.
pub(super) async fn exec(
    link: &Link,
    options: &SshOptions,
    pace: &Semaphore,
    batch: &Batch,
) -> Result<Vec<Response>, TransportError> {
    let nonce = session::nonce(link)?;
    let mut requests = batch.requests.iter();
    let changes = requests.any(|request| matches!(request, Request::Change(_)));
    let held = link.held.get().filter(|_| changes).map(String::as_str);
    let letter = Letter {
        batch,
        script: script::render(batch, &nonce, held),
        nonce,
    };
    let entered = entry::enter(link, options, pace, &batch.r#become).await?;
    let heard = exchange(link, entered.talk, &letter, options.slack).await;
    drop(entered.permit);
    heard
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
    if let Some(by) = lost(&letter.nonce, out.heard()) {
        return Err(denied(
            &link.host,
            &format!("this run was not heard of for too long, and another works there now: {by}"),
            "wait until that one has ended, then run the same command again",
        ));
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

/// The words of the run that has taken the host over.
fn lost(nonce: &Nonce, heard: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(heard);
    let (_, by) = text.split_once(&format!("{}{}", nonce.as_str(), script::LOST))?;
    Some(by.trim().to_owned())
}

/// Sends all of the script and closes the input. `sent` stays false when the last byte was not taken.
async fn send(stdin: Option<ChildStdin>, text: &[u8], sent: &mut bool) -> std::io::Result<()> {
    if let Some(mut stdin) = stdin {
        // What the answers say counts more than why the input was not taken.
        *sent = stdin.write_all(text).await.is_ok() && stdin.flush().await.is_ok();
    }
    Ok(())
}
