//! Exit numbers, a table. When several hold, the first of 6, 130, 8, 5, 4, 7 wins.

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[repr(u8)]
pub enum Exit {
    /// All is well.
    Fine = 0,
    /// A bug in keyroll.
    Internal = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The playbook or the inventory is wrong.
    BadInput = 3,
    /// A task failed.
    TaskFailed = 4,
    /// A gate did not open.
    GateClosed = 5,
    /// The journal, the lock, a resume or a write of the output failed.
    Journal = 6,
    /// Hosts cannot be reached.
    Unreachable = 7,
    /// The proof is red.
    Red = 8,
    /// `--check` found work.
    WorkFound = 10,
    /// The user stopped it.
    Stopped = 130,
}

impl Exit {
    /// Every number with its meaning, as README prints it.
    pub const TABLE: [(Self, &'static str); 11] = [
        (Self::Fine, "all is well"),
        (Self::Internal, "a bug in keyroll"),
        (Self::Usage, "the command line is wrong"),
        (Self::BadInput, "the playbook or the inventory is wrong"),
        (Self::TaskFailed, "a task failed"),
        (Self::GateClosed, "a gate did not open"),
        (
            Self::Journal,
            "the journal, the lock, a resume or a write of the output failed",
        ),
        (Self::Unreachable, "hosts cannot be reached"),
        (Self::Red, "the proof is red"),
        (Self::WorkFound, "--check found work"),
        (Self::Stopped, "stopped by the user"),
    ];

    const ORDER: [Self; 6] = [
        Self::Journal,
        Self::Stopped,
        Self::Red,
        Self::GateClosed,
        Self::TaskFailed,
        Self::Unreachable,
    ];

    /// The number.
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }

    /// Of several ends, the one to report; [`Exit::Fine`] when there is none.
    pub fn first_of(ends: impl IntoIterator<Item = Self>) -> Self {
        let ends: Vec<Self> = ends.into_iter().collect();
        let ranked = Self::ORDER.into_iter().find(|end| ends.contains(end));
        ranked
            .or_else(|| ends.into_iter().find(|end| *end != Self::Fine))
            .unwrap_or(Self::Fine)
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        exit.number().into()
    }
}
