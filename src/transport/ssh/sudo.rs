//! The talk with sudo before a script may be sent.
//!
//! A password is sent only to a prompt, else it would be run as a command; the script only after GO, else sudo
//! would take it for passwords.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use zeroize::Zeroizing;

use super::hearing::{Came, Hearing};
use crate::secret::Secret;

/// The two words of one talk.
pub(super) struct Words {
    /// sudo's prompt.
    pub(super) prompt: String,
    /// What the shell says once it runs as the other user.
    pub(super) go: String,
}

/// Why there was no GO.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// sudo wants a password, and there is none.
    NoPassword,
    /// sudo asked a second time.
    WrongPassword,
    /// sudo ended.
    Ended,
    /// sudo waits for something else.
    Silence,
}

impl Words {
    /// The arguments of `sudo`.
    pub(super) fn argv(&self, user: Option<&str>) -> Vec<String> {
        let mut argv = vec!["-S".to_owned(), "-p".to_owned(), self.prompt.clone()];
        if let Some(user) = user {
            argv.extend(["-H".to_owned(), "-u".to_owned(), user.to_owned()]);
        }
        let shell = format!("echo {}; exec sh", self.go);
        argv.extend(["--", "sh", "-c", &shell].map(String::from));
        argv
    }
}

/// Waits for GO, and answers one prompt.
pub(super) async fn talk<W, O, E>(
    stdin: &mut W,
    out: &mut Hearing<O>,
    err: &mut Hearing<E>,
    words: &Words,
    password: Option<&Secret>,
) -> Result<(), Refusal>
where
    W: AsyncWrite + Unpin,
    O: AsyncRead + Unpin,
    E: AsyncRead + Unpin,
{
    let go = format!("{}\n", words.go);
    let mut asked = false;
    let mut err_open = true;
    loop {
        tokio::select! {
            came = out.until(go.as_bytes()) => {
                if matches!(came, Ok(Came::Word)) {
                    return Ok(());
                }
                // What it said last is read for the reason.
                let rest = err.until(words.prompt.as_bytes());
                tokio::time::timeout(Duration::from_secs(2), rest).await.ok();
                return Err(Refusal::Ended);
            }
            came = err.until(words.prompt.as_bytes()), if err_open => match came {
                Ok(Came::Word) if asked => return Err(Refusal::WrongPassword),
                Ok(Came::Word) => {
                    asked = true;
                    let password = password.ok_or(Refusal::NoPassword)?;
                    let line = Zeroizing::new(format!("{}\n", password.expose()));
                    stdin.write_all(line.as_bytes()).await.map_err(|_| Refusal::Ended)?;
                    stdin.flush().await.map_err(|_| Refusal::Ended)?;
                }
                Ok(Came::End) | Err(_) => err_open = false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words() -> Words {
        Words {
            prompt: "PROMPT-1".to_owned(),
            go: "GO-1".to_owned(),
        }
    }

    async fn hear(
        out: &[u8],
        err: &[u8],
        password: Option<&str>,
    ) -> (Result<(), Refusal>, Vec<u8>) {
        let password = password.map(Secret::new);
        let mut stdin = Vec::new();
        let (mut out, mut err) = (Hearing::new(out), Hearing::new(err));
        let end = talk(&mut stdin, &mut out, &mut err, &words(), password.as_ref()).await;
        (end, stdin)
    }

    #[tokio::test]
    async fn without_a_prompt_the_password_is_not_sent() {
        let (end, sent) = hear(b"motd\nGO-1\n", b"", Some("pw")).await;
        assert_eq!((end, sent), (Ok(()), Vec::new()));
    }

    #[tokio::test]
    async fn a_second_prompt_ends_the_talk() {
        let (client, server) = tokio::io::duplex(64);
        let (mut stdin, mut out) = (Vec::new(), Hearing::new(client));
        let mut err = Hearing::new(&b"lecture PROMPT-1Sorry, try again.\nPROMPT-1"[..]);
        let password = Secret::new("pw");
        let end = talk(&mut stdin, &mut out, &mut err, &words(), Some(&password)).await;
        drop(server);
        assert_eq!(
            (end, stdin),
            (Err(Refusal::WrongPassword), b"pw\n".to_vec())
        );
    }

    #[tokio::test]
    async fn a_prompt_without_a_password_and_an_end_are_told_apart() {
        let (client, server) = tokio::io::duplex(64);
        let mut err = Hearing::new(&b"PROMPT-1"[..]);
        let end = talk(
            &mut Vec::new(),
            &mut Hearing::new(client),
            &mut err,
            &words(),
            None,
        )
        .await;
        drop(server);
        assert_eq!(end, Err(Refusal::NoPassword));
        assert_eq!(
            hear(b"", b"not in the sudoers file", None).await.0,
            Err(Refusal::Ended)
        );
    }

    #[test]
    fn the_other_user_is_an_argument_of_its_own() {
        let argv = words().argv(Some("k3s"));
        assert_eq!(
            argv.join(" "),
            "-S -p PROMPT-1 -H -u k3s -- sh -c echo GO-1; exec sh"
        );
    }
}
