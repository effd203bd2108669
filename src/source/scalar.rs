//! A scalar: its text, and the type that YAML gives to it when it is written plainly.

use serde::de::{self, Deserializer, IntoDeserializer, Visitor};
use serde_yaml::Value;

/// A scalar as written.
#[derive(Clone, PartialEq, Eq)]
pub struct Scalar {
    /// The text, without quotes.
    pub text: String,
    /// Whether it stood without quotes, so that it may be a number, a boolean or null.
    pub plain: bool,
}

impl std::fmt::Debug for Scalar {
    // A scalar may be a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "<{} bytes>", self.text.len())
    }
}

impl Scalar {
    /// A text that stands without quotes.
    #[must_use]
    pub fn plain(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            plain: true,
        }
    }

    /// The typed value, by `serde_yaml`'s rules.
    #[must_use]
    pub fn resolve(&self) -> Value {
        let typed = self.plain
            && self.text.len() < 64
            && self
                .text
                .starts_with(|c: char| c.is_ascii_digit() || "+-.~nNtTfF".contains(c));
        let value = typed
            .then(|| serde_yaml::from_str(&self.text).ok())
            .flatten();
        match value {
            Some(value @ (Value::Null | Value::Bool(_) | Value::Number(_))) => value,
            _ if self.plain && self.text.is_empty() => Value::Null,
            _ => Value::String(self.text.clone()),
        }
    }

    /// Whether it is null.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.plain && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }

    /// What it is, for "found …".
    #[must_use]
    pub fn noun(&self) -> &'static str {
        match self.resolve() {
            Value::Null => "nothing",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            _ => "a text",
        }
    }

    /// Deserializes from a text that may stand for any type: `8080` is a text where a text is asked for, else a number.
    ///
    /// # Errors
    /// When neither the text nor what YAML makes of it fits.
    pub fn read_any<'de, T: de::Deserialize<'de>, E: de::Error>(text: &str) -> Result<T, E> {
        let quoted = Self {
            text: text.to_owned(),
            plain: false,
        };
        quoted.read().or_else(|_: E| Self::plain(text).read())
    }

    /// Deserializes from this scalar: a text wherever a text is asked for, else what YAML makes of it.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn read<'de, T: de::Deserialize<'de>, E: de::Error>(&self) -> Result<T, E> {
        T::deserialize(ScalarDeserializer {
            scalar: self,
            error: std::marker::PhantomData,
        })
    }
}

/// A scalar as a source of typed values.
pub(super) struct ScalarDeserializer<'a, E> {
    pub(super) scalar: &'a Scalar,
    pub(super) error: std::marker::PhantomData<E>,
}

impl<'de, E: de::Error> Deserializer<'de> for ScalarDeserializer<'_, E> {
    type Error = E;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        match self.scalar.resolve() {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::Number(number) => {
                if let Some(value) = number.as_u64() {
                    visitor.visit_u64(value)
                } else if let Some(value) = number.as_i64() {
                    visitor.visit_i64(value)
                } else {
                    visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN))
                }
            }
            _ => visitor.visit_str(&self.scalar.text),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        if self.scalar.is_null() {
            return visitor.visit_unit();
        }
        visitor.visit_str(&self.scalar.text)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, E> {
        if self.scalar.is_null() {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, E> {
        visitor.visit_enum(self.scalar.text.as_str().into_deserializer())
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, E> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct
        seq tuple tuple_struct map struct identifier ignored_any
    }
}
