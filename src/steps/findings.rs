//! What bad runbooks leave on hosts, under the names of the catalogue. Looks only.

mod files;
mod join;
mod leftovers;
mod log;

use super::look::Seen;
use super::{Proposal, Unmet};
use crate::facts::{Fact, Knocked, Paths, Probe};
use crate::findings::{Weight, entry, weight};
use crate::k3s::install::Fault;
use crate::k3s::phase::Standing;
use crate::secret::Secret;

pub use leftovers::leftovers;
pub(super) use log::last_sign;
pub use log::{not_running, why_down};

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Its name in the catalogue.
    pub name: &'static str,
    /// What was seen.
    pub what: String,
    /// What to do next.
    pub next: String,
}

impl Finding {
    /// With the next command of the catalogue.
    pub(crate) fn of(name: &'static str, what: impl Into<String>) -> Self {
        Self {
            name,
            what: what.into(),
            next: entry(name).map_or_else(String::new, |entry| entry.next.to_owned()),
        }
    }

    /// The same with a next command of its own.
    pub(crate) fn next(mut self, next: impl Into<String>) -> Self {
        self.next = next.into();
        self
    }

    /// The catalogue's next command, for this host.
    pub(super) fn on(mut self, seen: &Seen) -> Self {
        let (host, unit) = (seen.host.as_str(), seen.unit.text.id.as_str());
        self.next = self.next.replace("HOST", host).replace("UNIT", unit);
        if let Some(url) = &seen.install.url {
            self.next = self.next.replace("https://ADDRESS:6443", url);
        }
        self
    }

    /// What was seen of a host's set-up.
    pub(crate) fn of_fault(fault: Fault) -> Self {
        let Fault { name, what, next } = fault;
        Self { name, what, next }
    }

    /// What stands in the way of a step.
    #[must_use]
    pub fn of_unmet(unmet: Unmet) -> Self {
        let Unmet {
            name, what, next, ..
        } = unmet;
        Self { name, what, next }
    }

    /// Whether it stands in the way.
    #[must_use]
    pub fn weight(&self) -> Weight {
        weight(self.name)
    }

    /// As a note of a run.
    #[must_use]
    pub fn note(&self) -> String {
        format!("{}: {}; next: {}", self.name, self.what, self.next)
    }

    /// Puts it where it belongs in a proposal: what stands in the way, or a note.
    pub(super) fn into_proposal(self, proposal: &mut Proposal) {
        match self.weight() {
            Weight::Refuse => proposal
                .unmet
                .push(Unmet::new(self.name, self.what, self.next)),
            Weight::Warn => proposal.notes.push(self.note()),
        }
    }
}

/// What is asked of a host before its findings can be told.
pub(super) type Asked = (Paths, Knocked);

/// What to ask of a host.
pub(super) fn asked(probe: &Probe<'_>, seen: &Seen) -> Asked {
    let knock = join::knock(probe, seen);
    (files::paths(seen), Knocked(knock.into_iter().collect()))
}

/// Everything of the catalogue that can be seen on one host without searching its files.
pub(super) fn judge(
    seen: &Seen,
    standing: Option<&Standing>,
    (stats, heard): &<Asked as Fact>::Value,
) -> Vec<Finding> {
    let mut found = files::judge(seen, stats);
    found.extend(files::disagree(seen, &in_flight(seen, standing)));
    found.extend(files::set_twice(seen));
    found.extend(seen.install.remarks.iter().cloned().map(Finding::of_fault));
    found.extend(standing.into_iter().flat_map(|it| files::stale(seen, it)));
    found.extend(heard.first().and_then(|heard| join::judge(seen, heard)));
    found
}

/// Secrets between which a host may stand while a rotation goes on.
fn in_flight(seen: &Seen, standing: Option<&Standing>) -> Vec<Secret> {
    let both = standing
        .into_iter()
        .flat_map(|it| it.old.iter().chain([&it.new, &it.datastore]));
    let kept = [seen.kept(), seen.staged()].into_iter().flatten();
    both.cloned().chain(kept).collect()
}
