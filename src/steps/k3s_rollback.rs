//! `k3s_rollback`: keeps the new token aside until a roll back has shown that every server refuses it.
//!
//! The roll back itself is `k3s_token: { state: rolled_back }`, after which no file of the fleet names NEW any more.

use std::time::Duration;

use serde::Deserialize;

use super::datastore;
use super::k3s_heal::word_of_saved;
use super::k3s_token::{said, stopped, too_late, unseen};
use super::look::{AgentStanding, Cluster, Seen, ServerSeen};
use super::{Proposal, StepError, Unmet};
use crate::facts::{Knocked, Probe};
use crate::k3s::knock::{Heard, Knock, Role};
use crate::k3s::phase::Standing;
use crate::k3s::token::TokenKind;
use crate::k3s::unsaved::Mark;
use crate::op::{Act, Op, Until};
use crate::secret::{Content, Secret};
use crate::wire::WriteFile;

/// `k3s_rollback`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct K3sRollback {
    /// What should hold.
    pub state: State,
}

/// What can hold of a roll back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// NEW lies in `server/.keyroll/withdrawn` of this server.
    Kept,
    /// The datastore was asked whether it has OLD again.
    Witnessed,
    /// Where it has not, a server's files tell of NEW again: nothing looks taken back that is not.
    Restated,
    /// Every server accepts OLD and refuses NEW; then all that a rotation left is forgotten.
    Proven,
}

impl K3sRollback {
    pub(super) async fn propose(&self, probe: &Probe<'_>) -> Result<Proposal, StepError> {
        let cluster = Cluster::now(probe, TokenKind::Server).await;
        let standing = match &cluster.standing {
            Ok(standing) => standing,
            Err(torn) => return Ok(Proposal::refuse(vec![Unmet::of_torn(torn)])),
        };
        match self.state {
            State::Kept => Ok(keep(probe, &cluster, standing)),
            State::Witnessed => witness(probe, &cluster, standing).await,
            State::Restated => restate(probe, &cluster, standing).await,
            State::Proven => prove(probe, &cluster, standing).await,
        }
    }
}

/// What a roll back takes back: NEW, when any server has it.
fn withdrawn<'a>(cluster: &Cluster, standing: &'a Standing) -> Option<&'a Secret> {
    let old = standing.old.as_ref()?;
    Some(&standing.new).filter(|new| *new != old && cluster.tokens().contains(new))
}

fn keep(probe: &Probe<'_>, cluster: &Cluster, standing: &Standing) -> Proposal {
    let mut late = too_late(TokenKind::Server, standing);
    late.extend(unseen(cluster, standing));
    late.extend(cluster.without_passwd().map(|(_, unmet)| unmet));
    if late.is_empty() && standing.is_rotated() {
        let down = cluster.servers.iter().map(|it| &it.seen);
        let down = down.filter(|seen| !seen.unit.is_active());
        late.extend(down.map(down_beside));
    }
    if !late.is_empty() {
        return Proposal::refuse(late);
    }
    let kept = kept(cluster);
    let Some(new) = withdrawn(cluster, standing) else {
        return if kept.is_empty() && !cluster.servers.iter().any(keeps_traces) {
            Proposal::note("no rotation is unfinished: there is nothing to take back")
        } else {
            Proposal::default()
        };
    };
    let here = cluster.server(probe.host()).filter(|_| !kept.contains(new));
    let Some(here) = here else {
        return Proposal::default();
    };
    let file = WriteFile::private(
        here.seen.withdrawn_path(),
        Content::new(format!("{}\n", new.expose())),
    );
    let why = "keep the new token until it is shown to be refused";
    Proposal::of(vec![Op::root(&here.seen.host, why, Act::WriteFile(file))])
}

/// The copy of the datastore on a server that is down is of before the rotate back, and it would not start with OLD.
fn down_beside(seen: &Seen) -> Unmet {
    let host = &seen.host;
    let what = format!(
        "{} on {host} is {}: it may need the new token to start, and is not left behind by a roll back",
        seen.unit.text.id,
        seen.unit.words()
    );
    let next = format!(
        "restart no server; first: keyroll rescue {host} -i INVENTORY; then run the same command again"
    );
    Unmet::new("other-server-down", what, next)
}

fn kept(cluster: &Cluster) -> Vec<Secret> {
    let kept = cluster
        .servers
        .iter()
        .filter_map(|server| server.seen.withdrawn());
    kept.collect()
}

/// A rotate to OLD that fails half way leaves the same files as one that ends well, and no memory has changed.
async fn witness(
    probe: &Probe<'_>,
    cluster: &Cluster,
    standing: &Standing,
) -> Result<Proposal, StepError> {
    let is_asked = datastore::answer(probe, cluster).is_some();
    if is_asked || kept(cluster).is_empty() || standing.is_rotated() {
        return Ok(Proposal::default());
    }
    let op = datastore::ask(probe, cluster).await?;
    Ok(Proposal::of(op.into_iter().collect()))
}

/// The same rotate to NEW fails as the one to OLD did, and leaves files that tell of what the datastore has.
async fn restate(
    probe: &Probe<'_>,
    cluster: &Cluster,
    standing: &Standing,
) -> Result<Proposal, StepError> {
    let is_refused = datastore::answer(probe, cluster).is_some_and(|asked| !asked.has_it);
    let gone = kept(cluster);
    let ([new], true, false) = (gone.as_slice(), is_refused, standing.is_rotated()) else {
        return Ok(Proposal::default());
    };
    let why = "let the files of this server tell again which token the datastore has";
    let able = datastore::able(probe, cluster).await?;
    let op = able.map(|(server, held)| datastore::put_only(&server.seen, (held, new), why));
    Ok(Proposal::of(op.into_iter().collect()))
}

async fn prove(
    probe: &Probe<'_>,
    cluster: &Cluster,
    standing: &Standing,
) -> Result<Proposal, StepError> {
    let gone = kept(cluster);
    let mut proposal = Proposal::default();
    for server in &cluster.servers {
        prove_one(probe, server, standing, &gone, &mut proposal).await?;
    }
    let blind = cluster.blind.iter().map(|(host, why)| {
        if let Some(unmet) = Unmet::of_blind(why) {
            return Unmet { red: true, ..unmet };
        }
        let what = format!("{host} was not looked at: {why}");
        Unmet::red(
            "server-unseen",
            what,
            format!("get {host} to answer, then run the same command again"),
        )
    });
    proposal.unmet.extend(blind);
    if standing.is_rotated() && standing.old.is_some() {
        proposal.unmet.push(Unmet::red(
            "not-rolled-back",
            "the datastore still has the new token: a server that is restarted now does not start",
            "restart no server; run the same command again, or finish the rotation: keyroll run @rotate-token -i INVENTORY",
        ));
    } else if !gone.is_empty() {
        proposal.unmet.extend(unwitnessed(probe, cluster));
    }
    let fatal = cluster.next_restart_fatal().into_iter();
    let without = cluster.without_passwd().map(|(_, unmet)| unmet);
    proposal.unmet.extend(
        fatal
            .chain(without)
            .map(|unmet| Unmet { red: true, ..unmet }),
    );
    agents(probe, &gone, &mut proposal).await;
    if proposal.unmet.is_empty() && proposal.ops.is_empty() {
        forget(cluster, &mut proposal);
    }
    Ok(proposal)
}

/// What is missing for certainty that the datastore has OLD.
fn unwitnessed(probe: &Probe<'_>, cluster: &Cluster) -> Option<Unmet> {
    match datastore::answer(probe, cluster) {
        Some(asked) if asked.has_it => None,
        Some(_) => Some(Unmet::red(
            "old-not-in-datastore",
            "the rotate back to the old token has failed half way: the datastore has not that token",
            "restart no server; run the same command again",
        )),
        None => Some(Unmet::red(
            "datastore-not-asked",
            "whether the datastore has the old token again was not asked: that takes a server whose etcd is well, and whose files and process have that token",
            "restart no server; get the members of etcd to be well, then run the same command again",
        )),
    }
}

async fn prove_one(
    probe: &Probe<'_>,
    server: &ServerSeen,
    standing: &Standing,
    gone: &[Secret],
    proposal: &mut Proposal,
) -> Result<(), StepError> {
    let host = &server.seen.host;
    let knock = |role, secret: &Secret| Knock {
        door: server.seen.door(),
        role,
        secret: secret.clone(),
    };
    let first = knock(
        Role::Server,
        standing.old.as_ref().unwrap_or(&standing.datastore),
    );
    let rest = gone
        .iter()
        .flat_map(|new| [knock(Role::Server, new), knock(Role::Node, new)]);
    let knocks: Vec<Knock> = std::iter::once(first.clone()).chain(rest).collect();
    let mut heard = probe.get_now(host, Knocked(knocks)).await?.into_iter();
    let red = |name, what: String| {
        Unmet::red(name, what, "run the same command again, which looks first")
    };
    match heard.next() {
        _ if !server.seen.unit.is_active() && !server.seen.unit.is_first_start() => {
            proposal.unmet.push(stopped(host, &server.seen.unit));
            return Ok(());
        }
        Some(Heard::Accepted) => {}
        Some(Heard::NotYet(_)) if server.seen.unit.is_active() => {
            let (why, until) = ("wait until it answers", Until::Accepts(first));
            proposal
                .ops
                .push(Op::wait(host, why, until, Duration::from_mins(2)));
            return Ok(());
        }
        answer => {
            let what = format!(
                "{host} does not accept the old token: {}",
                answer.as_ref().map_or_else(String::new, said)
            );
            proposal.unmet.push(red("old-not-accepted", what));
            return Ok(());
        }
    }
    if heard.any(|answer| answer != Heard::Rejected) {
        let what = format!("{host} does not refuse the token that was taken back");
        proposal.unmet.push(red("new-not-refused", what));
    }
    Ok(())
}

/// A rotation changes agents only after every server has NEW; by hand one may have been given it all the same.
async fn agents(probe: &Probe<'_>, gone: &[Secret], proposal: &mut Proposal) {
    let looks = probe.fleet().agents.iter().map(|member| async {
        let seen = AgentStanding::seen(probe, &member.name).await;
        (&member.name, seen)
    });
    for (host, seen) in probe.each(looks).await {
        let seen = match seen {
            Ok(seen) => seen,
            Err(why) => {
                proposal.notes.push(format!("{host} was not looked at, and a rotation that is taken back has changed no agent: {why}"));
                continue;
            }
        };
        if let Some(fault) = seen.misplaced(probe.fleet()) {
            let unmet = Unmet::of_fault(&fault);
            proposal.unmet.push(Unmet { red: true, ..unmet });
        } else if seen.surface().is_some_and(|secret| gone.contains(secret)) {
            proposal.unmet.push(Unmet::red(
                "agent-has-withdrawn",
                format!("{host} is configured with the token that was taken back"),
                format!("keyroll rescue {host} -i INVENTORY"),
            ));
        }
    }
}

/// Whether a rotation that was begun has left anything here that makes it look unfinished.
fn keeps_traces(server: &ServerSeen) -> bool {
    server.seen.kept().is_some() || server.seen.rotated().is_some()
}

/// With OLD proven nothing is left of the rotation. NEW goes last: as long as it is kept, a roll back that was cut is
/// gone on with.
fn forget(cluster: &Cluster, proposal: &mut Proposal) {
    let remove =
        |server: &ServerSeen, why, path| Op::root(&server.seen.host, why, Act::Remove { path });
    for server in &cluster.servers {
        let seen = &server.seen;
        let word = seen.rotated().map(|_| {
            let why = "remove the word of the rotate: it was taken back";
            remove(server, why, seen.rotated_path())
        });
        let old = seen.kept().map(|_| {
            let why = "forget that another token was to come: the old one is proven";
            remove(server, why, seen.kept_path())
        });
        // What the datastore was asked with it has saved.
        let saved = seen.vouched_when_asked();
        let saved = saved.map(|_| word_of_saved(seen, Mark::OfThen));
        let answer = seen.asked().map(|_| {
            let why = "forget what the datastore has answered";
            remove(server, why, seen.asked_path())
        });
        let rest = old.into_iter().chain(saved).chain(answer);
        proposal.ops.extend(word.into_iter().chain(rest));
    }
    let keepers = cluster
        .servers
        .iter()
        .filter(|server| server.seen.withdrawn().is_some());
    proposal.ops.extend(keepers.map(|server| {
        let why = "forget the token that was taken back";
        remove(server, why, server.seen.withdrawn_path())
    }));
    if proposal.ops.is_empty() {
        return;
    }
    let refused = if kept(cluster).is_empty() {
        ""
    } else {
        " and the new one refused"
    };
    // It is said in a dry run too, of what is seen before anything is done.
    proposal.notes.push(format!(
        "the old token is accepted{refused} by {}; no agent was changed",
        cluster.each()
    ));
}
