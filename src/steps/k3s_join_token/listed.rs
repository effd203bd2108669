//! Every join token in one line, and whether any remains with which a node can join.

use super::{Place, named};
use crate::facts::JoinToken;
use crate::steps::{Proposal, Unmet};

impl Place<'_> {
    pub(super) fn listed(&self, none: bool) -> Proposal {
        let line = |token: &JoinToken| {
            format!(
                "join token {}: {}; {}",
                named(token),
                self.end(token),
                token.usages()
            )
        };
        let mut notes: Vec<String> = self.tokens.iter().map(line).collect();
        if notes.is_empty() {
            notes.push("there are no join tokens".to_owned());
        }
        let joins = |token: &&JoinToken| token.joins && token.lives(self.now);
        let left: Vec<&str> = self
            .tokens
            .iter()
            .filter(joins)
            .map(|it| it.id.as_str())
            .collect();
        let unmet = (none && !left.is_empty()).then(|| {
            Unmet::new(
                "join-tokens-remain",
                format!("nodes can join with {} of these: {}", left.len(), left.join(", ")),
                "revoke each with `k3s_join_token: { state: absent, id: ID }`, or wait until it ends",
            )
        });
        Proposal {
            notes,
            unmet: unmet.into_iter().collect(),
            ..Proposal::default()
        }
    }
}
