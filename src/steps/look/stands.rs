//! What may be said of a rotation from where it stands: whether it is certain, and who is behind.

use super::Seen;
use super::cluster::{Cluster, ServerSeen};
use crate::k3s::phase::{Phase, Standing};
use crate::k3s::token::{self, TokenKind};
use crate::steps::Unmet;

/// A server that would make itself another token at its next start: neither its configuration nor K3s's own file has one.
pub(in crate::steps) fn no_token(seen: &Seen) -> Unmet {
    let host = &seen.host;
    let file = seen.install.data(TokenKind::Server.own_file());
    let next = if seen.unit.is_active() {
        format!(
            "it runs, and would not start again: keyroll rescue {host} -i INVENTORY writes it anew"
        )
    } else {
        format!("see whether K3s ever started on {host}")
    };
    Unmet::new(
        "no-token",
        format!("no token was found on {host}, neither configured nor in {file}"),
        next,
    )
}

impl Cluster {
    /// Whether it is certain that the datastore holds NEW. The rotator's files alone do not tell: a rotate that fails
    /// in the middle has changed them, and not the datastore. A server that started with NEW tells, and so does the
    /// mark that a rotate leaves which was answered well.
    #[must_use]
    pub fn is_witnessed(&self, standing: &Standing) -> bool {
        let tag = token::tag(&standing.new);
        // A mark is of before what a later rotate has written.
        let others = self.servers.iter().map(|server| &server.seen);
        let others = others.filter(|seen| seen.passwd().server.as_ref() != Some(&standing.new));
        let latest = others.filter_map(Seen::passwd_written).max();
        let is_marked = |seen: &Seen| {
            let left = seen.rotated_left();
            // Where a rotate came right before the mark was left, its server's own passwd tells.
            let has_it = seen.passwd().server.as_ref() == Some(&standing.new);
            has_it
                && seen.rotated().as_ref() == Some(&tag)
                && left.is_none_or(|left| Some(left) >= latest)
        };
        let knows = |server: &ServerSeen| {
            server.memory.secret() == Some(&standing.new) || is_marked(&server.seen)
        };
        standing.is_rotated() && (standing.is_told || self.servers.iter().any(knows))
    }

    /// Why a server must not be set or started with NEW yet, when only files say that the datastore holds it.
    #[must_use]
    pub fn unwitnessed(&self, standing: &Standing) -> Option<Unmet> {
        (standing.is_rotated() && !self.is_witnessed(standing)).then(|| {
            Unmet::new(
                "rotate-not-certain",
                "files say that the datastore was encrypted with the new token, and nothing shows that it was: a rotate \
                 that fails half way leaves the same files",
                "restart no server; keyroll run @rotate-token -i INVENTORY asks for the rotate once more (in a playbook of your own `k3s_token: { state: rotated }` comes first)",
            )
        })
    }

    /// Whether NEW is what every running server accepts, and why not otherwise.
    #[must_use]
    pub fn not_on_new(&self, standing: &Standing) -> Vec<Unmet> {
        let behind = |server: &&ServerSeen| standing.phase(&server.seen.host) != Some(Phase::New);
        let unmet = |server: &ServerSeen| {
            let phase = standing.phase(&server.seen.host);
            Unmet::new(
                "server-not-on-new",
                format!(
                    "{} does not run with the new token yet ({})",
                    server.seen.host,
                    words(phase)
                ),
                "let the play for the servers end well first",
            )
        };
        self.servers.iter().filter(behind).map(unmet).collect()
    }
}

/// A phase in words.
#[must_use]
pub fn words(phase: Option<Phase>) -> &'static str {
    match phase {
        Some(Phase::Old) => "it has the old token",
        Some(Phase::Staged) => "it has the old token, the new one waits beside it",
        Some(Phase::Rotated) => {
            "the datastore has the new token, its configuration the old one: a restart now would be fatal"
        }
        Some(Phase::Flipped) => "it was not restarted since its configuration was changed",
        Some(Phase::New) => "it has the new token",
        Some(Phase::Ahead) => {
            "its configuration has the new token, the datastore the old one: a restart now would be fatal"
        }
        Some(Phase::Reverted) => "something wrote the old token back into its configuration",
        Some(Phase::Silent) => "it does not answer",
        Some(Phase::Foreign) | None => "it has another token",
    }
}
