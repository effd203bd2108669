//! The only ways to change a host. Steps return these; `engine::perform` alone carries them out.

pub mod custody;

use std::time::Duration;

use camino::Utf8PathBuf;
use serde::Serialize;

use crate::k3s::knock::Knock;
use crate::model::HostName;
use crate::op::custody::{Deposit, Parcel};
use crate::secret::Content;
use crate::wire::{Become, Change, Command, Guard, Request, WriteFile};

/// One change, with its reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Op {
    /// Where.
    pub on: HostName,
    /// As whom.
    pub r#become: Become,
    /// The reason, for people: "flip config.yaml to the new token".
    pub why: String,
    /// What.
    pub act: Act,
    /// Whether systemd reads its unit files right after, in the same script: between the two it would restart with the
    /// old text.
    pub reload: bool,
    /// What must still be as it was seen; looked at in the same script, right before.
    pub guards: Vec<Guard>,
    /// Set for what belongs to the operation before it: the name of the time between the two, which is measured. Such
    /// neighbours are done on all their hosts at once, and a stop does not come before them.
    pub at_once: Option<String>,
}

impl Op {
    /// An operation as root, which all K3s work is.
    pub fn root(on: &HostName, why: impl Into<String>, act: Act) -> Self {
        Self {
            on: on.clone(),
            r#become: Become::Root,
            why: why.into(),
            act,
            reload: false,
            guards: Vec::new(),
            at_once: None,
        }
    }

    /// A wait, as root, that looks every two seconds.
    pub fn wait(on: &HostName, why: impl Into<String>, until: Until, timeout: Duration) -> Self {
        let interval = Duration::from_secs(2);
        let wait = Wait {
            until,
            timeout,
            interval,
        };
        Self::root(on, why, Act::Wait(wait))
    }

    /// What is sent to the host, as one batch; nothing for a wait.
    #[must_use]
    pub fn sent(&self) -> Vec<Request> {
        let change = match &self.act {
            Act::Run { command, .. } | Act::Tell(command) => Change::Run(command.clone()),
            Act::WriteFile(file) => Change::WriteFile(file.clone()),
            Act::Rename { from, to } => Change::Rename {
                from: from.clone(),
                to: to.clone(),
            },
            Act::Remove { path } => Change::Remove { path: path.clone() },
            Act::Keep(_) | Act::Fetch(_) | Act::Wait(_) => return Vec::new(),
        };
        let reload = Command::new(["systemctl", "daemon-reload"]).within(Duration::from_mins(1));
        let changes = std::iter::once(change).chain(self.reload.then_some(Change::Run(reload)));
        let guards = self.guards.iter().cloned().map(Request::Guard);
        guards.chain(changes.map(Request::Change)).collect()
    }

    /// The same, only if this still holds.
    #[must_use]
    pub fn guarded(mut self, guards: impl IntoIterator<Item = Guard>) -> Self {
        self.guards.extend(guards);
        self
    }

    /// The same, as part of the operation before it; `name` is what the time between the two is called.
    #[must_use]
    pub fn at_once(mut self, name: &str) -> Self {
        self.at_once = Some(name.to_owned());
        self
    }

    /// The same, and systemd reads its unit files right after.
    #[must_use]
    pub fn reloading(mut self, reload: bool) -> Self {
        self.reload = reload;
        self
    }
}

/// What an operation does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Act {
    /// Runs a command; any status but 0 is a failure.
    Run {
        /// The command.
        command: Command,
        /// Files that it is known to leave, so that a dry run can go on from them.
        leaves: Vec<(Utf8PathBuf, Content)>,
    },
    /// Runs a command whose last line of output people should read.
    Tell(Command),
    /// Writes a file.
    WriteFile(WriteFile),
    /// Renames a file over another.
    Rename {
        /// Absolute path that exists.
        from: Utf8PathBuf,
        /// Absolute path.
        to: Utf8PathBuf,
    },
    /// Removes a file or an empty directory.
    Remove {
        /// Absolute path.
        path: Utf8PathBuf,
    },
    /// Keeps off the hosts what a restore needs.
    Keep(Deposit),
    /// Brings a file from the host.
    Fetch(Parcel),
    /// Changes nothing: looks until something holds.
    Wait(Wait),
}

impl Act {
    /// Whether it changes the host at all.
    #[must_use]
    pub fn changes(&self) -> bool {
        !matches!(self, Self::Keep(_) | Self::Fetch(_) | Self::Wait(_))
    }
}

/// A bounded wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Wait {
    /// What must hold.
    pub until: Until,
    /// How long it may take.
    pub timeout: Duration,
    /// How long between two looks.
    pub interval: Duration,
}

/// What a wait can wait for. Closed, so that a journal can be read back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Until {
    /// The unit is active under another invocation than `before`.
    Restarted {
        /// Such as `k3s.service`.
        unit: String,
        /// The `InvocationID` seen before.
        before: String,
    },
    /// The supervisor accepts this secret.
    Accepts(Knock),
    /// This etcd member has caught up with the revision that `with` has now.
    CaughtUp {
        /// The member that is ahead.
        with: HostName,
    },
}
