//! The unit of K3s: whether it runs, and what its restart would be.

use std::time::Duration;

use crate::facts::{JournalSince, NodeName, Probe};
use crate::k3s::install::Kind;
use crate::k3s::journal;
use crate::k3s::phase::{Phase, Standing};
use crate::k3s::token::TokenKind;
use crate::op::{Op, Until};
use crate::steps::findings::{Finding, last_sign};
use crate::steps::look::{Cluster, Seen, ServerSeen};
use crate::steps::{Proposal, StepError, Unmet};

/// What stands in the way, and what is only said: before a rotation every host must be well; once it has begun, forward is right, and a sick agent is only named.
pub(super) async fn judge(
    probe: &Probe<'_>,
    seen: &Seen,
    cluster: &Cluster,
    proposal: &mut Proposal,
) -> Vec<Finding> {
    let mut found = Vec::new();
    let standing = cluster.standing.as_ref().ok();
    let (host, unit) = (&seen.host, &seen.unit);
    if unit.needs_reload {
        proposal.unmet.push(Unmet::new(
            "needs-daemon-reload",
            format!(
                "unit files of {} on {host} were changed since systemd read them",
                unit.text.id
            ),
            format!("run `systemctl daemon-reload` on {host}"),
        ));
    }
    if unit.file_state != "enabled" && !unit.file_state.is_empty() {
        let (id, state) = (&unit.text.id, &unit.file_state);
        let what = format!("{id} on {host} is {state}: it will not start by itself at boot");
        found.push(Finding::of("unit-not-enabled", what).on(seen));
    }
    if unit.is_active() {
        found.extend(untried(seen, standing));
        return found;
    }
    if unit.is_first_start() && !is_turned_away(probe, seen).await {
        proposal.ops.push(wait(seen));
        return found;
    }
    let mut what = format!("{} on {host} is {}", unit.text.id, unit.words());
    let mut next = match seen.install.kind {
        Kind::Server => to_the_rescue(seen),
        Kind::Agent => seen.to_start_it(),
    };
    if let Some((line, sign)) = last_sign(probe, seen, 20).await {
        what = format!("{what}: {}", sign.meaning);
        next = behind_its_peer(seen, &line, cluster)
            .or_else(|| way_back(seen, &line))
            .unwrap_or(next);
    }
    if seen.install.kind == Kind::Agent && standing.is_some_and(Standing::is_rotated) {
        proposal.notes.push(what);
    } else {
        proposal
            .unmet
            .push(Unmet::new("unit-not-active", what, next));
    }
    found
}

/// A node that was renamed in its configuration, and has not been started since, would join as another one.
pub(super) async fn renamed(probe: &Probe<'_>, seen: &Seen) -> Result<Option<Unmet>, StepError> {
    let is_changed = seen.is_newer_than_process() || !seen.started_after_change();
    let wanted = seen.install.node_name.as_ref();
    let Some(wanted) = wanted.filter(|_| seen.install.has_node && is_changed) else {
        return Ok(None);
    };
    let certificate = seen.kubelet_certificate();
    let is = probe.get(NodeName { certificate }).await?;
    let is = is.filter(|is| !is.eq_ignore_ascii_case(wanted));
    let (host, unit) = (&seen.host, &seen.unit.text.id);
    Ok(is.map(|is| {
        Unmet::new(
            "node-renamed",
            format!("{host} is node {is}, and is configured to be {wanted}: its next start would join it as another node"),
            format!("put the name {is} back; or restart {unit} on {host} by hand, remove node {is} (kubectl delete node {is}), then run the same command again"),
        )
    }))
}

/// Its first start goes on, after a reboot or a run that was cut: it is waited for, a crash loop is not.
fn wait(seen: &Seen) -> Op {
    let unit = seen.unit.text.id.clone();
    let why = format!("wait until {unit} has started");
    let until = Until::Restarted {
        unit,
        before: String::new(),
    };
    Op::wait(&seen.host, why, until, Duration::from_mins(5))
}

/// Whether the start that goes on is an agent's that no server lets in: it goes on for ever.
async fn is_turned_away(probe: &Probe<'_>, seen: &Seen) -> bool {
    if seen.install.kind != Kind::Agent {
        return false;
    }
    let invocation = seen.unit.invocation.clone();
    // Without a journal it is waited for.
    let lines = probe.get(JournalSince { invocation }).await.ok().flatten();
    let mut lines = lines.iter().flatten().rev();
    let last = lines.find(|line| journal::sign(line).is_some());
    last.is_some_and(|line| journal::is_of_token(line))
}

/// A server is started by a rescue alone, which sees to its token first: by hand it could meet the trap of two stages.
fn to_the_rescue(seen: &Seen) -> String {
    format!(
        "restart no server; first: keyroll rescue {} -i INVENTORY; then run the same command again",
        seen.host
    )
}

/// A token that keeps it from starting is what `rescue` is for: no other server is restarted before.
fn way_back(seen: &Seen, line: &str) -> Option<String> {
    journal::is_of_token(line).then(|| match seen.install.kind {
        Kind::Server => to_the_rescue(seen),
        Kind::Agent => format!(
            "keyroll rescue {} -i INVENTORY; then run the same command again",
            seen.host
        ),
    })
}

/// A server without data that was started with NEW while the server it joins still has OLD in memory comes up when
/// that one was restarted; keyroll itself restarts none while another is down.
fn behind_its_peer(seen: &Seen, line: &str, cluster: &Cluster) -> Option<String> {
    let standing = cluster.standing.as_ref().ok()?;
    let waits = journal::is_refused_by_peer(line) && seen.surface() == Some(&standing.datastore);
    let flipped = |server: &&ServerSeen| {
        server.seen.unit.is_active() && standing.phase(&server.seen.host) == Some(Phase::Flipped)
    };
    let peer = cluster.servers.iter().filter(|_| waits).find(flipped)?;
    Some(format!(
        "it waits for {} to take the new token too: there, as root: systemctl restart {}; then run the same command again",
        peer.seen.host, peer.seen.unit.text.id
    ))
}

/// A configuration, or a unit, that was changed after the start has never been tried: the restart of a rotation would try
/// it. What keyroll itself left there, with OLD kept beside it, is no such change, and what systemd has not read yet stands
/// in the way.
fn untried(seen: &Seen, standing: Option<&Standing>) -> Option<Finding> {
    let before = standing.is_some_and(|standing| !standing.is_rotated());
    let is_left = |kind| seen.kept_of(kind).is_some() || seen.proven_of(kind).is_some();
    let is_ours = is_left(TokenKind::Server) || is_left(TokenKind::Agent);
    let changed = seen.is_newer_than_process() || !seen.started_after_change();
    // Its restart is no harmless trial: the one after it would be fatal (measured: sqlite-agent-token).
    let is_trap = seen.has_untaken_agent_token();
    let untried = before && !is_ours && !is_trap && changed && !seen.unit.needs_reload;
    let (host, unit) = (&seen.host, &seen.unit.text.id);
    untried.then(|| {
        let what = format!("the configuration of {host} was changed after {unit} started: the restart of this rotation will be the first to try it");
        Finding::of("configuration-untried", what)
    })
}
