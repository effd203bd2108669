//! The file of a server whose datastore is sqlite: as much of one as a copy of it is judged by.

/// Below the data directory.
pub const PATH: &str = "server/db/state.db";

/// An empty database of one page, as sqlite writes it: with a write-ahead log, changed once, in UTF-8.
#[must_use]
pub fn database() -> Vec<u8> {
    let mut page = b"SQLite format 3\0\x02\0\x02\x02\0\x40\x20\x20\0\0\0\x01\0\0\0\x01".to_vec();
    // The schema's format, the encoding, the change that the length belongs to, and then a leaf without a cell.
    for (at, byte) in [(47, 4), (59, 1), (95, 1), (100, 0x0d), (105, 2)] {
        page.resize(at, 0);
        page.push(byte);
    }
    page.resize(512, 0);
    page
}
