//! `k3s_token`: brings the server token or the agent token of a host into a state: staged, rotated, active, proven, or
//! rolled back.

mod active;
mod proven;
mod rolled_back;
mod room;
mod rotated;
mod staged;

use camino::Utf8PathBuf;
use serde::Deserialize;

use super::look::{Cluster, Edit, Seen};
use super::{Proposal, StepError, Unmet};
use crate::facts::Probe;
use crate::k3s::install::Kind;
use crate::k3s::knock::{Door, Role};
use crate::k3s::token::TokenKind;
use crate::op::{Act, Op};
use crate::secret::{Content, Secret};
use crate::wire::{Command, Owner, WriteFile};

pub(super) use active::{flip, over as write_in_place};
pub(super) use proven::said;
pub use proven::{STOPPED, olds, proof_of_agent, proof_of_server, stopped};
pub use rolled_back::{FORWARD, can_be_taken_back};
pub(super) use rolled_back::{too_late, unseen};
pub(super) use room::{Room, look_for_obstacles, obstacles, room, room_of_both};
pub(super) use rotated::ONCE_MORE;

/// `k3s_token`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Written")]
pub struct K3sToken {
    /// Which token.
    pub kind: TokenKind,
    /// What should hold.
    pub state: State,
    /// The permission bits of a file that gets the token.
    pub mode: Mode,
}

/// As it stands in a playbook.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    kind: TokenKind,
    state: State,
    #[serde(default)]
    mode: Mode,
}

impl TryFrom<Written> for K3sToken {
    type Error = &'static str;

    fn try_from(Written { kind, state, mode }: Written) -> Result<Self, Self::Error> {
        if (kind, state) == (TokenKind::Agent, State::Rotated) {
            return Err(
                "nothing is encrypted with an agent token: `rotated` is of the server token alone; a server takes an agent token with `k3s_restart: { kind: agent }`",
            );
        }
        Ok(Self { kind, state, mode })
    }
}

/// The permission bits of a file that gets a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Nobody but its owner can read it: what is wider than 0600 is repaired.
    #[default]
    Private,
    /// As they were.
    Keep,
}

/// What can hold of a token on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// NEW waits beside the surface, and OLD is kept until the proof. Servers only.
    Staged,
    /// The datastore is encrypted with NEW. Servers only, and the server token only.
    Rotated,
    /// The surface holds NEW.
    Active,
    /// OLD holds again, everywhere; only while no running server has NEW in memory. Servers only.
    RolledBack,
    /// NEW is accepted and OLD is not.
    Proven,
}

impl State {
    /// Its name in a playbook.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Staged => "staged",
            Self::Rotated => "rotated",
            Self::Active => "active",
            Self::RolledBack => "rolled_back",
            Self::Proven => "proven",
        }
    }
}

impl K3sToken {
    pub(super) async fn propose(&self, probe: &Probe<'_>) -> Result<Proposal, StepError> {
        let seen = match Seen::own(probe).await? {
            Ok(seen) => seen.of(self.kind),
            Err(unmet) => return Ok(Proposal::refuse(unmet)),
        };
        if !seen.install.faults.is_empty() {
            return Ok(Proposal::refuse(
                seen.install.faults.iter().map(Unmet::of_fault).collect(),
            ));
        }
        let mode = if probe.options().words.keep_modes {
            Mode::Keep
        } else {
            self.mode
        };
        match (self.state, seen.install.kind) {
            (State::Staged, Kind::Server) => staged::propose(probe, &seen, mode).await,
            (State::Rotated, Kind::Server) => rotated::propose(probe, mode).await,
            (State::RolledBack, Kind::Server) => rolled_back::propose(probe, self.kind, mode).await,
            (State::Active, Kind::Server) => active::on_server(probe, &seen, mode).await,
            (State::Active, Kind::Agent) => active::on_agent(probe, &seen, mode).await,
            (State::Proven, Kind::Server) => proven::on_server(probe, &seen).await,
            (State::Proven, Kind::Agent) => proven::on_agent(probe, &seen).await,
            (State::Staged | State::Rotated | State::RolledBack, Kind::Agent) => {
                Ok(Proposal::refuse(vec![Unmet::new(
                    "servers-only",
                    format!(
                        "state {} is for servers, and {} is an agent",
                        self.state.name(),
                        seen.host
                    ),
                    "let the play's `hosts` name servers only",
                )]))
            }
        }
    }
}

/// What the time between the answer to a rotate and the last change of a configuration is called: a server that reboots
/// within it starts with a wrong token.
const WINDOW: &str = "wrong-token window";

/// Writes a surface's file with other bytes to a path in the same directory: beside it, where it waits for the flip, or
/// over it.
fn write(seen: &Seen, edit: &Edit<'_>, path: Utf8PathBuf, mode: Mode, why: &str) -> Op {
    let was = seen.stats.get(&edit.surface.file).and_then(Option::as_ref);
    let was = was.map_or(0o600, |stat| stat.mode);
    let bits = match mode {
        Mode::Keep => was,
        Mode::Private if was & 0o600 == 0 => 0o600,
        Mode::Private => was & 0o600,
    };
    let repaired = if bits == was {
        String::new()
    } else {
        format!(", with mode {bits:04o} instead of {was:04o}")
    };
    let file = WriteFile {
        path,
        content: edit.content.clone(),
        mode: bits,
        owner: Owner::Like(edit.surface.file.clone()),
        make_parent: false,
    };
    Op::root(&seen.host, format!("{why}{repaired}"), Act::WriteFile(file))
        .guarded(seen.unchanged(edit.surface))
}

/// The one request that re-encrypts the datastore. Its body travels on a descriptor, the credentials on stdin. kubectl before
/// 1.29 asks for a schema first, which nobody gets with the credentials of a server, and then sends nothing.
pub(super) fn put(door: &Door, authority: &Secret, new: &Secret) -> Command {
    let body = serde_json::json!({ "newToken": new.expose() }).to_string();
    let words = [
        "--kubeconfig=/dev/stdin",
        "--request-timeout=60s",
        "replace",
        "--raw",
        "/v1-k3s/token",
        "-f",
        "/dev/fd/3",
        "--validate=false",
    ];
    Command::new(door.k3s.kubectl(words))
        .directly()
        .stdin(door.kubeconfig(Role::Server, authority))
        .fd3(Content::new(body))
        .within(std::time::Duration::from_secs(90))
}

/// The rotate on a server, with what it is known to leave there.
fn rotate(seen: &Seen, authority: &Secret, new: &Secret) -> Act {
    Act::Run {
        command: put(&seen.door(), authority, new),
        leaves: leaves(seen, new),
    }
}

/// What a rotate is known to leave on the rotator (measured: sqlite-rotate).
fn leaves(seen: &Seen, secret: &Secret) -> Vec<(Utf8PathBuf, Content)> {
    let hash = seen
        .ca_hash()
        .or_else(|| seen.install.winner()?.token.hash().map(str::to_owned))
        .unwrap_or_default();
    let mut passwd = seen.passwd();
    let follows = passwd.node == passwd.server;
    passwd.server = Some(secret.clone());
    if follows {
        passwd.node = Some(secret.clone());
    }
    let token = format!("{}\n", crate::k3s::token::full(&hash, "server", secret));
    vec![
        (seen.install.data("server/token"), Content::new(token)),
        (
            seen.install.data("server/cred/passwd"),
            Content::new(passwd.text()),
        ),
    ]
}

/// Every server that could not be looked at or does not answer, as reasons.
fn not_answering(cluster: &Cluster) -> Vec<Unmet> {
    let silent = cluster.silent().into_iter().map(|(host, why)| {
        Unmet::new(
            "server-silent",
            format!("{host} does not answer: {why}"),
            format!("get {host} to run, then run the same command again"),
        )
    });
    silent.collect()
}
