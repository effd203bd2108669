//! What work there is: each step looks and proposes; it never writes, prints or remembers.

pub mod findings;
pub mod look;

mod apiservers;
pub mod assert;
pub mod command;
mod datastore;
pub mod debug;
pub mod k3s_heal;
pub mod k3s_join_token;
pub mod k3s_preflight;
pub mod k3s_prove;
pub mod k3s_proven_at;
pub mod k3s_rescue;
pub mod k3s_restart;
pub mod k3s_rollback;
pub mod k3s_snapshot;
pub mod k3s_token;
mod unmanaged;

use crate::facts::{FactError, Probe};
use crate::k3s::install::Fault;
use crate::k3s::phase::Torn;
use crate::model::HostName;
use crate::op::Op;
use crate::template::TemplateError;
use futures::future::BoxFuture;
use serde::de::{Deserialize, Deserializer};

macro_rules! steps {
    ($($name:literal => $module:ident :: $type:ident),+ $(,)?) => {
        /// One entry of a task: a kind of work with its arguments.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Step {
            $(#[doc = concat!("`", $name, "`")] $type($module::$type),)+
        }

        impl Step {
            /// The names of all steps, as playbooks write them.
            pub const NAMES: &'static [&'static str] = &[$($name),+];

            /// Its name, as playbooks write it.
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self { $(Self::$type(_) => $name,)+ }
            }

            /// Reads the arguments of the step called `name`; `None` when there is no such step.
            pub fn arguments<'de, D: Deserializer<'de>>(name: &str, from: D) -> Option<Result<Self, D::Error>> {
                match name {
                    $($name => Some($module::$type::deserialize(from).map(Self::$type)),)+
                    _ => None,
                }
            }

            /// Looks at the host and says what is left to do there.
            ///
            /// # Errors
            /// When a look fails or an argument cannot be rendered.
            #[must_use]
            pub fn propose<'a>(&'a self, probe: &'a Probe<'a>) -> BoxFuture<'a, Result<Proposal, StepError>> {
                match self { $(Self::$type(step) => Box::pin(step.propose(probe)),)+ }
            }
        }
    };
}

steps! {
    "assert" => assert::Assert,
    "command" => command::Command,
    "debug" => debug::Debug,
    "k3s_heal" => k3s_heal::K3sHeal,
    "k3s_join_token" => k3s_join_token::K3sJoinToken,
    "k3s_preflight" => k3s_preflight::K3sPreflight,
    "k3s_prove" => k3s_prove::K3sProve,
    "k3s_proven_at" => k3s_proven_at::K3sProvenAt,
    "k3s_rescue" => k3s_rescue::K3sRescue,
    "k3s_restart" => k3s_restart::K3sRestart,
    "k3s_rollback" => k3s_rollback::K3sRollback,
    "k3s_snapshot" => k3s_snapshot::K3sSnapshot,
    "k3s_token" => k3s_token::K3sToken,
}

impl Step {
    /// Whether its end has a colour.
    #[must_use]
    pub fn is_proof(&self) -> bool {
        matches!(self, Self::K3sProve(_))
    }

    /// Whether what comes after it takes for granted that it went well, so that its failure cannot be ignored.
    #[must_use]
    pub fn is_relied_on(&self) -> bool {
        !matches!(
            self,
            Self::Assert(_)
                | Self::Command(_)
                | Self::Debug(_)
                | Self::K3sSnapshot(_)
                | Self::K3sProvenAt(_)
        )
    }

    /// Whether it may look different each time, so that it is not proposed again after it was performed
    /// (`command` without `creates`, a restart for its own sake).
    #[must_use]
    pub fn is_one_way(&self) -> bool {
        match self {
            Self::Command(command) => command.creates.is_none(),
            Self::K3sRestart(restart) => restart.again,
            _ => false,
        }
    }
}

/// What a step finds left to do.
#[derive(Debug, Clone, Default)]
pub struct Proposal {
    /// Operations in order; empty means that nothing is left to do.
    pub ops: Vec<Op>,
    /// What should hold before them and does not. On a real run the task fails with these and performs nothing;
    /// in a dry run that has predicted changes before, they are "not known yet".
    pub unmet: Vec<Unmet>,
    /// What people should read, whatever happens.
    pub notes: Vec<String>,
    /// What keeps a proof from being green: it could not be shown. Other steps have none.
    pub doubts: Vec<String>,
    /// What an operator still has to do, although all that was asked for is done: the next command of a run that ends well.
    pub left: Option<String>,
}

/// Something that should hold and does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmet {
    /// A stable name: `not-all-servers-accept-new`.
    pub name: &'static str,
    /// What was seen.
    pub what: String,
    /// What to do next.
    pub next: String,
    /// Whether it makes a proof red (exit 8) rather than a task failed (exit 4).
    pub red: bool,
}

impl Unmet {
    /// Something that makes a task fail.
    pub fn new(name: &'static str, what: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            name,
            what: what.into(),
            next: next.into(),
            red: false,
        }
    }

    /// Something that makes a proof red.
    pub fn red(name: &'static str, what: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            red: true,
            ..Self::new(name, what, next)
        }
    }

    fn of_fault(fault: &Fault) -> Self {
        Self::new(fault.name, &fault.what, &fault.next)
    }

    fn of_torn(torn: &Torn) -> Self {
        Self::new(torn.name, &torn.what, &torn.next)
    }

    /// `None` for a host that could not be asked, which is an error of its own kind.
    fn of_blind(blind: &look::Blind) -> Option<Self> {
        match blind {
            look::Blind::Faulty(fault) => Some(Self::of_fault(fault)),
            look::Blind::Unasked(_) => None,
        }
    }
}

impl Proposal {
    /// Nothing but reasons why not.
    #[must_use]
    pub fn refuse(unmet: Vec<Unmet>) -> Self {
        Self {
            unmet,
            ..Self::default()
        }
    }

    /// Nothing to do, and why.
    pub fn note(text: impl Into<String>) -> Self {
        Self {
            notes: vec![text.into()],
            ..Self::default()
        }
    }

    /// Something that a proof could not show.
    pub fn doubt(&mut self, text: impl Into<String>) {
        let text = text.into();
        self.doubts.push(text.clone());
        self.notes.push(text);
    }

    /// Only operations.
    #[must_use]
    pub fn of(ops: Vec<Op>) -> Self {
        Self {
            ops,
            ..Self::default()
        }
    }
}

/// Of several hosts, each in its own words.
fn several(all: &[(HostName, FactError)]) -> String {
    let all: Vec<String> = all.iter().map(|(_, error)| error.to_string()).collect();
    all.join("; ")
}

/// Why a step could not propose.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StepError {
    /// A look failed.
    #[error(transparent)]
    Fact(#[from] FactError),
    /// Hosts could not be asked, each for its own reason.
    #[error("{}", several(.0))]
    Unasked(Vec<(HostName, FactError)>),
    /// An argument's template could not be rendered, or gave a value that does not fit.
    #[error(transparent)]
    Argument(#[from] TemplateError),
}
