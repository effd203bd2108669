//! Facts together are a fact: one round trip.

use super::super::{Fact, FactError};
use crate::secret::Secret;
use crate::wire::{Query, Response};

macro_rules! tuple_fact {
    ($($fact:ident $at:tt),+) => {
        impl<$($fact: Fact),+> Fact for ($($fact,)+) {
            type Value = ($($fact::Value,)+);

            fn queries(&self) -> Vec<Query> {
                let mut all = Vec::new();
                $(all.extend(self.$at.queries());)+
                all
            }

            fn parse(&self, responses: &[Response]) -> Result<Self::Value, FactError> {
                let mut rest = responses;
                $(
                    let (mine, others) = rest.split_at(self.$at.queries().len().min(rest.len()));
                    rest = others;
                    #[expect(non_snake_case, reason = "one variable a type parameter")]
                    let $fact = self.$at.parse(mine)?;
                )+
                debug_assert!(rest.is_empty(), "each answer belongs to a question");
                Ok(($($fact,)+))
            }

            fn secrets(value: &Self::Value) -> Vec<Secret> {
                let mut all = Vec::new();
                $(all.extend($fact::secrets(&value.$at));)+
                all
            }
        }
    };
}

tuple_fact!(A 0, B 1);
tuple_fact!(A 0, B 1, C 2);
tuple_fact!(A 0, B 1, C 2, D 3);
tuple_fact!(A 0, B 1, C 2, D 3, E 4);

impl<F: Fact> Fact for Vec<F> {
    type Value = Vec<F::Value>;

    fn queries(&self) -> Vec<Query> {
        self.iter().flat_map(F::queries).collect()
    }

    fn parse(&self, responses: &[Response]) -> Result<Self::Value, FactError> {
        let mut rest = responses;
        let mut all = Vec::new();
        for fact in self {
            let (mine, others) = rest.split_at(fact.queries().len().min(rest.len()));
            rest = others;
            all.push(fact.parse(mine)?);
        }
        Ok(all)
    }

    fn secrets(value: &Self::Value) -> Vec<Secret> {
        value.iter().flat_map(F::secrets).collect()
    }
}

/// A fact beside others that may be had without it: what cannot be read of it is its own value.
#[derive(Debug, Clone)]
pub struct Tried<F>(pub F);

impl<F: Fact> Fact for Tried<F> {
    type Value = Result<F::Value, FactError>;

    fn queries(&self) -> Vec<Query> {
        self.0.queries()
    }

    fn parse(&self, responses: &[Response]) -> Result<Self::Value, FactError> {
        Ok(self.0.parse(responses))
    }

    fn secrets(value: &Self::Value) -> Vec<Secret> {
        value.as_ref().map(F::secrets).unwrap_or_default()
    }
}
