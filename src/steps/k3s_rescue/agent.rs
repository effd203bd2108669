//! An agent whose token is refused, or pins another CA: its configuration gets the token that the servers accept.

use crate::facts::{Journal, Knocked, Probe};
use crate::k3s::journal;
use crate::k3s::knock::{Heard, Knock, Role};
use crate::k3s::token::{Form, TokenKind};
use crate::op::Op;
use crate::secret::Secret;
use crate::steps::k3s_preflight::differ;
use crate::steps::k3s_restart::restart_waiting;
use crate::steps::k3s_token::{Mode, write_in_place};
use crate::steps::look::{Cluster, Seen, ServerSeen};
use crate::steps::{Proposal, StepError, Unmet};

/// What an agent needs beside a restart.
pub(super) struct Cure {
    /// Its set-up, with the CA's hash as it should be.
    patched: Seen,
    /// The secret that goes there; `None` when what is there is right.
    secret: Option<Secret>,
}

/// Looks at an agent and at what the servers accept; `None` when nothing is wrong with its token and it runs.
pub(super) async fn examine(
    probe: &Probe<'_>,
    seen: &Seen,
) -> Result<Result<Option<Cure>, Vec<Unmet>>, StepError> {
    let faults: Vec<Unmet> = seen.install.faults.iter().map(Unmet::of_fault).collect();
    if !faults.is_empty() {
        return Ok(Err(faults));
    }
    let cluster = Cluster::now(probe, TokenKind::Server).await;
    if let Some(stranger) = cluster.stranger(seen) {
        return Ok(Err(vec![stranger]));
    }
    let accepted = match accepted(probe, seen, &cluster).await? {
        Ok(accepted) => accepted,
        Err(unmet) => return Ok(Err(vec![unmet])),
    };
    let Some(own) = seen.surface() else {
        return Ok(Err(vec![no_token(seen)]));
    };
    let hash = cluster.servers.iter().find_map(|server| server.seen.pin());
    let surfaces = seen.install.surfaces.iter();
    let mut pins = surfaces.filter_map(|surface| surface.token.hash());
    // Where nothing is pinned no hash is needed.
    let is_pin_right = match &hash {
        Some(hash) => pins.all(|pin| pin == hash),
        None => match pins.next() {
            Some(_) => return Ok(Err(vec![bundle(seen)])),
            None => true,
        },
    };
    let is_right = accepted.contains(own) && is_pin_right;
    if is_right && seen.unit.is_active() && seen.started_after_change() {
        return Ok(Ok(None));
    }
    if is_right && seen.started_after_change() && seen.unit.active_state != "inactive" {
        return Ok(Err(vec![unknown(probe, seen).await?]));
    }
    let kept = accepted.contains(own).then(|| own.clone());
    let secret = kept
        .or_else(|| accepted.first().cloned())
        .filter(|_| !is_right);
    Ok(Ok(Some(Cure {
        patched: patched(seen, hash.as_deref()),
        secret,
    })))
}

/// Secrets that every running server accepts from agents, those of `cred/passwd` first.
async fn accepted(
    probe: &Probe<'_>,
    seen: &Seen,
    cluster: &Cluster,
) -> Result<Result<Vec<Secret>, Unmet>, StepError> {
    let mut candidates: Vec<Secret> = Vec::new();
    let rows = cluster
        .servers
        .iter()
        .filter_map(|server| server.seen.passwd().node);
    let held = cluster
        .servers
        .iter()
        .filter_map(|server| server.memory.secret().cloned());
    for secret in rows.chain(held).chain(seen.surface().cloned()) {
        if !candidates.contains(&secret) {
            candidates.push(secret);
        }
    }
    let running: Vec<&ServerSeen> = cluster
        .servers
        .iter()
        .filter(|server| server.memory.secret().is_some())
        .collect();
    if running.is_empty() {
        return Ok(Err(no_server(seen)));
    }
    for server in running {
        let knock = |secret: &Secret| Knock {
            door: server.seen.door(),
            role: Role::Node,
            secret: secret.clone(),
        };
        let knocks = Knocked(candidates.iter().map(knock).collect());
        let heard = probe.get_now(&server.seen.host, knocks).await?;
        let mut heard = heard.into_iter();
        candidates.retain(|_| heard.next() == Some(Heard::Accepted));
    }
    Ok(if candidates.is_empty() {
        Err(servers_differ(seen, cluster))
    } else {
        Ok(candidates)
    })
}

/// With the right hash where one is pinned, and no secret that could be mistaken for the one that is wanted.
fn patched(seen: &Seen, right: Option<&str>) -> Seen {
    let mut patched = seen.clone();
    for surface in &mut patched.install.surfaces {
        surface.token.secret = Secret::new("");
        if let (Form::Full { hash, .. }, Some(right)) = (&mut surface.token.form, right) {
            right.clone_into(hash);
        }
    }
    patched
}

pub(super) async fn propose(probe: &Probe<'_>, seen: &Seen) -> Result<Proposal, StepError> {
    let cure = match examine(probe, seen).await? {
        Ok(Some(cure)) => cure,
        Ok(None) => return Ok(Proposal::default()),
        Err(unmet) => return Ok(Proposal::refuse(unmet)),
    };
    let edits = cure
        .secret
        .iter()
        .flat_map(|secret| cure.patched.edits(secret));
    let mut ops: Vec<Op> = edits
        .map(|edit| write_in_place(&cure.patched, &edit, Mode::default()))
        .collect();
    ops.extend(restart_waiting(seen));
    Ok(Proposal::of(ops))
}

fn no_token(seen: &Seen) -> Unmet {
    let host = &seen.host;
    Unmet::new(
        "no-token",
        format!("no token is configured on {host}"),
        format!(
            "write the token into /etc/rancher/k3s/config.yaml on {host}, then run the same command again"
        ),
    )
}

fn no_server(seen: &Seen) -> Unmet {
    Unmet::new(
        "no-server-answers",
        format!(
            "no server runs that could say which token {} needs",
            seen.host
        ),
        "rescue a server first: keyroll rescue with the name of one, -i INVENTORY",
    )
}

fn bundle(seen: &Seen) -> Unmet {
    let host = &seen.host;
    Unmet::new(
        "ca-is-a-bundle",
        format!(
            "the token of {host} pins a CA in K10 form, and no server tells how its CA is pinned: it is a bundle"
        ),
        format!(
            "write the token without its `K10…::` part on {host}, then run the same command again"
        ),
    )
}

fn servers_differ(seen: &Seen, cluster: &Cluster) -> Unmet {
    if let Some(unmet) = differ(cluster) {
        return unmet;
    }
    let kind = if cluster.keeps(TokenKind::Agent) {
        TokenKind::Agent
    } else {
        TokenKind::Server
    };
    Unmet::new(
        "servers-differ",
        format!(
            "no token is accepted by every server, so none is right for {}",
            seen.host
        ),
        format!(
            "finish the rotation first: `keyroll run {} -i INVENTORY`",
            kind.playbook()
        ),
    )
}

async fn unknown(probe: &Probe<'_>, seen: &Seen) -> Result<Unmet, StepError> {
    let (host, unit) = (&seen.host, seen.unit.text.id.clone());
    let lines = probe
        .get(Journal {
            unit: unit.clone(),
            lines: 20,
        })
        .await?;
    let known = lines
        .iter()
        .rev()
        .find_map(|line| journal::sign(line))
        .map(|sign| sign.meaning);
    let last = lines.last().map_or("its journal is empty", String::as_str);
    let said = known.unwrap_or(last);
    Ok(Unmet::new(
        "not-a-token",
        format!(
            "{unit} on {host} is {}, and its token is one that every server accepts: {said}",
            seen.unit.words()
        ),
        format!("see `journalctl -u {unit}` on {host}"),
    ))
}
