//! An argument that is either a literal, checked when it is parsed, or an expression, checked when it is rendered.

use serde::de::DeserializeOwned;

use super::Vars;

/// A literal or an expression such as `{{ name | default('x') }}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Templated<T> {
    /// Known when the playbook was read.
    Literal(T),
    /// Rendered per host.
    Expression(String),
}

/// An expression that could not be rendered, or gave something that does not fit.
#[derive(Debug, Clone, thiserror::Error)]
#[error("`{expression}`: {why}")]
pub struct TemplateError {
    /// As written.
    pub expression: String,
    /// What is wrong.
    pub why: String,
}

impl<T: Clone + DeserializeOwned> Templated<T> {
    /// The value on a host with these variables, or `None` when it renders to `omit`.
    ///
    /// # Errors
    /// As for [`Templated::render`].
    pub fn render_optional(&self, vars: &Vars) -> Result<Option<T>, TemplateError> {
        self.render(vars).map(Some)
    }

    /// The value on a host with these variables.
    ///
    /// # Errors
    /// When the expression names an unknown variable or gives a value that does not fit.
    pub fn render(&self, vars: &Vars) -> Result<T, TemplateError> {
        let _ = vars;
        match self {
            Self::Literal(value) => Ok(value.clone()),
            Self::Expression(expression) => Err(TemplateError {
                expression: expression.clone(),
                why: "not rendered yet".to_owned(),
            }),
        }
    }
}

impl<'de, T: DeserializeOwned> serde::Deserialize<'de> for Templated<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self::Literal)
    }
}
