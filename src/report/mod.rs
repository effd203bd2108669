//! What people and machines see of a run: readers of events, and the only code that writes to a terminal.
//!
//! Results go to stdout, talk to stderr. Nothing is animated unless stderr is a terminal.

mod bars;
mod brief;
mod json;
mod lines;
mod paint;
mod place;
mod summary;
mod tasks;
mod writer;

pub use brief::Brief;
pub use json::Json;
pub use lines::Lines;
pub use paint::Paint;
pub use place::{Holder, Holds, Outcome, PlaceRow, Places, STEADY, Said};
pub use writer::Writer;

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Verbosity {
    /// Changes, failures, notes and gates.
    #[default]
    Usual,
    /// Each task and operation too.
    Each,
}

impl Verbosity {
    /// From the number of `-v`.
    #[must_use]
    pub fn of(count: u8) -> Self {
        if count == 0 { Self::Usual } else { Self::Each }
    }
}
