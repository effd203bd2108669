//! NEW waits beside every surface, and OLD is kept where the proof and a roll back can find it.

use super::{Mode, look_for_obstacles, write};
use crate::facts::Probe;
use crate::k3s::token::{TokenKind, full};
use crate::op::{Act, Op};
use crate::secret::{Content, Secret};
use crate::steps::look::{Cluster, Seen};
use crate::steps::{Proposal, StepError};
use crate::wire::WriteFile;

pub(super) async fn propose(
    probe: &Probe<'_>,
    seen: &Seen,
    mode: Mode,
) -> Result<Proposal, StepError> {
    let cluster = Cluster::around(probe, seen.about).await;
    let standing = match cluster.standing()? {
        Ok(standing) => standing,
        Err(unmet) => return Ok(Proposal::refuse(unmet)),
    };
    let odd = seen.disagreements(Some(standing));
    if !odd.is_empty() {
        return Ok(Proposal::refuse(odd));
    }
    let mut ops = Vec::new();
    if let Some(old) = standing
        .old
        .as_ref()
        .filter(|old| seen.kept().as_ref() != Some(old))
    {
        ops.push(keep(seen, old));
    }
    for edit in seen.edits(&standing.new) {
        if seen.file(&edit.surface.staged()) != Some(&edit.content) {
            let word = seen.about.short();
            let why = format!("let the new {word} wait beside {}", edit.surface.file);
            ops.push(write(seen, &edit, edit.surface.staged(), mode, &why));
        }
    }
    let mut proposal = Proposal::of(ops);
    if !proposal.ops.is_empty() {
        proposal.unmet = look_for_obstacles(probe, seen).await?;
    }
    if standing.given_passed_over {
        proposal.notes.push(passed_over(seen.about));
    }
    Ok(proposal)
}

fn passed_over(kind: TokenKind) -> String {
    let option = match kind {
        TokenKind::Server => "--new-token-from",
        TokenKind::Agent => "--new-agent-token-from",
    };
    format!(
        "an unfinished rotation was found and is finished with its own token; the token from {option} was not used: run the command again afterwards to rotate to it"
    )
}

/// With the CA hash of today, so that the proof sees whether the CA is still the same.
fn kept(seen: &Seen, old: &Secret) -> String {
    match seen.ca_hash() {
        Some(hash) => format!("{}\n", full(&hash, seen.about.role().user(), old)),
        None => format!("{}\n", old.expose()),
    }
}

fn keep(seen: &Seen, old: &Secret) -> Op {
    let file = WriteFile::private(seen.kept_path(), Content::new(kept(seen, old)));
    let word = seen.about.short();
    let why = format!("keep the old {word} until the proof");
    Op::root(&seen.host, why, Act::WriteFile(file))
}
