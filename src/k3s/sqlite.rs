//! What an sqlite database and its log tell: whether a copy can be whole. Pure.
//!
//! After the file format at <https://sqlite.org/fileformat2.html>.

mod log;

pub use log::Log;

/// Bytes of each file that are looked at.
pub const HEAD: usize = 512;

const MAGIC: &[u8] = b"SQLite format 3\0";

/// What is looked at of one file.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// Its first bytes, at most [`HEAD`].
    pub bytes: &'a [u8],
    /// Its length.
    pub len: u64,
}

/// Whether a database with its log can be whole.
///
/// # Errors
/// With what is wrong.
pub fn judge(database: Head<'_>, log: Head<'_>) -> Result<(), String> {
    if !database.bytes.starts_with(MAGIC) {
        return Err("the database does not begin as sqlite's do".to_owned());
    }
    let page = match be(database.bytes, 16, 2) {
        Some(1) => 65_536,
        Some(size) if size >= 512 && size.is_power_of_two() => size,
        size => {
            return Err(format!(
                "the database names no possible page size: {size:?}"
            ));
        }
    };
    let len = database.len;
    if len == 0 || !len.is_multiple_of(page) {
        return Err(format!(
            "the database has {len} bytes, which is no whole number of pages of {page}"
        ));
    }
    // The count is valid only when it was written with the last change; a log that is not folded in wholly may leave
    // more pages than it counts, never fewer.
    let counted = be(database.bytes, 28, 4).unwrap_or_default();
    let is_counted = be(database.bytes, 24, 4) == be(database.bytes, 92, 4);
    if is_counted && counted * page > len {
        return Err(format!(
            "the database counts {counted} pages of {page}, and has {len} bytes"
        ));
    }
    judge_log(log, page)
}

/// The log's header and its checksum; its frames are judged where all of it is read ([`Log`]).
fn judge_log(log: Head<'_>, page: u64) -> Result<(), String> {
    if log.len == 0 {
        return Ok(());
    }
    let head = log::Head::read(log.bytes)?;
    if head.page != page {
        return Err(format!(
            "the log has pages of {}, the database of {page}",
            head.page
        ));
    }
    // A log that was begun anew may hold frames of the one before, and none of its own.
    Ok(())
}

fn be(bytes: &[u8], at: usize, len: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(len)?)?;
    Some(
        bytes
            .iter()
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
    )
}

/// sqlite's running sums over pairs of words, from what they were before.
fn checksum(before: (u32, u32), bytes: &[u8], big: bool) -> (u32, u32) {
    let word = |word: &[u8]| {
        let bytes = <[u8; 4]>::try_from(word).unwrap_or_default();
        if big {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        }
    };
    let (mut first, mut second) = before;
    for pair in bytes.chunks_exact(8) {
        let (left, right) = pair.split_at(4);
        first = first.wrapping_add(word(left)).wrapping_add(second);
        second = second.wrapping_add(word(right)).wrapping_add(first);
    }
    (first, second)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(pages: u8) -> Vec<u8> {
        let mut bytes = vec![0; 512 * usize::from(pages)];
        bytes[..16].copy_from_slice(MAGIC);
        bytes[16] = 2;
        (bytes[27], bytes[31], bytes[95]) = (9, pages, 9);
        bytes
    }

    fn log(big: bool) -> Vec<u8> {
        let mut bytes = vec![0; 32];
        bytes[..4].copy_from_slice(&(0x377f_0682_u32 + u32::from(big)).to_be_bytes());
        bytes[4..8].copy_from_slice(&3_007_000_u32.to_be_bytes());
        bytes[10] = 2;
        bytes[16..24].copy_from_slice(b"saltsalt");
        let (first, second) = checksum((0, 0), &bytes[..24], big);
        bytes[24..28].copy_from_slice(&first.to_be_bytes());
        bytes[28..32].copy_from_slice(&second.to_be_bytes());
        bytes
    }

    fn judged(database: &[u8], log: &[u8]) -> Result<(), String> {
        let head = |bytes| Head {
            bytes,
            len: u64::try_from(<[u8]>::len(bytes)).unwrap(),
        };
        judge(head(database), head(log))
    }

    #[test]
    fn a_whole_copy_is_fine_with_and_without_a_log() {
        assert_eq!(judged(&database(3), b""), Ok(()));
        assert_eq!(judged(&database(3), &log(false)), Ok(()));
        assert_eq!(judged(&database(3), &log(true)), Ok(()));
    }

    #[test]
    fn a_cut_or_foreign_file_is_told() {
        let says = |database: &[u8], log: &[u8]| judged(database, log).unwrap_err();
        assert!(says(b"", b"").contains("does not begin"));
        assert!(says(&database(3)[..1100], b"").contains("no whole number of pages"));
        assert!(says(&database(3)[..1024], b"").contains("counts 3 pages"));
        let mut odd = database(1);
        odd[16] = 3;
        assert!(says(&odd, b"").contains("page size"));
        assert!(says(&database(1), &log(true)[..20]).contains("cut off"));
        assert!(says(&database(1), &[1; 32]).contains("log does not begin"));
        let mut bent = log(true);
        bent[17] ^= 1;
        assert!(says(&database(1), &bent).contains("checksum"));
        let mut other = log(true);
        other[10] = 4;
        let sums = checksum((0, 0), &other[..24], true);
        other[24..28].copy_from_slice(&sums.0.to_be_bytes());
        other[28..32].copy_from_slice(&sums.1.to_be_bytes());
        assert!(says(&database(1), &other).contains("pages of 1024"));
    }

    #[test]
    fn a_database_that_is_longer_than_it_counts_is_fine() {
        let mut long = database(2);
        long.resize(512 * 4, 0);
        assert_eq!(judged(&long, b""), Ok(()));
    }
}
