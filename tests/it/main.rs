//! All integration tests, one binary.

mod books;
mod plan;
