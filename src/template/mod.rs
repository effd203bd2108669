//! Jinja expressions over a host's variables.

mod templated;

pub use templated::{TemplateError, Templated};

/// A host's variables, ready for templates.
pub type Vars = std::sync::Arc<std::collections::BTreeMap<String, minijinja::Value>>;
