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
tuple_fact!(A 0, B 1, C 2, D 3, E 4);
