//! An argument that is either a literal, checked when it is parsed, or an expression, checked when it is rendered.

use std::fmt;
use std::marker::PhantomData;

use minijinja::Value;
use minijinja::value::ValueKind;
use serde::de::{self, DeserializeOwned, Deserializer, Visitor};

use super::environment::OMIT;
use super::evaluate::render;
use super::{Vars, is_template};
use crate::source::{Misfit, Scalar};

/// A literal or an expression such as `{{ name | default('x') }}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Templated<T> {
    /// Known when the playbook was read.
    Literal(T),
    /// Rendered per host.
    Expression(String),
}

/// An expression that could not be rendered, or gave something that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{expression}`: {why}")]
pub struct TemplateError {
    /// As written.
    pub expression: String,
    /// What is wrong.
    pub why: String,
}

impl<T: Clone + DeserializeOwned> Templated<T> {
    /// The value on a host with these variables.
    ///
    /// # Errors
    /// When the expression names an unknown variable or gives a value that does not fit.
    pub fn render(&self, vars: &Vars) -> Result<T, TemplateError> {
        let omitted = |expression: &str| TemplateError {
            expression: expression.to_owned(),
            why: "`omit` leaves out an argument that is needed here".to_owned(),
        };
        match self {
            Self::Literal(value) => Ok(value.clone()),
            Self::Expression(text) => self.render_optional(vars)?.ok_or_else(|| omitted(text)),
        }
    }

    /// The value on a host, or `None` when the expression says `omit`: for arguments that may be left out.
    ///
    /// # Errors
    /// As [`Templated::render`].
    pub fn render_optional(&self, vars: &Vars) -> Result<Option<T>, TemplateError> {
        match self {
            Self::Literal(value) => Ok(Some(value.clone())),
            Self::Expression(expression) => {
                let value = render(expression, vars)?;
                let typed = typed(&value).map_err(|misfit| TemplateError {
                    expression: expression.clone(),
                    why: misfit.what,
                });
                if value.as_str() == Some(OMIT) {
                    Ok(None)
                } else {
                    typed.map(Some)
                }
            }
        }
    }
}

fn typed<T: DeserializeOwned>(value: &Value) -> Result<T, Misfit> {
    match value.kind() {
        ValueKind::Seq | ValueKind::Map | ValueKind::Iterable => {
            T::deserialize(value.clone()).map_err(de::Error::custom)
        }
        ValueKind::None => Err(de::Error::custom("it gives nothing (null)")),
        _ if value.to_string().contains(OMIT) && value.as_str() != Some(OMIT) => {
            Err(de::Error::custom("`omit` must stand alone"))
        }
        _ => Scalar::read_any(&value.to_string()),
    }
}

impl<'de, T: DeserializeOwned> serde::Deserialize<'de> for Templated<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Asking for a text keeps `1.10` and `010` as they were written.
        deserializer.deserialize_str(Either(PhantomData))
    }
}

struct Either<T>(PhantomData<T>);

impl<T: DeserializeOwned> Either<T> {
    fn read<E: de::Error>(text: &str) -> Result<Templated<T>, E> {
        if is_template(text) {
            return Ok(Templated::Expression(text.to_owned()));
        }
        Scalar::read_any(text).map(Templated::Literal)
    }
}

impl<T: DeserializeOwned> Visitor<'_> for Either<T> {
    type Value = Templated<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or an expression")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Self::read(text)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Self::Value, E> {
        Self::read(&value.to_string())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
        Self::read(&value.to_string())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self::Value, E> {
        Self::read(&value.to_string())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Self::Value, E> {
        Self::read(&value.to_string())
    }
}
