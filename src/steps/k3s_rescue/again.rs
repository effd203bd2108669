//! The restart after the first good start, which shows that the server would come back by itself.

use super::examine::decided;
use crate::facts::Probe;
use crate::op::{Act, Op};
use crate::secret::Content;
use crate::steps::k3s_restart::{SERVER, restart_of_server};
use crate::steps::look::Seen;
use crate::steps::{Proposal, StepError, Unmet};
use crate::wire::WriteFile;

/// Leaves word of how far a rescue has come: `begun`, or `first` and the invocation of the first good start.
pub(super) fn mark(seen: &Seen, text: &str) -> Op {
    let file = WriteFile::private(seen.rescue_path(), Content::new(format!("{text}\n")));
    Op::root(
        &seen.host,
        "leave word of how far the rescue is",
        Act::WriteFile(file),
    )
}

pub(super) async fn propose(probe: &Probe<'_>, seen: &Seen) -> Result<Proposal, StepError> {
    let Some(word) = seen.rescue() else {
        return Ok(Proposal::default());
    };
    let first = word.strip_prefix("first ");
    let remove = |path| {
        let why = "forget how far the rescue was: it is over";
        Op::root(&seen.host, why, Act::Remove { path })
    };
    let replaced = seen.replaced().map(|_| remove(seen.replaced_path()));
    let forget = replaced.into_iter().chain([remove(seen.rescue_path())]);
    if seen.unit.is_active() && first.is_some_and(|first| first != seen.unit.invocation) {
        return Ok(Proposal::of(forget.collect()));
    }
    let (cluster, right) = match decided(probe, seen).await? {
        Ok(decided) => decided,
        Err(unmet) => return Ok(Proposal::refuse(unmet)),
    };
    let mut unmet: Vec<Unmet> = cluster.unwell_beside(probe, &seen.host).await?;
    unmet.extend(cluster.fatal(&seen.host));
    if seen.surface() != Some(&right) {
        unmet.push(Unmet::new(
            "restart-would-be-fatal",
            format!(
                "{} must not be restarted: its configuration does not have the datastore's token",
                seen.host
            ),
            "run the same command again, which brings its configuration in line first",
        ));
    }
    let mut ops = vec![mark(seen, &format!("first {}", seen.unit.invocation))];
    ops.extend(restart_of_server(seen, SERVER, &right));
    ops.extend(forget);
    Ok(Proposal {
        ops,
        unmet,
        ..Proposal::default()
    })
}
