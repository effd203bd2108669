//! Text with positions: where a mistake is, and all mistakes of a file at once.
//!
//! YAML's syntax and positions come from `saphyr-parser`, the types of plain scalars and everything typed from
//! serde: one tree serves both, so a mistake found by any `Deserialize` knows its exact place, also behind an alias.

mod duration;
mod fit;
mod mask;
mod near;
mod node;
mod offsets;
mod problem;
mod read;
mod render;
mod scalar;
mod yaml;

pub use duration::duration;
pub use fit::Misfit;
pub use mask::{cover, is_secret_name, mask};
pub use miette::SourceSpan;
pub use near::nearest;
pub use node::{Entry, Kind, Node};
pub use problem::{Problem, Problems, Severity};
pub use read::{Source, read_file};
pub use render::Look;
pub use scalar::Scalar;
pub use yaml::{tree, tree_with_vault};

/// A text and the name people know it by. Values of secret keys in it are masked.
pub type SourceText = std::sync::Arc<miette::NamedSource<String>>;
