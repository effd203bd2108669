//! All integration tests, one binary.

mod architecture;
