//! Listens to one stream until a word comes.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};
use zeroize::Zeroizing;

use crate::transport::script::find;

/// A stream that says more than this is not listened to any longer: it would fill our memory.
const MOST: usize = 64 << 20;

/// How a wait for a word ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Came {
    /// The word came.
    Word,
    /// The stream ended without it.
    End,
}

/// A stream and all that it said so far, which may hold secrets.
pub(super) struct Hearing<R> {
    stream: R,
    heard: Zeroizing<Vec<u8>>,
    searched: usize,
}

impl<R: AsyncRead + Unpin> Hearing<R> {
    pub(super) fn new(stream: R) -> Self {
        Self {
            stream,
            heard: Zeroizing::new(Vec::with_capacity(16 << 10)),
            searched: 0,
        }
    }

    /// All that was said.
    pub(super) fn heard(&self) -> &[u8] {
        &self.heard
    }

    /// Whether the stream said more than we keep.
    pub(super) fn is_full(&self) -> bool {
        self.heard.len() >= MOST
    }

    /// Reads until `word` comes; a second call looks for the next one. May be dropped and called again.
    pub(super) async fn until(&mut self, word: &[u8]) -> io::Result<Came> {
        loop {
            let fresh = self.heard.get(self.searched..).unwrap_or_default();
            if let Some(at) = find(fresh, word) {
                self.searched += at + word.len();
                return Ok(Came::Word);
            }
            // A word may have come in half.
            let tail = self.heard.len().saturating_sub(word.len());
            self.searched = self.searched.max(tail);
            if self.is_full() {
                return Err(io::Error::from(io::ErrorKind::FileTooLarge));
            }
            self.heard.reserve(16 << 10);
            if self.stream.read_buf(&mut *self.heard).await? == 0 {
                return Ok(Came::End);
            }
        }
    }

    /// The end of what was said, as text for people.
    pub(super) fn tail(&self) -> String {
        let from = self.heard.len().saturating_sub(400);
        let text = String::from_utf8_lossy(self.heard.get(from..).unwrap_or_default());
        text.trim().replace('\n', "; ").replace('\r', "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_word_is_found_across_reads_and_each_only_once() {
        let stream = in_chunks(&[b"aaGO-", b"1GO-1b"]);
        let mut hearing = Hearing::new(stream);
        assert_eq!(hearing.until(b"GO-1").await.unwrap(), Came::Word);
        assert_eq!(hearing.until(b"GO-1").await.unwrap(), Came::Word);
        assert_eq!(hearing.until(b"GO-1").await.unwrap(), Came::End);
        assert_eq!(hearing.heard(), b"aaGO-1GO-1b");
    }

    #[tokio::test]
    async fn a_stream_without_end_is_left() {
        let mut hearing = Hearing::new(tokio::io::repeat(b'y'));
        assert!(hearing.until(b"GO").await.is_err());
        assert!(hearing.is_full());
    }

    fn in_chunks(chunks: &[&'static [u8]]) -> impl AsyncRead + Unpin {
        let [first, second] = chunks else {
            panic!("two chunks");
        };
        first.chain(*second)
    }
}
