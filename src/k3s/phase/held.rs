//! What servers hold between them, told alike of either token.

use super::{ServerView, Torn, Wish};
use crate::k3s::token;
use crate::secret::Secret;

/// Each once, in the order in which they come.
pub(super) fn distinct<'a>(secrets: impl Iterator<Item = &'a Secret>) -> Vec<&'a Secret> {
    let mut found: Vec<&Secret> = Vec::new();
    for secret in secrets {
        if !found.contains(&secret) {
            found.push(secret);
        }
    }
    found
}

/// OLD, as keyroll kept it on the servers; `mixed` says what it means that they keep different ones.
pub(super) fn kept(
    servers: &[ServerView],
    mixed: impl FnOnce() -> Torn,
) -> Result<Option<&Secret>, Torn> {
    match distinct(servers.iter().filter_map(|s| s.kept.as_ref())).as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        _ => Err(mixed()),
    }
}

/// NEW while no server has it yet: the given one, what waits on the servers, or the one made for this run. What waits is
/// keyroll's own only beside the OLD that was kept before it, and no server starts with a bootstrap token.
pub(super) fn waiting<'a>(servers: &'a [ServerView], old: &Secret, wish: Wish<'a>) -> &'a Secret {
    let begun = servers.iter().filter(|s| s.kept.is_some());
    let staged = begun.filter_map(|s| s.staged.as_ref());
    let staged = staged.filter(|secret| !token::is_bootstrap(secret.expose()));
    let staged = distinct(staged.filter(|secret| *secret != old));
    let found = staged.first().filter(|_| staged.len() == 1).copied();
    wish.given.or(found).unwrap_or(wish.generated)
}

/// Whether this very run has rotated to this token and proven it: then its generated token is not the next one.
pub(super) fn is_finished(servers: &[ServerView], now: &Secret, wish: Wish<'_>) -> bool {
    let tag = token::tag(now);
    servers
        .iter()
        .filter_map(|server| server.proven.as_ref())
        .any(|proven| proven.run == *wish.run && proven.tag == tag)
}

#[cfg(test)]
pub(super) mod tests {
    use crate::k3s::phase::{Phase, Standing};
    use crate::secret::Secret;

    /// None when it is empty.
    pub(in crate::k3s::phase) fn secret(text: &str) -> Option<Secret> {
        (!text.is_empty()).then(|| Secret::new(text))
    }

    pub(in crate::k3s::phase) fn phases(standing: &Standing) -> Vec<Phase> {
        standing.phases.iter().map(|(_, phase)| *phase).collect()
    }
}
