//! A batch as one POSIX-sh script, and its framed output as responses. Pure: see docs/wire.md.
//!
//! The closing brace is the script's last byte, and `sh` reads a compound command whole before it runs any of it:
//! a script that was cut anywhere has changed nothing.

mod answer;
mod quote;
mod request;
#[cfg(test)]
mod tests;

use std::time::Duration;

use zeroize::Zeroizing;

pub(in crate::transport) use answer::find;
pub use answer::{Heard, read};

use crate::wire::{Batch, Become};

const PRELUDE: &str = include_str!("script/prelude.sh");

/// What in root's environment would make k3s or kubectl talk to another cluster than the host's own is taken out, and
/// kubectl keeps no cache, since a look leaves nothing behind.
const SURROUNDINGS: &[u8] =
    b"unset KUBECONFIG K3S_TOKEN K3S_TOKEN_FILE K3S_AGENT_TOKEN K3S_AGENT_TOKEN_FILE K3S_URL K3S_CONFIG_FILE K3S_DATA_DIR
KUBECACHEDIR=/dev/null
export KUBECACHEDIR
";

/// Bytes a second that a slow line carries.
const SLOW_LINE: usize = 32 << 10;

/// A random text that no output can contain by accident: hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nonce(String);

impl Nonce {
    /// A nonce of these random bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(format!("{:032x}", u128::from_be_bytes(bytes)))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What `sh` reads on its standard input, and how long it may take.
pub struct Script {
    /// The text, to be sent to its last byte. Holds secrets.
    pub text: Zeroizing<Vec<u8>>,
    /// The sum of what the requests may take on the host, and of the time to send them.
    pub deadline: Duration,
    /// Whether it carries content that may be secret, so that a shell's complaint about it must not be repeated.
    pub confidential: bool,
}

/// The file with the lock of a run, and its words.
pub(in crate::transport) const LOCK: &str = "/run/keyroll.lock";

/// What a script prints after its nonce when another run has taken the lock, before that run's words.
pub(in crate::transport) const LOST: &str = ":lost\n";

/// A lock that was let go, and that nobody has taken, is no reason to stop.
fn still_held(words: &str) -> String {
    format!(
        "case $(head -c 300 {LOCK} 2>/dev/null) in '' | '{words}') ;; *) echo $N:lost; head -c 300 {LOCK}; exit ;; esac\n"
    )
}

/// Renders a batch. With `held`, the words that this run has left on a host that it holds, the script does nothing when
/// another run has left others there since.
#[must_use]
pub fn render(batch: &Batch, nonce: &Nonce, held: Option<&str>) -> Script {
    let contents = || batch.requests.iter().flat_map(request::contents);
    let carried: usize = contents()
        .map(|content| quote::printed_len(content.bytes()))
        .sum();
    // Reserved at once, so that growing leaves no copy of a secret behind.
    let mut text = Zeroizing::new(Vec::with_capacity(carried + (16 << 10)));
    text.extend_from_slice(b"{ N=");
    text.extend_from_slice(nonce.as_str().as_bytes());
    text.push(b'\n');
    if let Some(words) = held {
        text.extend_from_slice(still_held(words).as_bytes());
    }
    text.extend_from_slice(PRELUDE.as_bytes());
    if batch.r#become == Become::Root {
        text.extend_from_slice(SURROUNDINGS);
    }
    for (at, request) in batch.requests.iter().enumerate() {
        request::append(&mut text, at, request, nonce.as_str());
    }
    text.extend_from_slice(b"e\n}");
    let work: Duration = batch.requests.iter().map(request::deadline).sum();
    let sending = Duration::from_secs(u64::try_from(text.len() / SLOW_LINE).unwrap_or(u64::MAX));
    Script {
        text,
        deadline: work.saturating_add(sending),
        confidential: contents().next().is_some(),
    }
}
