//! What the operator asked for, beside the playbook.

use std::num::NonZeroUsize;
use std::time::Duration;

use crate::model::{HostName, RunId};
use crate::secret::{Secret, Stated};

/// What the operator asked for, beside the playbook.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// From `--new-token-from`, checked.
    pub given: Option<Secret>,
    /// Made for this run; used when nothing was given and no rotation is unfinished.
    pub generated: Secret,
    /// The same for the agent token.
    pub agent: NewAgentToken,
    /// Names this run.
    pub run: RunId,
    /// How many hosts are looked at at once, from `--forks`.
    pub forks: NonZeroUsize,
    /// What else the operator knows, wants or allows.
    pub words: Words,
}

/// The new agent token of a cluster that has one of its own.
#[derive(Debug, Clone)]
pub struct NewAgentToken {
    /// From `--new-agent-token-from`, checked.
    pub given: Option<Secret>,
    /// Made for this run.
    pub generated: Secret,
}

/// What the operator knows, wants or allows; nothing by default.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a word of the operator's own, said apart"
)]
#[derive(Debug, Clone, Default)]
pub struct Words {
    /// OLD, from `--old-token-from`: probed beside what is kept on the servers.
    pub old: Option<Secret>,
    /// What the datastore has, from `rescue --token-from`: counts where nothing on the hosts tells.
    pub datastore: Option<Secret>,
    /// Nothing is to be rotated: NEW is what the datastore holds.
    pub proof_only: bool,
    /// Hosts of the fleet that `--limit` leaves out.
    pub left_out: Vec<HostName>,
    /// Patterns of nodes that exist and are not in the inventory on purpose.
    pub expected: Vec<String>,
    /// Nodes by name that exist and that nobody visits on purpose.
    pub ignored: Vec<String>,
    /// Shapes of a cluster on which nobody has measured a rotation are let through.
    pub unmeasured: bool,
    /// From `--strict`: a run whose proof is yellow ends as one whose proof is red.
    pub strict: bool,
    /// From `--max-age`: a proof is red when the server token is older, or nothing shows that it is not.
    pub max_age: Option<Duration>,
    /// What the inventory says, to be compared with the token that is rotated.
    pub stated: Vec<Stated>,
    /// etcd loses its quorum at each restart of a server, and that is known.
    pub quorum_loss: bool,
    /// Files that get the token stay as readable as they are.
    pub keep_modes: bool,
    /// There is a backup of the datastore: none is taken.
    pub own_backup: bool,
}
