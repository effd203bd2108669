//! Join tokens that are to be there no more: nobody can join a node with them from then on, and nodes that have joined
//! stay (k3s: their certificates let them in).

use super::{Place, Which};
use crate::facts::JoinToken;
use crate::op::Op;
use crate::steps::{Proposal, StepError};

impl Place<'_> {
    pub(super) fn absent(&self, which: &Which) -> Result<Proposal, StepError> {
        let vars = self.probe.vars();
        let mut none = None;
        let ops = match which {
            Which::Id(id) => {
                let id = id.render(vars)?.0;
                self.revoke_all(|token| token.id == id)
            }
            Which::Description(words) => {
                let words = words.render(vars)?.0;
                let ops = self.revoke_all(|token| token.description == words);
                none = Some(format!(
                    "there is no join token for \"{words}\": none was revoked; `state: listed` says which there are"
                ));
                ops
            }
            Which::Expired => self.revoke_all(|token| !token.lives(self.now)),
        };
        let notes = none.filter(|_| ops.is_empty()).into_iter().collect();
        Ok(Proposal {
            notes,
            ..Proposal::of(ops)
        })
    }

    fn revoke_all(&self, which: impl Fn(&JoinToken) -> bool) -> Vec<Op> {
        let found = self.tokens.iter().filter(|token| which(token));
        found
            .map(|token| self.revoke(token, &self.end(token)))
            .collect()
    }
}
