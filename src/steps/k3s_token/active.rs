//! The surface holds NEW: what waits beside it is renamed over it.

use super::{Mode, write};
use crate::facts::Probe;
use crate::k3s::install::Kind;
use crate::k3s::phase::Phase;
use crate::k3s::token::TokenKind;
use crate::op::{Act, Op};
use crate::secret::Secret;
use crate::steps::k3s_restart::restart_waiting;
use crate::steps::look::{AgentStanding, Cluster, Edit, Seen};
use crate::steps::{Proposal, StepError, Unmet};
use crate::wire::{Guard, Holds};

pub(super) async fn on_server(
    probe: &Probe<'_>,
    seen: &Seen,
    mode: Mode,
) -> Result<Proposal, StepError> {
    let cluster = Cluster::around(probe, seen.about).await;
    let standing = match cluster.standing()? {
        Ok(standing) => standing,
        Err(unmet) => return Ok(Proposal::refuse(unmet)),
    };
    // What waits there may be the other token's.
    if seen.about == TokenKind::Agent && standing.old.is_none() {
        return Ok(Proposal::default());
    }
    let mut proposal = Proposal::of(flip(seen, &standing.new, mode));
    proposal.unmet = seen.disagreements(Some(standing));
    let is_needed = seen.about == TokenKind::Server && !proposal.ops.is_empty();
    if standing.phase(&seen.host) == Some(Phase::Reverted) {
        proposal.notes.push(reverted(seen));
    }
    if is_needed && !standing.is_rotated() {
        proposal.unmet.push(Unmet::new(
            "not-rotated",
            "the datastore is not encrypted with the new token yet: a server that started with it now would fail for ever",
            "let `k3s_token: { state: rotated }` come first",
        ));
    }
    if is_needed {
        proposal.unmet.extend(cluster.unwitnessed(standing));
    }
    Ok(proposal)
}

/// Whoever wrote OLD back, such as a configuration manager, will do so again.
fn reverted(seen: &Seen) -> String {
    let file = seen.install.winner().map(|surface| &surface.file);
    let file = file.map_or_else(String::new, |file| format!(" into {file}"));
    format!(
        "{}: something has written the old token back{file} since it took the new one; find what does (a configuration manager, a template, a cron job), or it will again",
        seen.host
    )
}

/// What brings every surface of a server to `secret`.
pub(in crate::steps) fn flip(seen: &Seen, secret: &Secret, mode: Mode) -> Vec<Op> {
    let edits = seen.edits(secret);
    let mut ops = Vec::new();
    for edit in &edits {
        let (from, to) = (edit.surface.staged(), edit.surface.file.clone());
        if seen.file(&from) != Some(&edit.content) {
            let why = format!("write {to} anew beside it");
            ops.push(write(seen, edit, from.clone(), mode, &why));
        }
        let (why, reload) = (
            format!("let {to} name the right token"),
            edit.surface.place.is_unit_text(),
        );
        let waiting = Guard {
            path: from.clone(),
            holds: Holds::Bytes(edit.content.clone()),
        };
        let rename = Op::root(&seen.host, why, Act::Rename { from, to });
        let guards = seen.unchanged(edit.surface).into_iter().chain([waiting]);
        ops.push(rename.guarded(guards).reloading(reload));
    }
    let flipped: Vec<_> = edits.iter().map(|edit| edit.surface.staged()).collect();
    let leftovers = seen
        .install
        .surfaces
        .iter()
        .map(crate::k3s::surface::Surface::staged);
    for path in leftovers.filter(|path| !flipped.contains(path) && seen.file(path).is_some()) {
        ops.push(Op::root(
            &seen.host,
            "remove what waited here",
            Act::Remove { path },
        ));
    }
    ops
}

pub(super) async fn on_agent(
    probe: &Probe<'_>,
    seen: &Seen,
    mode: Mode,
) -> Result<Proposal, StepError> {
    let cluster = Cluster::around(probe, seen.about).await;
    let standing = match cluster.standing()? {
        Ok(standing) => standing,
        Err(unmet) => return Ok(Proposal::refuse(unmet)),
    };
    match AgentStanding::look(probe, seen, standing).await? {
        AgentStanding::New => Ok(Proposal::default()),
        AgentStanding::Foreign(why) => Ok(Proposal::note(format!(
            "{} keeps its token: {why}",
            seen.host
        ))),
        AgentStanding::Old => {
            let edits = seen.edits(&standing.new);
            let mut ops: Vec<Op> = edits.iter().map(|edit| over(seen, edit, mode)).collect();
            // One that waits to be let in serves nobody: it need not wait for its batch too.
            if seen.unit.active_state == "activating" {
                ops.extend(restart_waiting(seen));
            }
            Ok(Proposal {
                ops,
                unmet: cluster
                    .not_on_new(standing)
                    .into_iter()
                    .chain(seen.disagreements(Some(standing)))
                    .collect(),
                ..Proposal::default()
            })
        }
    }
}

/// Writes an agent's surface at once: nothing has to happen between staging and flip there.
pub(in crate::steps) fn over(seen: &Seen, edit: &Edit<'_>, mode: Mode) -> Op {
    debug_assert_eq!(
        seen.install.kind,
        Kind::Agent,
        "a server's surface is staged first"
    );
    let path = edit.surface.file.clone();
    let why = format!("let {path} name the new token");
    write(seen, edit, path, mode, &why).reloading(edit.surface.place.is_unit_text())
}
