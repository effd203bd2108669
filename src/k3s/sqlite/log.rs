//! Whether every frame of a write-ahead log is as sqlite wrote it, up to its last commit. Pure.
//!
//! sqlite itself takes a frame that does not fit for the end of the log, and silently forgets all transactions from there
//! on. What it leaves behind the last commit is normal: frames of the log before this one, which have other salts, and
//! frames of a transaction that was never committed, of which none is marked as a commit.

use super::{be, checksum};

const HEAD: usize = 32;
const FRAME: usize = 24;

/// A log that comes piece by piece.
#[derive(Debug, Default)]
pub struct Log {
    /// What is not judged yet.
    rest: Vec<u8>,
    frames: Option<Frames>,
}

/// What is known after the head.
#[derive(Debug)]
struct Frames {
    page: usize,
    is_big: bool,
    salts: Vec<u8>,
    /// Of all frames so far.
    sums: (u32, u32),
    count: u64,
    /// The first that does not fit, and why.
    odd: Option<String>,
}

/// What a log's first bytes say.
pub(super) struct Head {
    pub(super) page: u64,
    is_big: bool,
    sums: (u32, u32),
}

impl Head {
    /// Reads it.
    ///
    /// # Errors
    /// When it is not as sqlite writes it.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        let word = |at: usize| {
            be(bytes, at, 4).ok_or_else(|| "the log is cut off in its header".to_owned())
        };
        let is_big = match word(0)? {
            0x377f_0682 => false,
            0x377f_0683 => true,
            _ => return Err("the log does not begin as sqlite's do".to_owned()),
        };
        let sums = checksum((0, 0), bytes.get(..24).unwrap_or_default(), is_big);
        if (u64::from(sums.0), u64::from(sums.1)) != (word(24)?, word(28)?) {
            return Err("the log's header does not have its checksum".to_owned());
        }
        let page = word(8)?;
        Ok(Self { page, is_big, sums })
    }
}

impl Log {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// As soon as something of a committed transaction is not as it was written.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.rest.extend_from_slice(bytes);
        if self.frames.is_none() {
            let Some(head) = self.rest.get(..HEAD) else {
                return Ok(());
            };
            self.frames = Some(Frames::of(head)?);
            self.rest.drain(..HEAD);
        }
        let Some(frames) = &mut self.frames else {
            return Ok(());
        };
        let whole = self.rest.chunks_exact(FRAME + frames.page);
        let left = whole.remainder().len();
        for frame in whole {
            frames.take(frame)?;
        }
        self.rest.drain(..self.rest.len() - left);
        Ok(())
    }

    /// No more bytes come; a log without any is fine, and so is one that ends within a frame, which is no commit yet.
    ///
    /// # Errors
    /// When it ends within its head.
    pub fn end(self) -> Result<(), String> {
        if self.frames.is_none() && !self.rest.is_empty() {
            return Err("the log is cut off in its header".to_owned());
        }
        Ok(())
    }
}

impl Frames {
    fn of(head: &[u8]) -> Result<Self, String> {
        let read = Head::read(head)?;
        let page = usize::try_from(read.page).unwrap_or_default();
        if !(512..=65_536).contains(&page) || !page.is_power_of_two() {
            return Err(format!("the log names no possible page size: {page}"));
        }
        Ok(Self {
            page,
            is_big: read.is_big,
            salts: head.get(16..24).unwrap_or_default().to_vec(),
            sums: read.sums,
            count: 0,
            odd: None,
        })
    }

    fn take(&mut self, frame: &[u8]) -> Result<(), String> {
        self.count += 1;
        let number = self.count;
        let (head, page) = frame.split_at_checked(FRAME).unwrap_or_default();
        let is_own = head.get(8..16) == Some(&self.salts);
        let is_commit = is_own && be(head, 4, 4) != Some(0);
        if self.odd.is_none() {
            let named = head.get(..8).unwrap_or_default();
            let stored = (be(head, 16, 4), be(head, 20, 4));
            let fits = |named: &[u8]| {
                let sums = checksum(self.sums, named, self.is_big);
                let sums = checksum(sums, page, self.is_big);
                ((Some(sums.0.into()), Some(sums.1.into())) == stored).then_some(sums)
            };
            self.odd = match (is_own, fits(named)) {
                (true, Some(sums)) => {
                    self.sums = sums;
                    None
                }
                (false, Some(_)) => {
                    return Err(format!(
                        "frame {number} of the log has the checksum of this log and the salt of another"
                    ));
                }
                (true, None) if !is_commit && lost_commit(named, fits) => {
                    return Err(format!(
                        "frame {number} of the log was a commit and says that it is none"
                    ));
                }
                (true, None) => Some(format!(
                    "frame {number} of the log does not have its checksum"
                )),
                (false, None) => Some(format!("frame {number} of the log is of another")),
            };
        }
        match &self.odd {
            Some(odd) if is_commit => Err(format!("{odd}, and frame {number} is a commit")),
            _ => Ok(()),
        }
    }
}

/// Whether a frame would fit if one byte of the size that makes it a commit were another.
fn lost_commit(named: &[u8], fits: impl Fn(&[u8]) -> Option<(u32, u32)>) -> bool {
    let with = |at: usize, byte: u8| {
        let mut named = named.to_vec();
        if let Some(place) = named.get_mut(at) {
            *place = byte;
        }
        fits(&named).is_some()
    };
    (4..8).any(|at| (1..=u8::MAX).any(|byte| with(at, byte)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// sqlite's own: seven frames with two commits, and behind them what a longer log before it left.
    const REAL: &[u8] = include_bytes!("../../../tests/facts/state.db-wal");
    const EACH: usize = FRAME + 512;
    const COMMITTED: usize = HEAD + 7 * EACH;

    fn judged(bytes: &[u8], piece: usize) -> Result<(), String> {
        let mut log = Log::default();
        for piece in bytes.chunks(piece) {
            log.append(piece)?;
        }
        log.end()
    }

    #[test]
    fn a_real_log_is_whole_and_so_is_one_without_bytes() {
        assert_eq!(judged(REAL, 1000), Ok(()));
        assert_eq!(judged(REAL, 1), Ok(()));
        assert_eq!(judged(b"", 1), Ok(()));
    }

    #[test]
    fn what_comes_after_the_last_commit_is_normal() {
        let mut torn = REAL[..COMMITTED].to_vec();
        assert_eq!(judged(&torn, 999), Ok(()));
        // The first two frames of a transaction, of which the second was not written to its end.
        torn.extend(&REAL[HEAD..HEAD + EACH + 100]);
        assert_eq!(judged(&torn, 999), Ok(()));
        torn.extend(&[0; 5000]);
        assert_eq!(judged(&torn, 999), Ok(()));
    }

    #[test]
    fn a_commit_behind_a_damaged_frame_is_lost_and_said() {
        let mut bent = REAL.to_vec();
        bent[HEAD + 3 * EACH + 100] ^= 1;
        let said = judged(&bent, 700).unwrap_err();
        assert_eq!(
            said,
            "frame 4 of the log does not have its checksum, and frame 7 is a commit"
        );
        bent[HEAD + 3 * EACH + 100] ^= 1;
        bent[HEAD + 6 * EACH + 9] ^= 1;
        let said = judged(&bent, 700).unwrap_err();
        assert!(said.ends_with("and the salt of another"), "{said}");
        bent[HEAD + 6 * EACH + 9] ^= 1;
        bent[HEAD + 6 * EACH + 7] = 0;
        let said = judged(&bent, 700).unwrap_err();
        assert_eq!(
            said,
            "frame 7 of the log was a commit and says that it is none"
        );
    }

    #[test]
    fn a_whole_page_of_zeroes_is_told() {
        let mut bent = REAL.to_vec();
        bent[HEAD + EACH..HEAD + 2 * EACH].fill(0);
        let said = judged(&bent, 700).unwrap_err();
        assert_eq!(
            said,
            "frame 2 of the log is of another, and frame 3 is a commit"
        );
        assert!(judged(&REAL[..20], 7).unwrap_err().contains("cut off"));
    }

    proptest! {
        #[test]
        fn any_byte_of_a_committed_frame_that_is_another_is_found(at in 0..COMMITTED, other in 1..=u8::MAX) {
            let mut bent = REAL.to_vec();
            bent[at] ^= other;
            prop_assert!(judged(&bent, 4096).is_err(), "byte {at}");
        }

        #[test]
        fn no_byte_behind_the_last_commit_matters(at in COMMITTED..REAL.len(), other in 1..=u8::MAX) {
            let mut bent = REAL.to_vec();
            bent[at] ^= other;
            prop_assert_eq!(judged(&bent, 4096), Ok(()));
        }

        #[test]
        fn fuzz_any_bytes_are_judged(
            head in 0..=HEAD,
            bytes in proptest::collection::vec(any::<u8>(), 0..3000),
            piece in 1..2000_usize,
        ) {
            // Both ends are answers.
            judged(&[&REAL[..head], &bytes].concat(), piece).ok();
        }
    }
}
