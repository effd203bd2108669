//! Typed values out of a tree: every mistake knows the innermost value that it is about.

use std::fmt;
use std::sync::Arc;

use serde::de::{self, DeserializeSeed, Deserializer, Expected, Unexpected, Visitor};

use super::node::{Entry, Kind, Node};
use super::scalar::ScalarDeserializer;
use super::{SourceSpan, nearest};

/// A value that does not fit where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub help: Option<String>,
    /// Where, as exactly as is known.
    pub at: Option<SourceSpan>,
}

impl Misfit {
    fn at_or(mut self, at: SourceSpan) -> Self {
        self.at.get_or_insert(at);
        self
    }

    fn unfit(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let expected = plainly(&expected.to_string());
        Self {
            what: format!("found {}, expected {expected}", noun(found)),
            help: Some(format!("write {expected}")),
            at: None,
        }
    }

    fn unknown(kind: &str, name: &str, known: &'static [&'static str]) -> Self {
        let help = match (nearest(name, known.iter().copied()), known) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, []) => "none is known here".to_owned(),
            (None, known) => format!("known are {}", quoted(known)),
        };
        Self {
            what: format!("unknown {kind} `{name}`"),
            help: Some(help),
            at: None,
        }
    }
}

fn quoted(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Misfit {}

impl de::Error for Misfit {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self {
            what: message.to_string(),
            help: None,
            at: None,
        }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::unfit(found, expected)
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::unfit(found, expected)
    }

    fn unknown_field(name: &str, known: &'static [&'static str]) -> Self {
        Self::unknown("argument", name, known)
    }

    fn unknown_variant(name: &str, known: &'static [&'static str]) -> Self {
        Self::unknown("value", name, known)
    }

    fn missing_field(name: &'static str) -> Self {
        let mut misfit = Self::custom(format_args!("the argument `{name}` is missing"));
        misfit.help = Some(format!("add `{name}: …`"));
        misfit
    }
}

/// Serde's words for what it expects, as people say them.
fn plainly(expected: &str) -> String {
    match expected {
        "a sequence" => "a list".to_owned(),
        "a string" | "string" => "a text".to_owned(),
        "a borrowed string" | "any value" => "a value".to_owned(),
        "u8" => whole(u8::MAX),
        "u16" => whole(u16::MAX),
        "u32" => whole(u32::MAX),
        "u64" | "usize" => whole(u64::MAX),
        _ if expected.starts_with("struct ") => "a map of arguments".to_owned(),
        _ if expected.starts_with("enum ") => "one of its values".to_owned(),
        _ => expected.to_owned(),
    }
}

fn whole(most: impl Into<u64>) -> String {
    format!("a whole number up to {}", most.into())
}

/// Names a value without repeating it: it may be a secret.
fn noun(found: Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "a boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "a number",
        Unexpected::Unit | Unexpected::Option => "nothing",
        Unexpected::Seq => "a list",
        Unexpected::Map => "a map",
        _ => "a text",
    }
}

impl Node {
    fn scalar_or<'de, 'a, V: Visitor<'de>>(
        &'a self,
        visitor: V,
        read: impl FnOnce(ScalarDeserializer<'a, Misfit>, V) -> Result<V::Value, Misfit>,
    ) -> Result<V::Value, Misfit> {
        let read = match &self.kind {
            Kind::Scalar(scalar) => read(
                ScalarDeserializer {
                    scalar,
                    error: std::marker::PhantomData,
                },
                visitor,
            ),
            Kind::List(items) => visitor.visit_seq(Items(items.iter())),
            Kind::Map(entries) => visitor.visit_map(Entries(entries.iter(), None)),
        };
        read.map_err(|misfit| misfit.at_or(self.at))
    }
}

impl<'de> Deserializer<'de> for &Node {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.scalar_or(visitor, Deserializer::deserialize_any)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.scalar_or(visitor, Deserializer::deserialize_str)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        let read = if self.is_null() {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        };
        read.map_err(|misfit| misfit.at_or(self.at))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        self.scalar_or(visitor, |scalar, visitor| {
            scalar.deserialize_enum(name, variants, visitor)
        })
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        visitor
            .visit_newtype_struct(self)
            .map_err(|misfit| misfit.at_or(self.at))
    }

    /// A struct's arguments may be left out altogether: `k3s_restart:` is `k3s_restart: {}`.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        if self.is_null() {
            return visitor
                .visit_map(Entries([].iter(), None))
                .map_err(|misfit| misfit.at_or(self.at));
        }
        self.deserialize_any(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct
        seq tuple tuple_struct map identifier ignored_any
    }
}

struct Items<'a>(std::slice::Iter<'a, Arc<Node>>);

impl<'de> de::SeqAccess<'de> for Items<'_> {
    type Error = Misfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Misfit> {
        self.0
            .next()
            .map(|item| seed.deserialize(&**item))
            .transpose()
    }
}

struct Entries<'a>(std::slice::Iter<'a, Entry>, Option<&'a Entry>);

impl<'de> de::MapAccess<'de> for Entries<'_> {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Misfit> {
        self.1 = self.0.next();
        let Some(entry) = self.1 else { return Ok(None) };
        let key = de::value::StrDeserializer::<Misfit>::new(&entry.key);
        seed.deserialize(key)
            .map(Some)
            .map_err(|misfit| misfit.at_or(entry.at))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Misfit> {
        match self.1 {
            Some(entry) => seed.deserialize(&*entry.value),
            None => Err(de::Error::custom("a value without a key")),
        }
    }
}

#[cfg(test)]
mod tests;
