//! What a rotation is at when something comes between.

/// Where in a rotation a change is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Before the rotate.
    Staging,
    /// From the rotate on, until the first server is restarted.
    Flipping,
    /// From the first restart of a server to the last one.
    Servers,
    /// Until the last change of an agent.
    Agents,
    /// The proof, and what comes after it.
    Proof,
}

/// The changes of a whole rotation, and where it is at each.
pub(super) struct Course {
    pub(super) stages: Vec<Stage>,
    /// Which of them re-encrypts the datastore.
    pub(super) put: usize,
}

impl Course {
    /// Of the changes in words, each with its host before a colon.
    pub(super) fn of(log: &[String], put: usize) -> Self {
        let is_restart = |line: &&String| line.starts_with("server-") && line.contains(" restart ");
        let first = log.iter().position(|line| is_restart(&line)).unwrap();
        let last = log.iter().rposition(|line| is_restart(&line)).unwrap();
        let agents = log.iter().rposition(|line| line.starts_with("agent-"));
        let agents = agents.unwrap_or(last);
        assert!(put < first && last <= agents, "{log:#?}");
        let stage = |at: usize| match at {
            at if at < put => Stage::Staging,
            at if at < first => Stage::Flipping,
            at if at <= last => Stage::Servers,
            at if at <= agents => Stage::Agents,
            _ => Stage::Proof,
        };
        Self {
            stages: (0..log.len()).map(stage).collect(),
            put,
        }
    }
}
