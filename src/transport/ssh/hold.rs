//! Keeps another keyroll away from a host, whichever workstation it runs on: a session holds a lock there. It lets go when
//! the run ends, dies, or was not heard of for a while, so that no lock is ever left behind.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{join_all, pending};
use openssh::{Child, ChildStdin, Session};
use tokio::io::AsyncWriteExt;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::link::Link;
use super::session::{self, Closed};
use super::{SshOptions, entry};
use crate::model::HostName;
use crate::transport::script::LOCK;
use crate::wire::{Become, TransportError};

/// A run lets itself be heard so often within a host's patience.
const BEATS: u32 = 4;

/// What a beat, or the answer of a host that is to be held, may take.
const ANSWER: Duration = Duration::from_secs(20);

/// Hosts that are held as long as this lives and is polled.
#[derive(Default)]
pub struct Holds<'a> {
    held: Vec<Hold<'a>>,
    every: Duration,
    /// Hosts that cannot be held, each with why. Those that were not reached are none of them: the run meets them again.
    pub free: Vec<(HostName, String)>,
}

impl Holds<'_> {
    /// Lets every host hear of this run, for ever.
    pub async fn keep(&mut self) -> Infallible {
        if self.held.is_empty() {
            return pending().await;
        }
        loop {
            // What was let go stays so: the host was cut off, and the others are still held.
            join_all(self.held.iter_mut().map(Hold::beat)).await;
            tokio::time::sleep(self.every).await;
        }
    }
}

/// Tries to hold all of these hosts.
///
/// # Errors
/// When another run holds one of them: then none is held.
pub(super) async fn hold<'a>(
    links: &[&'a Link],
    options: &SshOptions,
    pace: &Semaphore,
    words: &str,
) -> Result<Holds<'a>, Taken> {
    let words = &words.replace('\'', "");
    let claimed = |link: &'a Link| async move {
        let claim = claim(link, options, pace, words).await;
        (&link.host, claim)
    };
    // Of runs that begin at the same moment the one that holds the first is the first everywhere.
    let (first, rest) = links.split_at(links.len().min(1));
    let mut all = join_all(first.iter().copied().map(claimed)).await;
    if !matches!(all.first(), Some((_, Ok(Claim::Taken(_))))) {
        all.extend(join_all(rest.iter().copied().map(claimed)).await);
    }
    let mut holds = Holds {
        every: options.patience / BEATS,
        ..Holds::default()
    };
    for (host, claim) in all {
        match claim {
            Ok(Claim::Held(hold)) => holds.held.push(*hold),
            Ok(Claim::Taken(taken)) => return Err(taken),
            Ok(Claim::Free(why)) => holds.free.push((host.clone(), why)),
            Err(_) => {}
        }
    }
    Ok(holds)
}

/// A host's answer to one that wants to hold it.
enum Claim<'a> {
    /// It is held.
    Held(Box<Hold<'a>>),
    /// Another run holds it.
    Taken(Taken),
    /// It cannot be held: what is needed is missing there.
    Free(String),
}

/// A host that another run holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Which host.
    pub host: HostName,
    /// The words that the other run left.
    pub by: String,
}

/// A held host. It is let go when this is dropped.
struct Hold<'a> {
    _child: Child<Arc<Session>>,
    stdin: ChildStdin,
    _permit: Option<SemaphorePermit<'a>>,
}

impl Hold<'_> {
    /// Lets the host hear of this run.
    async fn beat(&mut self) {
        let beat = async {
            self.stdin.write_all(b".").await?;
            self.stdin.flush().await
        };
        // A host that is gone has let go.
        timeout(ANSWER, beat).await.ok();
    }
}

/// The shell's part. The lock is the kernel's: it ends with the last process that has the file open, and those that it
/// starts have not. One that was killed a moment ago needs another to let go.
fn script(nonce: &str, words: &str, patience: Duration) -> String {
    let patience = patience.as_secs();
    format!(
        "{{ say() {{ echo \"{nonce}:$1\"; exit; }}
command -v flock >/dev/null 2>&1 || say none
umask 077
! [ -L {LOCK} ] && : >>{LOCK} || say shut
exec 9>>{LOCK}
flock -n 9 || {{ sleep 2; flock -n 9; }} || {{ echo {nonce}:taken; head -c 300 {LOCK}; echo; exit; }}
printf '%s' '{words}' >{LOCK}
echo {nonce}:held
while [ \"$(timeout {patience} head -c 1 9>&-)\" ]; do :; done
exit; }} 2>/dev/null\n"
    )
}

/// The answer to the script, and what comes behind it.
fn answer(heard: &[u8], nonce: &str) -> (String, String) {
    let heard = String::from_utf8_lossy(heard);
    let (_, answer) = heard.split_once(&format!("{nonce}:")).unwrap_or_default();
    let (answer, words) = answer.split_once('\n').unwrap_or((answer, ""));
    let words = Some(words.trim()).filter(|words| !words.is_empty());
    let words = words.unwrap_or("one that has left no name");
    (answer.trim_end().to_owned(), words.to_owned())
}

/// Tries to hold a host.
///
/// # Errors
/// When it cannot be reached or its root not be become.
async fn claim<'a>(
    link: &'a Link,
    options: &SshOptions,
    pace: &Semaphore,
    words: &str,
) -> Result<Claim<'a>, TransportError> {
    let nonce = session::nonce(link)?;
    let nonce = nonce.as_str();
    let entry::Entered { mut talk, permit } =
        entry::enter(link, options, pace, &Become::Root).await?;
    let Some(mut stdin) = talk.stdin.take() else {
        return Err(link.not_started("the session has no input"));
    };
    let sent = async {
        stdin
            .write_all(script(nonce, words, options.patience).as_bytes())
            .await?;
        stdin.flush().await?;
        talk.out.until(format!("{nonce}:").as_bytes()).await?;
        talk.out.until(b"\n").await
    };
    if !matches!(timeout(ANSWER, sent).await, Ok(Ok(_))) {
        return Ok(Claim::Free("it does not answer".to_owned()));
    }
    match answer(talk.out.heard(), nonce).0.as_str() {
        "held" => {}
        "taken" => {
            // The words come right behind, and then the end.
            timeout(ANSWER, talk.out.until(b"\n")).await.ok();
            let host = link.host.clone();
            let by = answer(talk.out.heard(), nonce).1;
            return Ok(Claim::Taken(Taken { host, by }));
        }
        "none" => return Ok(Claim::Free("there is no flock".to_owned())),
        "shut" => return Ok(Claim::Free(format!("{LOCK} cannot be written there"))),
        _ => return Ok(Claim::Free("its shell does not answer".to_owned())),
    }
    // A host with one session alone needs it for the work.
    let master = link.master(options, pace, None).await?;
    let other = ["true".to_owned()];
    let other = session::open(&master.socket, &other, options.connect_timeout).await;
    if let Err(Closed::Busy(_)) = other {
        return Ok(Claim::Free("its sshd allows one session alone".to_owned()));
    }
    link.held.set(words.to_owned()).ok();
    Ok(Claim::Held(Box::new(Hold {
        _child: talk.child,
        stdin,
        _permit: permit,
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_told_from_what_comes_before_and_behind_it() {
        let heard = |text: &str| answer(text.as_bytes(), "NN");
        let nameless = "one that has left no name";
        assert_eq!(
            heard("motd\nGO-1\nNN:held\n"),
            ("held".into(), nameless.into())
        );
        assert_eq!(heard("NN:taken\nrun 1\n"), ("taken".into(), "run 1".into()));
        assert_eq!(
            heard("GO-1\nNN:taken\n\n"),
            ("taken".into(), nameless.into())
        );
        assert_eq!(heard("nothing").0, "");
    }

    #[test]
    fn no_words_end_the_script_s_quotes() {
        let text = script("NN", "run 1 (process 2 on ws)", Duration::from_secs(90));
        assert_eq!(text.matches('\'').count() % 2, 0);
        assert!(text.contains("timeout 90 head"));
    }
}
