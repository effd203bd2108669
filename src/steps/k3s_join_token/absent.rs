//! Join tokens that are to be there no more: nobody can join a node with them from then on, and nodes that have joined
//! stay (k3s: their certificates let them in).

use super::{Place, Which};
use crate::facts::JoinToken;
use crate::op::Op;
use crate::steps::{Proposal, StepError};

impl Place<'_> {
    pub(super) fn absent(&self, which: &Which) -> Result<Proposal, StepError> {
        let vars = self.probe.vars();
        let ops = match which {
            Which::Id(id) => {
                let id = id.render(vars)?.0;
                self.revoke_all(|token| token.id == id)
            }
            Which::Description(words) => {
                let words = words.render(vars)?.0;
                self.revoke_all(|token| token.description == words)
            }
            Which::Expired => self.revoke_all(|token| !token.lives(self.now)),
        };
        Ok(Proposal::of(ops))
    }

    fn revoke_all(&self, which: impl Fn(&JoinToken) -> bool) -> Vec<Op> {
        let found = self.tokens.iter().filter(|token| which(token));
        found
            .map(|token| self.revoke(token, &self.end(token)))
            .collect()
    }
}
