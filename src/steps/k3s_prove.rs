//! `k3s_prove`: shows on each host that NEW works and OLD is dead, and on the first server that nobody was left out.
//! When nothing speaks against it and everybody was seen, the kept OLD is deleted.

mod fleet;
mod host;

use serde::Deserialize;

use super::findings::leftovers;
use super::k3s_token::{proof_of_agent, proof_of_server};
use super::look::{AgentStanding, Cluster, Seen};
use super::{Proposal, StepError, Unmet};
use crate::facts::{FactError, Probe};
use crate::k3s::install::Kind;
use crate::k3s::phase::{Proven, Standing};
use crate::k3s::token::{self, TokenKind};
use crate::model::count;
use crate::op::{Act, Op};
use crate::secret::{Content, Secret};
use crate::wire::WriteFile;

/// `k3s_prove`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct K3sProve {
    /// Which token. Default: the server token.
    #[serde(default)]
    pub kind: TokenKind,
    /// Whether OLD is forgotten once the whole fleet is proven. Default: true. A rotation is over when it is: let every
    /// host's own proof end well before.
    #[serde(default = "yes")]
    pub forget: bool,
    /// Whether the host is searched for copies of OLD that were left behind. Default: true.
    #[serde(default = "yes")]
    pub search: bool,
}

fn yes() -> bool {
    true
}

/// Said by every proof, since no rotation undoes it.
pub const EXPOSED: &str = "whoever had the old server token could read the cluster's CA keys, and a rotation does not undo \
that: see \"What a rotation does not undo\" in the README";

impl K3sProve {
    pub(super) async fn propose(&self, probe: &Probe<'_>) -> Result<Proposal, StepError> {
        let mut proposal = match self.prove(probe).await {
            // A host that answers in an unforeseen way is as far from proven as one with OLD.
            Err(StepError::Fact(error @ FactError::Unreadable { .. })) => {
                let next = "see what that host answers, by hand";
                Proposal::refuse(vec![Unmet::red("unreadable", error.to_string(), next)])
            }
            proposal => proposal?,
        };
        if self.kind == TokenKind::Server {
            if is_first_seen(probe) {
                proposal.notes.push(EXPOSED.to_owned());
            }
            if let Some(doubt) = fleet::unjudged(probe) {
                proposal.doubt(doubt);
            }
        }
        Ok(proposal)
    }

    async fn prove(&self, probe: &Probe<'_>) -> Result<Proposal, StepError> {
        let seen = match Seen::own(probe).await? {
            Ok(seen) => seen.of(self.kind),
            Err(unmet) => return Ok(Proposal::refuse(unmet.into_iter().map(red).collect())),
        };
        if let Some(fault) = seen.misplaced(probe.fleet()) {
            return Ok(Proposal::refuse(vec![red(Unmet::of_fault(&fault))]));
        }
        let cluster = Cluster::around(probe, self.kind).await;
        let standing = match cluster.standing() {
            Ok(Ok(standing)) => standing,
            Ok(Err(unmet)) => return Ok(Proposal::refuse(unmet.into_iter().map(red).collect())),
            Err(error) => return self.in_part(probe, &seen, &cluster, error).await,
        };
        if probe.options().words.proof_only && !standing.is_rotated() {
            return Ok(Proposal::refuse(vec![unfinished()]));
        }
        let mut proposal = of_host(probe, &seen, &cluster, standing).await?;
        if self.search {
            let old = standing.dead().filter(|old| !is_alive(&cluster, old));
            let old: Vec<Secret> = old.cloned().collect();
            let copies = leftovers(probe, &seen, &old).await;
            let said = copies
                .iter()
                .map(|it| format!("{}: {}", seen.host, it.note()));
            proposal.notes.extend(said);
        }
        if probe.speaks_for_fleet() {
            let unseen = fleet::judge(probe, &cluster, standing, &mut proposal).await;
            if self.forget && proposal.unmet.is_empty() && proposal.ops.is_empty() {
                forget(probe, &cluster, (standing, &unseen), &mut proposal).await?;
            }
        }
        Ok(proposal)
    }

    /// Another server could not be asked, so that nothing is proven. What is red here all the same is said, where the others
    /// show that the rotation is past the datastore.
    async fn in_part(
        &self,
        probe: &Probe<'_>,
        seen: &Seen,
        cluster: &Cluster,
        error: StepError,
    ) -> Result<Proposal, StepError> {
        let standing = cluster.standing.as_ref();
        let Some(standing) = standing.ok().filter(|it| it.is_rotated()) else {
            return Err(error);
        };
        let Proposal { mut unmet, .. } = of_host(probe, seen, cluster, standing).await?;
        unmet.retain(|unmet| unmet.red);
        if unmet.is_empty() {
            Err(error)
        } else {
            Ok(Proposal::refuse(unmet))
        }
    }
}

/// Whether it is the first host of the fleet that the limit does not leave out.
fn is_first_seen(probe: &Probe<'_>) -> bool {
    let left_out = &probe.options().words.left_out;
    let fleet = probe.fleet();
    let mut members = fleet.servers.iter().chain(&fleet.agents);
    let first = members.find(|member| !left_out.contains(&member.name));
    first.is_some_and(|first| first.name == *probe.host())
}

/// What one host's supervisor, files, unit and journal say.
async fn of_host(
    probe: &Probe<'_>,
    seen: &Seen,
    cluster: &Cluster,
    standing: &Standing,
) -> Result<Proposal, StepError> {
    let mut proposal = match seen.install.kind {
        Kind::Server => proof_of_server(probe, seen, standing).await?,
        Kind::Agent => proof_of_agent(probe, seen, cluster, standing).await?,
    };
    host::judge(probe, seen, cluster, standing, &mut proposal).await?;
    Ok(proposal)
}

/// Whether an old agent token is the server token, which lives on.
fn is_alive(cluster: &Cluster, old: &Secret) -> bool {
    let mut servers = cluster.servers.iter();
    cluster.about == TokenKind::Agent
        && servers.any(|server| server.seen.server_tokens().contains(old))
}

fn red(unmet: Unmet) -> Unmet {
    Unmet { red: true, ..unmet }
}

fn unfinished() -> Unmet {
    Unmet::red(
        "rotation-unfinished",
        "a rotation was begun, and the datastore still holds the old token",
        "keyroll run @rotate-token -i INVENTORY goes on with it; keyroll rollback -i INVENTORY takes it back",
    )
}

/// Deletes the kept OLD once the whole fleet is proven; while one host is not, it stays and the host's own task says why.
/// It stays as well while somebody was not seen. Nodes that the operator told of are nobody's worry, and agents with a
/// token of their own have nothing of OLD: kept for them it would never be forgotten, and no other rotation could begin.
async fn forget(
    probe: &Probe<'_>,
    cluster: &Cluster,
    (standing, unseen): (&Standing, &[String]),
    proposal: &mut Proposal,
) -> Result<(), StepError> {
    let servers = || cluster.servers.iter().map(|server| &server.seen);
    let keepers: Vec<&Seen> = servers().filter(|seen| seen.kept().is_some()).collect();
    let aside: Vec<&Seen> = servers().filter(|seen| seen.aside().is_some()).collect();
    if keepers.is_empty() && aside.is_empty() {
        return Ok(());
    }
    if let Some(why) = unseen.first() {
        let word = cluster.about.short();
        proposal.notes.push(format!(
            "the old {word} is kept on the servers, since not everybody was seen: {why}; the same command forgets it once everybody is"
        ));
        return Ok(());
    }
    let left = unproven(probe, cluster, standing).await?;
    if left > 0 {
        proposal.notes.push(format!(
            "the old token is kept on the servers, since {} not proven yet",
            count(left, "host is", "hosts are")
        ));
        return Ok(());
    }
    let agents = probe.fleet().agents.len();
    let agents = count(agents, "agent is configured", "agents are configured");
    let word = cluster.about.short();
    proposal.notes.push(format!(
        "proven: the new {word} is accepted and the old one refused by {}; {agents} with a token that is accepted",
        cluster.each()
    ));
    let forget_of = keepers
        .into_iter()
        .flat_map(|seen| forget_on(probe, seen, standing));
    proposal.ops.extend(forget_of);
    let forget = |seen: &Seen| {
        let path = seen.withdrawn_path();
        let why = "forget what was put aside: it is proven dead";
        Op::root(&seen.host, why, Act::Remove { path })
    };
    proposal.ops.extend(aside.into_iter().map(forget));
    Ok(())
}

/// The word of the proof, and then OLD is deleted.
fn forget_on(probe: &Probe<'_>, seen: &Seen, standing: &Standing) -> Vec<Op> {
    let new = &standing.new;
    let mark = Proven {
        run: probe.options().run.clone(),
        tag: token::tag(new),
        pairing: standing.old.as_ref().map(|old| token::pairing(old, new)),
    };
    let op = |why: &str, act| Op::root(&seen.host, why, act);
    let file = WriteFile::private(seen.proven_path(), Content::new(mark.text()));
    let mut ops = vec![op("leave word of the proof", Act::WriteFile(file))];
    if seen.about == TokenKind::Server && seen.rotated().is_some() {
        let path = seen.rotated_path();
        let why = "remove the word of the rotate: it is proven";
        ops.push(op(why, Act::Remove { path }));
    }
    let why = format!("forget the old {}: it is proven dead", seen.about.short());
    let replaced = seen.replaced().map(|_| seen.replaced_path());
    let paths = replaced.into_iter().chain([seen.kept_path()]);
    ops.extend(paths.map(|path| op(&why, Act::Remove { path })));
    ops
}

async fn unproven(
    probe: &Probe<'_>,
    cluster: &Cluster,
    standing: &Standing,
) -> Result<usize, StepError> {
    let servers = cluster
        .servers
        .iter()
        .filter(|server| server.seen.host != *probe.host());
    let servers = probe
        .each(servers.map(|server| proof_of_server(probe, &server.seen, standing)))
        .await;
    let agents = probe
        .each(probe.fleet().agents.iter().map(|member| async {
            match AgentStanding::seen(probe, &member.name).await {
                Ok(seen) => proof_of_agent(probe, &seen.of(cluster.about), cluster, standing).await,
                Err(_) => Ok(Proposal::refuse(vec![Unmet::red(
                    "agent-unseen",
                    "it could not be looked at",
                    "",
                )])),
            }
        }))
        .await;
    let mut left = 0;
    for proof in servers.into_iter().chain(agents) {
        let proof = proof?;
        left += usize::from(!proof.unmet.is_empty() || !proof.ops.is_empty());
    }
    Ok(left)
}
