//! A server that does not start: the operations that bring it back.

use std::time::Duration;

use super::again::mark;
use super::examine::{Findings, begun_with, examine};
use super::refusals::{told, waits_for_others};
use crate::facts::Probe;
use crate::k3s::knock::{Knock, Role};
use crate::k3s::rescue::Remedy;
use crate::k3s::token::{TokenKind, full};
use crate::op::{Act, Op, Until};
use crate::secret::{Content, Secret};
use crate::steps::k3s_restart::SERVER;
use crate::steps::k3s_token::{Mode, flip};
use crate::steps::look::{Cluster, Seen, ServerSeen};
use crate::steps::{Proposal, StepError, Unmet};
use crate::wire::{Command, WriteFile};

/// A stop takes up to 90 s when K3s is stuck in its start (measured: ha-cure2); killed first, it is over at once.
const STOP: Duration = Duration::from_mins(2);

/// Ends the main process, then the unit. Containers outlive both, as at every stop of K3s.
const END: &str =
    "systemctl kill --kill-who=main --signal=KILL \"$1\" 2>/dev/null; exec systemctl stop \"$1\"";

pub(super) async fn propose(probe: &Probe<'_>, seen: &Seen) -> Result<Proposal, StepError> {
    let Findings {
        cluster,
        right,
        remedy,
    } = match examine(probe, seen).await? {
        Ok(findings) => findings,
        Err(unmet) => return Ok(Proposal::refuse(unmet)),
    };
    let surfaces = flip(seen, &right, Mode::default());
    let aside = put_aside(seen, &cluster, &right);
    if seen.unit.is_active() && remedy != Remedy::Passwd {
        // It goes on with what it was started with; a restart now would be with what is written here.
        let own = own_file(seen, &right);
        return Ok(Proposal::of(
            if remedy == Remedy::Surface || own.is_some() {
                aside.into_iter().chain(surfaces).chain(own).collect()
            } else {
                Vec::new()
            },
        ));
    }
    let lacks_quorum = cluster.lacks_quorum_with(&seen.host);
    if lacks_quorum && remedy == Remedy::Start && seen.unit.active_state == "activating" {
        let wait = waits_for_others(seen, &cluster, told(probe));
        return Ok(Proposal::refuse(vec![wait]));
    }
    let mut proposal = Proposal::of(vec![mark(seen, &begun_with(&right))]);
    proposal.ops.extend(aside);
    let replaced = replaced(seen, &right).into_iter();
    // The one place that has the right token may be the very file that is written.
    if seen.replaced().as_ref() == Some(&right) {
        proposal.ops.extend(surfaces.into_iter().chain(replaced));
    } else {
        proposal.ops.extend(replaced.chain(surfaces));
    }
    if remedy == Remedy::Passwd {
        proposal.unmet = unwell(probe, seen, &cluster).await?;
        proposal.ops.push(end(seen));
        proposal.ops.extend(recreate(seen));
    }
    proposal.ops.extend(own_file(seen, &right));
    let mut start = start(seen, &right);
    // Its start goes on until others have joined it: what to do is said at once.
    start.truncate(if lacks_quorum { 1 } else { start.len() });
    proposal.ops.extend(start);
    Ok(proposal)
}

/// Why nothing may be removed there now. Where members of etcd that are down hold each other up, the operator may go on with
/// one after the other.
async fn unwell(
    probe: &Probe<'_>,
    seen: &Seen,
    cluster: &Cluster,
) -> Result<Vec<Unmet>, StepError> {
    let mut unwell = cluster.unwell_beside(probe, &seen.host).await?;
    if !cluster.members().any(|it| it.seen.host == seen.host) {
        return Ok(unwell);
    }
    if probe.options().words.quorum_loss {
        return Ok(Vec::new());
    }
    if let Some(last) = unwell.last_mut() {
        let (host, told) = (&seen.host, told(probe));
        let next = format!(
            "; where that wants {host} first: keyroll rescue {host} -i INVENTORY --accept-quorum-loss{told} goes on beside it, and copies first what it removes"
        );
        last.next.push_str(&next);
    }
    Ok(unwell)
}

/// What a server runs with is asked for by name until its restart: it must be on some file, also when no surface has it. A
/// file of this server may be the last one that has what another one runs with.
fn put_aside(seen: &Seen, cluster: &Cluster, right: &Secret) -> Option<Op> {
    let (own, others): (Vec<&ServerSeen>, Vec<_>) = cluster
        .servers
        .iter()
        .partition(|it| it.seen.host == seen.host);
    let held = |servers: &[&ServerSeen]| -> Vec<Secret> {
        let held = servers.iter().filter_map(|it| it.memory.secret().cloned());
        held.filter(|held| held != right).collect()
    };
    let on_others: Vec<Secret> = others
        .iter()
        .flat_map(|it| it.seen.tokens_in_use())
        .collect();
    let theirs = held(&others)
        .into_iter()
        .filter(|it| seen.tokens_in_use().contains(it) && !on_others.contains(it));
    let stays = [seen.kept(), seen.withdrawn()];
    let mut lost = held(&own).into_iter().chain(theirs);
    let lost = lost.find(|held| !stays.contains(&Some(held.clone())))?;
    let content = Content::new(format!("{}\n", lost.expose()));
    let file = WriteFile::private(seen.withdrawn_path(), content);
    let why = "put aside a token that a server runs with, until it is shown to be refused";
    Some(Op::root(&seen.host, why, Act::WriteFile(file)))
}

/// What it would have started with stays a candidate until the rescue is over: what files tell of may be wrong.
fn replaced(seen: &Seen, right: &Secret) -> Option<Op> {
    let own = seen.surface().filter(|own| *own != right)?;
    let content = Content::new(format!("{}\n", own.expose()));
    let file = WriteFile::private(seen.replaced_path(), content);
    let why = "keep the token that is replaced until the rescue is over";
    Some(Op::root(&seen.host, why, Act::WriteFile(file)))
}

fn end(seen: &Seen) -> Op {
    let unit = seen.unit.text.id.as_str();
    let command = Command::new(["sh", "-c", END, "sh", unit]).within(STOP);
    let act = Act::Run {
        command,
        leaves: Vec::new(),
    };
    Op::root(
        &seen.host,
        format!("end {unit}, which fails at every start"),
        act,
    )
}

/// Exactly these two files; `server/token` stays where it is all that is configured.
fn recreate(seen: &Seen) -> Vec<Op> {
    let is_surface = |path| {
        seen.install
            .surfaces
            .iter()
            .any(|surface| surface.file == path)
    };
    let paths = ["server/cred/passwd", "server/token"].map(|path| seen.install.data(path));
    let remove = |path: camino::Utf8PathBuf| {
        let why = format!("remove {path}, which is recreated from the datastore");
        Op::root(&seen.host, why, Act::Remove { path })
    };
    let kept = paths.into_iter().filter(|path| !is_surface(path.clone()));
    kept.filter(|path| seen.file(path).is_some())
        .map(remove)
        .collect()
}

/// Where nothing is configured K3s starts with what `server/token` says, in its K10 form (measured:
/// ha-first-server-and-unconfigured); without that file it would make itself another token.
fn own_file(seen: &Seen, right: &Secret) -> Option<Op> {
    let hash = seen
        .ca_hash()
        .filter(|_| seen.install.surfaces.is_empty())?;
    let path = seen.install.data(TokenKind::Server.own_file());
    let why = format!("write {path} anew, which is all that this server starts with");
    let text = format!("{}\n", full(&hash, "server", right));
    let file = WriteFile::private(path, Content::new(text));
    Some(Op::root(&seen.host, why, Act::WriteFile(file)))
}

/// `--no-block`: a start with a wrong token can block for ever.
fn start(seen: &Seen, right: &Secret) -> Vec<Op> {
    let unit = seen.unit.text.id.clone();
    let command =
        Command::new(["systemctl", "start", "--no-block", &unit]).within(Duration::from_mins(1));
    let act = Act::Run {
        command,
        leaves: Vec::new(),
    };
    let restarted = Until::Restarted {
        unit: unit.clone(),
        before: String::new(),
    };
    let accepts = Until::Accepts(Knock {
        door: seen.door(),
        role: Role::Server,
        secret: right.clone(),
    });
    let host = &seen.host;
    let why = format!("wait until {unit} is active");
    vec![
        Op::root(
            host,
            format!("start {unit} with the datastore's token"),
            act,
        ),
        Op::wait(host, why, restarted, SERVER),
        Op::wait(
            host,
            "wait until it accepts that token",
            accepts,
            Duration::from_mins(2),
        ),
    ]
}
