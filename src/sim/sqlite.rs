//! The file of a server whose datastore is sqlite: as much of one as a copy of it is judged by.

/// Below the data directory.
pub const PATH: &str = "server/db/state.db";

/// A database of one page, as sqlite writes it.
#[must_use]
pub fn database() -> Vec<u8> {
    let mut page = b"SQLite format 3\0\x02\0\x02\x02\0\x40\x20\x20\0\0\0\x01\0\0\0\x01".to_vec();
    page.resize(95, 0);
    page.push(1);
    page.resize(512, 0);
    page
}
