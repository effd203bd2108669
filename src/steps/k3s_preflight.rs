//! `k3s_preflight`: looks at a host before anything is changed, and says everything that stands in the way at once.
//! The first server also speaks for the fleet.

mod around;
mod clocks;
mod flags;
mod fleet;
mod measured;
mod process;

use std::time::Duration;

use serde::Deserialize;

use super::findings::{last_sign, of_host as findings_of_host};
use super::k3s_restart::stale_pin;
use super::k3s_token::obstacles;
use super::look::{AgentStanding, Cluster, Seen, ServerSeen};
use super::{Proposal, StepError, Unmet};
use crate::facts::{FactError, FreeSpace, K3sVersion, Probe};
use crate::k3s::install::Kind;
use crate::k3s::journal;
use crate::k3s::knock::Heard;
use crate::k3s::phase::{Phase, Standing};
use crate::op::{Op, Until};

/// Free space that writing tokens and a restart need, in KiB.
const FREE_KIB: u64 = 20 * 1024;

/// `k3s_preflight`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct K3sPreflight {}

impl K3sPreflight {
    pub(super) async fn propose(&self, probe: &Probe<'_>) -> Result<Proposal, StepError> {
        let seen = match Seen::own(probe).await? {
            Ok(seen) => seen,
            Err(unmet) => return Ok(Proposal::refuse(unmet)),
        };
        let cluster = Cluster::around(probe).await;
        let mut proposal = Proposal::refuse(of_host(probe, &seen).await?);
        proposal
            .unmet
            .extend(seen.disagreements(cluster.standing.as_ref().ok()));
        for finding in findings_of_host(probe, &seen, cluster.standing.as_ref().ok()).await? {
            finding.into_proposal(&mut proposal);
        }
        proposal
            .unmet
            .extend(seen.hidden().iter().map(Unmet::of_fault));
        let several = seen.same_token().map(|said| said.what);
        proposal.notes.extend(several);
        if probe.speaks_for_fleet() {
            fleet::judge(probe, &cluster, &mut proposal).await?;
        } else if let Ok(standing) = cluster.standing()? {
            of_agent(probe, &seen, &cluster, standing, &mut proposal).await?;
        }
        around::judge(probe, &seen, &mut proposal).await?;
        let process = process::judge(probe, &seen, &cluster).await?;
        proposal.unmet.extend(process);
        of_unit(probe, &seen, &cluster, &mut proposal).await;
        Ok(proposal)
    }
}

async fn of_host(probe: &Probe<'_>, seen: &Seen) -> Result<Vec<Unmet>, StepError> {
    let host = &seen.host;
    let mut unmet: Vec<Unmet> = seen
        .install
        .faults
        .iter()
        .map(Unmet::of_fault)
        .chain(stale_pin(seen))
        .collect();
    let (place, wanted) = match (seen.install.kind, probe.fleet().is_server(host)) {
        (Kind::Server, false) => ("server", "servers"),
        (Kind::Agent, true) => ("agent", "agents"),
        _ => ("", ""),
    };
    if !place.is_empty() {
        unmet.push(Unmet::new(
            "wrong-group",
            format!("{} on {host} runs `k3s {place}`, but the inventory does not have {host} among the {wanted}", seen.unit.text.id),
            format!("move {host} to the group of {wanted}"),
        ));
    }
    if seen.install.kind == Kind::Server {
        unmet.extend(of_server(probe, seen).await?);
    }
    let space = probe.get(FreeSpace(seen.install.data_dir.clone())).await;
    match space {
        Ok(free) if free < FREE_KIB => unmet.push(Unmet::new(
            "disk-full",
            format!(
                "{host} has only {free} KiB free below {}",
                seen.install.data_dir
            ),
            format!("free {} MiB there", FREE_KIB / 1024),
        )),
        Ok(_) | Err(FactError::Unreadable { .. }) => {
            unmet.extend(obstacles(probe, seen).await?);
        }
        Err(error) => return Err(error.into()),
    }
    Ok(unmet)
}

async fn of_server(probe: &Probe<'_>, seen: &Seen) -> Result<Vec<Unmet>, StepError> {
    let host = &seen.host;
    let mut unmet = Vec::new();
    let version = probe
        .get(K3sVersion {
            k3s: seen.k3s.clone(),
        })
        .await?;
    if !version.can_rotate() {
        unmet.push(Unmet::new(
            "version-cannot-rotate",
            format!("{host} has K3s {version}, which cannot rotate its token"),
            "upgrade to v1.25.15, v1.26.10, v1.27.7, v1.28.3 or later first",
        ));
    }
    if seen.install.surfaces.is_empty() {
        let what = format!(
            "no token was found on {host}, neither configured nor in {}",
            seen.install.data("server/token")
        );
        unmet.push(Unmet::new(
            "no-token",
            what,
            format!("see whether K3s ever started on {host}"),
        ));
    }
    Ok(unmet)
}

async fn of_agent(
    probe: &Probe<'_>,
    seen: &Seen,
    cluster: &Cluster,
    standing: &Standing,
    proposal: &mut Proposal,
) -> Result<(), StepError> {
    if seen.install.kind == Kind::Server {
        return Ok(());
    }
    let theirs = cluster
        .servers
        .iter()
        .find_map(|server| server.seen.ca_hash());
    if let (Some(ours), Some(theirs)) = (seen.ca_hash(), theirs)
        && ours != theirs
    {
        proposal.unmet.push(Unmet::new(
            "another-cluster",
            format!(
                "{} trusts another CA than the servers have: it belongs to another cluster",
                seen.host
            ),
            format!(
                "take {} out of the inventory, or join it to this cluster",
                seen.host
            ),
        ));
    }
    let agent = AgentStanding::look(probe, seen, standing).await?;
    if agent == AgentStanding::Old
        && !standing.is_rotated()
        && seen.unit.is_active()
        && AgentStanding::knock(probe, seen).await?.1 == Heard::Rejected
    {
        proposal.notes.push(format!("the token that {} is configured with is refused already; its client certificate lets it in", seen.host));
    }
    if let AgentStanding::Foreign(why) = agent {
        proposal
            .notes
            .push(format!("{} keeps its token: {why}", seen.host));
    }
    Ok(())
}

/// Before a rotation every host must be well; once it has begun, forward is right, and a sick agent is only named.
async fn of_unit(probe: &Probe<'_>, seen: &Seen, cluster: &Cluster, proposal: &mut Proposal) {
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
        proposal.notes.push(format!(
            "{} on {host} is {}: it will not start by itself at boot",
            unit.text.id, unit.file_state
        ));
    }
    if unit.is_active() {
        proposal.notes.extend(untried(seen, standing));
        return;
    }
    if unit.active_state == "activating" && unit.n_restarts == 0 {
        proposal.ops.push(wait(seen));
        return;
    }
    let mut what = format!("{} on {host} is {}", unit.text.id, unit.words());
    let mut next = format!("get {} to run on {host} first", unit.text.id);
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

/// A token that keeps it from starting is what `rescue` is for: no other server is restarted before.
fn way_back(seen: &Seen, line: &str) -> Option<String> {
    journal::is_of_token(line).then(|| {
        format!(
            "restart no server; first: keyroll rescue {}; then run the same command again",
            seen.host
        )
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

/// A configuration that was changed after the start has never been tried: the restart of a rotation would try it.
/// What keyroll itself left there, with OLD kept beside it, is no such change.
fn untried(seen: &Seen, standing: Option<&Standing>) -> Option<String> {
    let before = standing.is_some_and(|standing| !standing.is_rotated());
    let is_ours = seen.kept().is_some() || seen.proven().is_some();
    let untried =
        seen.install.kind == Kind::Server && before && !is_ours && !seen.started_after_change();
    let (host, unit) = (&seen.host, &seen.unit.text.id);
    untried.then(|| format!("the configuration of {host} was changed after {unit} started: the restart of this rotation will be the first to try it"))
}
