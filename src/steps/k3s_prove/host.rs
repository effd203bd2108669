//! What one host's own files, unit and journal say beside the answers of its supervisor.

use crate::facts::{FactError, JournalHas, JournalSince, Probe};
use crate::k3s::install::{Kind, is_of_owner};
use crate::k3s::journal::{self, Sign};
use crate::k3s::phase::{Phase, Standing, names};
use crate::k3s::token::TokenKind;
use crate::secret::Secret;
use crate::steps::findings::Finding;
use crate::steps::k3s_token::olds;
use crate::steps::look::{Cluster, Seen};
use crate::steps::{Proposal, StepError, Unmet};

/// Adds everything that speaks against this host.
pub(super) async fn judge(
    probe: &Probe<'_>,
    seen: &Seen,
    cluster: &Cluster,
    standing: &Standing,
    proposal: &mut Proposal,
) -> Result<(), StepError> {
    for fault in &seen.install.faults {
        // It stands in the way of a change on the host, and hides no token.
        if is_of_owner(fault) {
            proposal.notes.push(Finding::of_fault(fault.clone()).note());
        } else {
            let unmet = Unmet::of_fault(fault);
            proposal.unmet.push(Unmet { red: true, ..unmet });
        }
    }
    let olds = olds(probe, seen, standing);
    proposal.unmet.extend(leftovers(seen, &olds));
    proposal.unmet.extend(written_back(seen, standing, &olds));
    proposal.unmet.extend(disagreements(seen, standing));
    proposal.unmet.extend(pins(seen, cluster));
    proposal.unmet.extend(authority(seen, cluster));
    if let Some(unread) = seen.unread_ca() {
        proposal.doubt(unread);
    }
    if let Some(file) = &seen.install.log {
        let host = &seen.host;
        proposal.doubt(format!(
            "K3s on {host} writes its log to {file}, which was not read"
        ));
    }
    if let Some(hidden) = seen.hidden() {
        proposal.doubt(format!(
            "{}: its next start may take another token",
            hidden.what
        ));
    }
    if is_untried(seen) {
        proposal.doubt(untried(seen));
    }
    proposal.unmet.extend(unread_unit(seen));
    of_journal(probe, seen, proposal).await
}

fn red(name: &'static str, what: String, next: impl Into<String>) -> Unmet {
    Unmet::red(name, what, next)
}

/// OLD in any place that K3s could take it from, the winner apart, of which its phase tells.
fn leftovers(seen: &Seen, olds: &[Secret]) -> Vec<Unmet> {
    let host = &seen.host;
    let waits = seen.waiting_text().unwrap_or_default();
    let losers = seen.install.surfaces.iter().skip(1);
    // Of the agent token the first counts as well: it is taken at the next start.
    let agents = seen.install.agent_surfaces.iter();
    let agents = agents.filter(|_| seen.about == TokenKind::Server);
    let mut unmet: Vec<Unmet> = losers
        .chain(agents)
        .filter(|surface| olds.contains(&surface.token.secret))
        .map(|surface| {
            let file = &surface.file;
            red(
                "old-on-surface",
                format!("{file} on {host} still holds the old token"),
                format!("take the token out of {file} on {host}"),
            )
        })
        .collect();
    // Wherever in it: the configuration may have been edited since.
    if olds.iter().any(|old| waits.contains(old.expose())) {
        unmet.push(red(
            "old-waits-beside-surface",
            format!("a file with the old token waits beside the configuration of {host}"),
            format!("remove it on {host}, and see who put it there"),
        ));
    }
    unmet
}

/// OLD in the files of a server whose process has NEW. One that has OLD is told of by its phase.
fn written_back(seen: &Seen, standing: &Standing, olds: &[Secret]) -> Option<Unmet> {
    let runs_with_new = matches!(
        standing.phase(&seen.host),
        Some(Phase::New | Phase::Reverted)
    );
    if seen.install.kind != Kind::Server || !runs_with_new {
        return None;
    }
    let files = [
        (seen.about.own_file(), seen.on_disk()),
        ("server/cred/passwd", seen.in_passwd()),
        ("server/cred/passwd", seen.passwd().node),
    ];
    // The cluster's own token is in its files, old or not.
    let is_old = |secret: &Option<Secret>| {
        let other = secret.as_ref().filter(|secret| **secret != standing.new);
        other.is_some_and(|secret| olds.contains(secret))
    };
    let (at, (file, _)) = files
        .iter()
        .enumerate()
        .find(|(_, (_, secret))| is_old(secret))?;
    let (host, path) = (&seen.host, seen.install.data(file));
    // The last is the row of agents.
    let how = if at < 2 {
        ", which the running process does not"
    } else {
        " as that of agents"
    };
    Some(red(
        "old-in-files",
        format!("{path} on {host} holds the old token{how}"),
        format!("see who wrote {path} on {host}; do not restart it before that is clear"),
    ))
}

/// With two different tokens configured nobody can say which one the next change would let win.
fn disagreements(seen: &Seen, standing: &Standing) -> Vec<Unmet> {
    seen.disagreements(Some(standing))
        .into_iter()
        .map(|unmet| Unmet { red: true, ..unmet })
        .collect()
}

/// A K10 form that names another CA than the servers have, who agree: with it K3s hangs at its next start.
fn pins(seen: &Seen, cluster: &Cluster) -> Option<Unmet> {
    let mut servers = cluster.servers.iter();
    let theirs = servers.find_map(|server| server.seen.ca_hash());
    let actual = theirs.or_else(|| seen.ca_hash())?;
    let mut surfaces = seen.install.surfaces.iter();
    let stale = surfaces.find(|surface| {
        surface
            .token
            .hash()
            .is_some_and(|pinned| *pinned != *actual)
    })?;
    Some(red(
        "stale-ca-hash",
        format!(
            "the token in {} on {} pins a CA that is not this cluster's",
            stale.file, seen.host
        ),
        format!("write the hash {actual} into the K10 part of that token"),
    ))
}

/// The CA is the one of before, and the one that the servers have.
fn authority(seen: &Seen, cluster: &Cluster) -> Vec<Unmet> {
    let Some(now) = seen.ca_hash() else {
        return Vec::new();
    };
    let mut unmet = Vec::new();
    if seen.kept_ca().is_some_and(|before| before != now) {
        unmet.push(red(
            "ca-changed",
            format!(
                "the cluster's CA on {} is not the one of before the rotation",
                seen.host
            ),
            "a rotation of the token changes no CA: find out who did, and what else was changed",
        ));
    }
    let servers = cluster.servers.iter().map(|server| &server.seen);
    let mut others = servers
        .filter(|server| server.ca_hash().is_some_and(|hash| hash != now))
        .map(|server| &server.host)
        .peekable();
    if others.peek().is_some() {
        unmet.push(red(
            "ca-differs",
            format!("{} trusts another CA than {}", seen.host, names(others)),
            "see which of them belongs to this cluster: one that does not is taken out of the inventory; a change of the CA that was begun (k3s certificate rotate-ca) is finished by a restart of each server, then of each agent",
        ));
    }
    unmet
}

/// Whether something that it is set up with, and that holds no token itself, was changed after its process started: of
/// files with a token and of what systemd has not read others tell.
fn is_untried(seen: &Seen) -> bool {
    let is_own = seen.about == TokenKind::Server || seen.install.kind == Kind::Agent;
    is_own
        && seen.unit.is_active()
        && seen.started_after_change()
        && !seen.unit.needs_reload
        && seen.is_newer_than_process()
}

fn untried(seen: &Seen) -> String {
    format!(
        "files that {} on {} is set up with were changed after its process started: its next start will be the first to try them",
        seen.unit.text.id, seen.host
    )
}

/// systemd would start it again with another text than it was started with.
fn unread_unit(seen: &Seen) -> Option<Unmet> {
    let unit = &seen.unit.text.id;
    seen.unit.needs_reload.then(|| {
        red(
            "needs-daemon-reload",
            format!(
                "unit files of {unit} on {} were changed since systemd read them",
                seen.host
            ),
            format!(
                "look at what was changed, then run `systemctl daemon-reload` on {}",
                seen.host
            ),
        )
    })
}

fn latest(lines: &[String], of: fn(&str) -> Option<&'static Sign>) -> Option<&'static Sign> {
    lines.iter().rev().find_map(|line| of(line))
}

/// What has been overcome is worth a word while it is recent; what lasts is searched for in all that the process has said.
async fn of_journal(
    probe: &Probe<'_>,
    seen: &Seen,
    proposal: &mut Proposal,
) -> Result<(), StepError> {
    if !seen.unit.is_active() {
        return Ok(());
    }
    let invocation = || seen.unit.invocation.clone();
    let asked = (
        JournalSince {
            invocation: invocation(),
        },
        JournalHas {
            invocation: invocation(),
            parts: &journal::LASTING,
        },
    );
    let (host, unit) = (&seen.host, &seen.unit.text.id);
    let (last, told) = match probe.get_now(host, asked).await {
        Ok((Some(last), Some(told))) => (last, told),
        Ok(_) | Err(FactError::Unreadable { .. }) => {
            proposal.doubt(format!("the journal of {unit} on {host} cannot be read"));
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    if let Some(sign) = latest(&last, journal::overcome) {
        let meaning = sign.meaning;
        proposal.notes.push(format!(
            "the journal of {unit} on {host} said since its start: {meaning}; it has gone on since"
        ));
    }
    if let Some(sign) = latest(&told, journal::lasting) {
        let meaning = sign.meaning;
        proposal.unmet.push(red(
            "journal-speaks-against-it",
            format!("the journal of {unit} on {host} says since its start: {meaning}"),
            format!("journalctl -u {unit} on {host}"),
        ));
    }
    Ok(())
}
