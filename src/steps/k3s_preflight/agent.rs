//! What can only be said of an agent: whether it is of this cluster, and what its token is.

use crate::facts::Probe;
use crate::k3s::knock::Heard;
use crate::k3s::phase::Standing;
use crate::k3s::token::{Form, TokenKind};
use crate::steps::look::{AgentStanding, Cluster, Seen, is_to_restart};
use crate::steps::{Proposal, StepError, Unmet};

pub(super) async fn judge(
    probe: &Probe<'_>,
    seen: &Seen,
    cluster: &Cluster,
    standing: &Standing,
    proposal: &mut Proposal,
) -> Result<(), StepError> {
    if let Some(stranger) = cluster.stranger(seen) {
        proposal.unmet.push(stranger);
        return Ok(());
    }
    proposal.notes.extend(seen.unread_ca());
    is_to_restart(probe)?;
    let agent = AgentStanding::look(probe, seen, standing).await?;
    if agent == AgentStanding::Old
        && !standing.is_rotated()
        && seen.unit.is_active()
        && AgentStanding::knock(probe, seen).await?.1 == Heard::Rejected
    {
        refused(seen, cluster, proposal);
    }
    if let AgentStanding::Foreign(why) = agent {
        // A bootstrap token ends by itself, and the agent that joined with it goes on.
        let winner = seen.install.winner();
        let lasts = winner.is_some_and(|it| !matches!(it.token.form, Form::Bootstrap { .. }));
        let is_due = lasts && seen.unit.is_active() && !standing.is_rotated();
        let is_dead = is_due && AgentStanding::knock(probe, seen).await?.1 == Heard::Rejected;
        let host = &seen.host;
        if is_dead {
            proposal.unmet.push(Unmet::new(
                "agent-token-refused",
                format!("the token that {host} is configured with is refused, and is none of a rotation that is known here: only its client certificate lets it in"),
                cluster.cure_of_agent(standing, host),
            ));
        } else {
            proposal
                .notes
                .push(format!("{host} keeps its token: {why}"));
        }
    }
    Ok(())
}

/// Every server refuses what the agent is configured with, and only its certificate lets it in.
fn refused(seen: &Seen, cluster: &Cluster, proposal: &mut Proposal) {
    let host = &seen.host;
    if cluster.about == TokenKind::Server && cluster.has_agent_token() {
        proposal.unmet.push(Unmet::new(
            "agent-has-server-token",
            format!("{host} is configured with the server token, which servers with an agent token refuse from agents: only its client certificate lets it in"),
            "give it the agent token: keyroll run @rotate-agent-token -i INVENTORY does, and @rotate-tokens rotates both",
        ));
    } else {
        proposal.notes.push(format!("the token that {host} is configured with is refused already; its client certificate lets it in"));
    }
}
