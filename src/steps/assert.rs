//! `assert`: expressions that must be true, as Ansible's module of that name.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};

use super::{Proposal, StepError, Unmet};
use crate::facts::Probe;
use crate::template::evaluate;

/// `assert`
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assert {
    /// Jinja expressions, without braces: one, or a list.
    #[serde(deserialize_with = "one_or_many")]
    pub that: Vec<String>,
    /// Said when one is false.
    #[serde(default, alias = "msg")]
    pub fail_msg: Option<String>,
}

impl Assert {
    #[expect(clippy::unused_async, reason = "every step has this shape")]
    pub(super) async fn propose(&self, probe: &Probe<'_>) -> Result<Proposal, StepError> {
        let mut unmet = Vec::new();
        for expression in &self.that {
            if !evaluate(expression, probe.vars())? {
                let said = self.fail_msg.iter().map(|said| format!(": {said}"));
                let said: String = said.collect();
                let what = format!("`{expression}` is false on {}{said}", probe.host());
                let next =
                    "make it true, or take the assertion out; then run the same command again";
                unmet.push(Unmet::new("assertion-false", what, next));
            }
        }
        Ok(Proposal::refuse(unmet))
    }
}

fn one_or_many<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    struct OneOrMany;

    impl<'de> Visitor<'de> for OneOrMany {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an expression or a list of expressions")
        }

        fn visit_bool<E: de::Error>(self, value: bool) -> Result<Vec<String>, E> {
            Ok(vec![value.to_string()])
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<String>, E> {
            Ok(vec![text.to_owned()])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Vec<String>, A::Error> {
            Vec::deserialize(de::value::SeqAccessDeserializer::new(list))
        }
    }

    from.deserialize_any(OneOrMany)
}
