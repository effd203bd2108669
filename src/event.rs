//! What happens during a run, in one order. The journal, the bars, the lines and the JSON are readers of this.

use serde::Serialize;

use crate::exit::Exit;
use crate::model::{HostName, RunId, SameHosts, TaskKey, count};
use crate::op::Op;

/// One thing that happened. Texts in it are redacted before a sink sees it.
#[derive(Debug, Clone, Serialize)]
pub struct Event {
    /// Counts from 0 within the run.
    pub seq: u64,
    /// When, on the run's clock.
    pub at: jiff::Timestamp,
    /// What.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventKind {
    /// The first event.
    RunStarted {
        /// Names the run.
        run: RunId,
        /// Version of the journal's format, 1.
        format: u32,
        /// The playbook as it was named.
        playbook: String,
        /// The inventory as it was named.
        inventory: String,
        /// Whether this is a dry run.
        check: bool,
        /// Names and batch sizes of the plays.
        plays: Vec<(String, Vec<usize>)>,
    },
    /// A batch of a play begins.
    BatchStarted {
        /// The play's name.
        play: String,
        /// Counts from 1.
        batch: usize,
        /// How many batches the play has.
        of: usize,
        /// Its hosts.
        hosts: Vec<HostName>,
    },
    /// A task begins to look.
    TaskStarted {
        /// Which task.
        key: TaskKey,
        /// Where.
        host: HostName,
        /// The task's name.
        name: String,
    },
    /// A task has something to say.
    Note {
        /// Which task.
        key: TaskKey,
        /// Where.
        host: HostName,
        /// What.
        text: String,
    },
    /// A task is satisfied, and something is still left to do.
    Left {
        /// Which task.
        key: TaskKey,
        /// Where.
        host: HostName,
        /// What.
        text: String,
    },
    /// A proof of a host has ended.
    Proved {
        /// Which task.
        key: TaskKey,
        /// Of which host.
        host: HostName,
        /// Its colour.
        verdict: Verdict,
        /// What keeps it from being green.
        because: Vec<String>,
    },
    /// A dry run found what the run would do.
    Proposed {
        /// Which task.
        key: TaskKey,
        /// Where.
        host: HostName,
        /// Operations.
        ops: Vec<Op>,
        /// What they wait for that is not known yet.
        not_known: Vec<String>,
    },
    /// An operation is about to start: on disk before it does.
    OpStarted {
        /// Which task.
        key: TaskKey,
        /// Counts from 0 within the task.
        index: usize,
        /// The operation.
        op: Op,
    },
    /// An operation has ended.
    OpEnded {
        /// Which task.
        key: TaskKey,
        /// As in `OpStarted`.
        index: usize,
        /// How.
        outcome: OpOutcome,
    },
    /// Operations that belong to the one before them have ended: how long hosts stood between the two.
    Window {
        /// Which task.
        key: TaskKey,
        /// What that time is called.
        name: String,
        /// From the answer of the operation before to the start of the first of these, in milliseconds.
        began_ms: u64,
        /// From that answer to the last answer of each host, in milliseconds.
        hosts: Vec<(HostName, u64)>,
        /// Hosts that still stand between the two.
        open: Vec<HostName>,
    },
    /// A task has ended.
    TaskEnded {
        /// Which task.
        key: TaskKey,
        /// Where.
        host: HostName,
        /// How.
        outcome: TaskOutcome,
    },
    /// A gate begins to look.
    GateStarted {
        /// Which gate.
        key: TaskKey,
        /// Whom it watches.
        hosts: Vec<HostName>,
    },
    /// A gate is still closed.
    GateWaiting {
        /// Which gate.
        key: TaskKey,
        /// What does not hold yet.
        because: Vec<String>,
    },
    /// A gate has ended.
    GateEnded {
        /// Which gate.
        key: TaskKey,
        /// Why it stayed closed; `None` when it opened.
        failure: Option<Failure>,
    },
    /// The user asked to stop.
    Stopping {
        /// What is done now, and what the next Ctrl-C does.
        text: String,
    },
    /// The last event.
    RunEnded {
        /// Exit number.
        exit: Exit,
        /// Counts.
        summary: Summary,
    },
}

/// The colour of a proof; the later wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// NEW is accepted, OLD was tried and is refused, and every node was looked at.
    Green,
    /// Nothing speaks against it, but something could not be shown, and is named.
    Yellow,
    /// Something speaks against it, or a host could not be looked at.
    Red,
}

impl Verdict {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Green => "green",
            Self::Yellow => "yellow",
            Self::Red => "red",
        }
    }
}

/// How an operation ended.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OpOutcome {
    /// Done.
    Done,
    /// The host said no.
    Failed(Failure),
    /// The connection was lost: it is looked at again.
    Unknown(String),
    /// The host is no longer as it was when it was looked at: nothing was done, and it is looked at again.
    Moved(String),
}

/// How a task ended.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskOutcome {
    /// Nothing was to be done.
    Satisfied,
    /// Operations were performed, or in a dry run would be.
    Changed,
    /// `when` was false.
    NotApplicable,
    /// It failed.
    Failed(Failure),
    /// It failed, and its playbook says `ignore_errors`.
    Ignored(Failure),
    /// It never started.
    Skipped {
        /// The task or gate whose failure is the root, or "stopped".
        because: TaskKey,
    },
}

/// Why something failed.
#[derive(Debug, Clone, Serialize)]
pub struct Failure {
    /// What was expected and what was seen, each a sentence.
    pub what: Vec<String>,
    /// What to do next.
    pub next: Vec<String>,
    /// Which exit number it stands for.
    pub exit: Exit,
}

impl EventKind {
    /// Lets the commands that failures and notes tell of name the hosts of this run.
    pub fn name_hosts(&mut self, same: &SameHosts) {
        match self {
            Self::Note { text, .. } | Self::Left { text, .. } => same.fill(text),
            Self::TaskEnded {
                outcome: TaskOutcome::Failed(failure) | TaskOutcome::Ignored(failure),
                ..
            }
            | Self::OpEnded {
                outcome: OpOutcome::Failed(failure),
                ..
            }
            | Self::GateEnded {
                failure: Some(failure),
                ..
            } => failure.next.iter_mut().for_each(|next| same.fill(next)),
            _ => {}
        }
    }
}

/// Counts at the end.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Summary {
    /// Tasks with nothing to do.
    pub satisfied: usize,
    /// Tasks that changed something.
    pub changed: usize,
    /// Tasks that failed.
    pub failed: usize,
    /// Tasks that the user stopped before they were done.
    pub stopped: usize,
    /// Tasks that failed, which their playbook ignores.
    pub ignored: usize,
    /// Tasks that never started.
    pub skipped: usize,
    /// Hosts on which something was changed.
    pub changed_hosts: Vec<HostName>,
    /// The colour of the proof; `None` where no host was proven or tried.
    pub verdict: Option<Verdict>,
    /// What keeps the proof from being green, beside what went wrong.
    pub doubts: Vec<String>,
    /// Roots of all that went wrong.
    pub roots: Vec<(TaskKey, Failure)>,
    /// Notes of the whole run, each once.
    pub notes: Vec<String>,
    /// The command to run next.
    pub next: String,
}

/// [`EventKind::Window`] in words: `wrong-token window: 0.12 s on 3 servers (h1 0.10 s, h2 0.12 s, h3 0.11 s)`.
#[must_use]
pub fn window(name: &str, hosts: &[(HostName, u64)], open: &[HostName]) -> String {
    let seconds = |ms: u64| {
        let hundredths = ms.div_ceil(10);
        format!("{}.{:02} s", hundredths / 100, hundredths % 100)
    };
    let longest = hosts.iter().map(|(_, ms)| *ms).max().unwrap_or(0);
    let each: Vec<String> = hosts
        .iter()
        .map(|(host, ms)| format!("{host} {}", seconds(*ms)))
        .collect();
    let (all, each) = (seconds(longest), each.join(", "));
    let closed = (!hosts.is_empty()).then(|| {
        let hosts = count(hosts.len(), "host", "hosts");
        format!("{all} on {hosts} ({each})")
    });
    let open: Vec<&str> = open.iter().map(HostName::as_str).collect();
    let still = (!open.is_empty()).then(|| format!("still open on {}", open.join(", ")));
    let said: Vec<String> = closed.into_iter().chain(still).collect();
    format!("{name}: {}", said.join("; "))
}

/// A reader of events.
pub trait Sink: Send {
    /// Takes what has queued up since the last call; the journal syncs once a call, before it returns.
    ///
    /// # Errors
    /// When the event could not be kept or shown; for the journal this ends the run (6).
    fn on_events(&mut self, events: &[Event]) -> std::io::Result<()>;
}
