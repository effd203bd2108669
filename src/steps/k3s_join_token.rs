//! `k3s_join_token`: makes, revokes and lists tokens with which nodes join and that end by themselves.
//!
//! K3s calls them bootstrap tokens: objects of the API that a rotation of the server token does not touch. A secret is
//! made on the server and stays there, in a file; what keyroll sees and says of a token is its id.

mod absent;
mod arguments;
mod listed;
mod present;

use jiff::Timestamp;
use serde::Deserialize;

use arguments::Written;

use super::look::Seen;
use super::{Proposal, StepError, Unmet};
use crate::facts::{Admin, JoinToken, JoinTokens, Probe};
use crate::op::{Act, Op};
use crate::wire::Command;

pub use arguments::{Description, Dest, TokenId, Ttl, Wanted, Which};

/// `k3s_join_token`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Written")]
pub enum K3sJoinToken {
    /// One that lives is there, and its secret is in a file of the host.
    Present(Wanted),
    /// Some are not there.
    Absent(Which),
    /// Each is said.
    Listed {
        /// Whether none that lives may be there.
        none: bool,
    },
}

impl K3sJoinToken {
    pub(super) async fn propose(&self, probe: &Probe<'_>) -> Result<Proposal, StepError> {
        let seen = match Seen::own(probe).await? {
            Ok(seen) => seen,
            Err(unmet) => return Ok(Proposal::refuse(unmet)),
        };
        if !(seen.install.has_api && seen.unit.is_active()) {
            return Ok(Proposal::refuse(vec![no_api(&seen)]));
        }
        let tokens = probe.get(JoinTokens(seen.admin())).await?;
        let place = Place {
            probe,
            seen: &seen,
            tokens: &tokens,
            now: Timestamp::from_microsecond(seen.unit.now.0).unwrap_or(Timestamp::UNIX_EPOCH),
        };
        match self {
            Self::Present(wanted) => place.present(wanted).await,
            Self::Absent(which) => place.absent(which),
            Self::Listed { none } => Ok(place.listed(*none)),
        }
    }
}

/// A server, and the join tokens that its API tells.
struct Place<'a> {
    probe: &'a Probe<'a>,
    seen: &'a Seen,
    tokens: &'a [JoinToken],
    /// The server's own time.
    now: Timestamp,
}

impl Place<'_> {
    /// Takes a token away, for a reason.
    fn revoke(&self, token: &JoinToken, why: &str) -> Op {
        let why = format!("revoke the join token {} ({why})", named(token));
        let command = delete(&self.seen.admin(), &token.id);
        Op::root(&self.seen.host, why, Act::Tell(command))
    }

    /// When a token ends.
    fn end(&self, token: &JoinToken) -> String {
        match token.expires {
            Some(end) if token.lives(self.now) => format!("until {end}"),
            Some(end) => format!("ended at {end}"),
            None => "for ever: whoever has it can join nodes as agents until somebody revokes it"
                .to_owned(),
        }
    }
}

/// What takes a token away; K3s says which.
fn delete(admin: &Admin, id: &str) -> Command {
    let words = [admin.k3s.path.as_str(), "token", "delete"].map(str::to_owned);
    let words = words.into_iter().chain(admin.k3s.told());
    let kubeconfig = format!("--kubeconfig={}", admin.kubeconfig);
    // Flags stand before the ids.
    Command::new(words.chain([kubeconfig, id.to_owned()]))
}

/// A token's id and what it is for.
fn named(token: &JoinToken) -> String {
    match token.description.as_str() {
        "" => token.id.clone(),
        words => format!("{}, \"{words}\"", token.id),
    }
}

fn no_api(seen: &Seen) -> Unmet {
    Unmet::new(
        "no-api",
        format!("{} has no API server that runs", seen.host),
        "run this task on one server of the control plane, such as `hosts: server[0]`",
    )
}
