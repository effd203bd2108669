//! Jinja expressions over a host's variables, as Ansible users write them. An unknown variable is an error.

mod environment;
mod evaluate;
mod filters;
mod scope;
mod templated;
#[cfg(test)]
mod tests;

pub use evaluate::{evaluate, render_text};
pub use scope::LazyVars;
pub use templated::{TemplateError, Templated};

/// A host's variables, ready for templates. A text among them may itself be a template: it is rendered when it is used.
pub type Vars = std::sync::Arc<std::collections::BTreeMap<String, minijinja::Value>>;

/// Whether a text holds an expression or a statement.
#[must_use]
pub fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("{#")
}

/// Checks the grammar of a template.
///
/// # Errors
/// When it is not one.
pub fn check_template(text: &str) -> Result<(), SyntaxError> {
    let checked = environment::shared().template_from_str(text);
    checked.map(drop).map_err(|error| SyntaxError::of(&error))
}

/// Checks the grammar of an expression, as `when` has it.
///
/// # Errors
/// When it is not one.
pub fn check_expression(text: &str) -> Result<(), SyntaxError> {
    let checked = environment::shared().compile_expression(text);
    checked.map(drop).map_err(|error| SyntaxError::of(&error))
}

/// Where and why a template has no meaning.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct SyntaxError {
    /// What is wrong.
    pub why: String,
    /// Bytes of the template that it is about, when they are known.
    pub range: Option<std::ops::Range<usize>>,
}

impl SyntaxError {
    fn of(error: &minijinja::Error) -> Self {
        Self {
            why: error
                .detail()
                .map_or_else(|| error.kind().to_string(), str::to_owned),
            range: error.range(),
        }
    }
}
