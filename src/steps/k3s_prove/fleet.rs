//! What can only be said of all hosts together: that nobody was left out.

use crate::facts::{HostClock, Probe};
use crate::k3s::age::{Since, span};
use crate::k3s::phase::Standing;
use crate::k3s::token::TokenKind;
use crate::secret::Secret;
use crate::steps::k3s_preflight::half_way;
use crate::steps::look::{Cluster, ServerSeen, aged, stated};
use crate::steps::unmanaged::{call_roll, call_roll_of_etcd};
use crate::steps::{Proposal, Unmet};

use super::red;

pub(super) async fn judge(
    probe: &Probe<'_>,
    cluster: &Cluster,
    standing: &Standing,
    proposal: &mut Proposal,
) {
    let fatal = cluster.next_restart_fatal();
    proposal.unmet.extend(fatal.into_iter().map(red));
    if cluster.about == TokenKind::Server {
        if let Some(old) = &standing.old {
            proposal.notes.extend(stated(probe, old));
        }
        proposal.unmet.extend(too_old(probe, cluster).await);
        if probe.options().words.proof_only {
            proposal
                .unmet
                .extend(half_way(cluster).into_iter().map(red));
        }
    }
    let roll = call_roll(probe, cluster).await;
    proposal.unmet.extend(roll.unmet.into_iter().map(red));
    for text in roll.left_out {
        proposal.doubt(text);
    }
    let secret = match cluster.about {
        TokenKind::Server => Some(standing.new.clone()),
        TokenKind::Agent => server_token(probe, proposal).await,
    };
    let Some(secret) = secret else { return };
    let etcd = call_roll_of_etcd(probe, cluster, &secret).await;
    proposal.unmet.extend(etcd.unmet.into_iter().map(red));
    for text in etcd.left_out {
        proposal.doubt(text);
    }
}

/// The server token, which a rotation of the agent token leaves as it is: every server still accepts the one that it is
/// configured with.
async fn server_token(probe: &Probe<'_>, proposal: &mut Proposal) -> Option<Secret> {
    let cluster = Cluster::now(probe, TokenKind::Server).await;
    // While its own rotation is unfinished, that one's proof says so.
    let is_begun = |server: &ServerSeen| server.seen.kept_of(TokenKind::Server).is_some();
    let is_begun = cluster.servers.iter().any(is_begun);
    for server in &cluster.servers {
        if !is_begun && server.memory.secret() != server.seen.surface() {
            let host = &server.seen.host;
            proposal.unmet.push(Unmet::red(
                "server-token-not-accepted",
                format!("{host} does not accept the server token that it is configured with"),
                format!(
                    "restart no server; keyroll doctor --hosts -i INVENTORY says more of {host}"
                ),
            ));
        }
    }
    let mut servers = cluster.servers.iter();
    servers.find_map(|server| server.memory.secret().cloned())
}

/// Why the server token is too old for what the operator asked, or not shown to be young enough.
async fn too_old(probe: &Probe<'_>, cluster: &Cluster) -> Option<Unmet> {
    let limit = probe.options().words.max_age?;
    let since = aged(probe, cluster).await.traces.since();
    let next = "rotate it: keyroll run @rotate-token -i INVENTORY";
    let now = match probe.get(HostClock).await {
        Ok(now) => now,
        Err(error) => return Some(Unmet::red("token-age-unknown", error.to_string(), next)),
    };
    let most = span(limit);
    if since.exceeds(limit, now) {
        let what = format!(
            "the server token is older than {most}: {}",
            since.words(now)
        );
        return Some(Unmet::red("token-too-old", what, next));
    }
    let what = || {
        format!(
            "nothing shows that the server token is younger than {most}: {}",
            since.words(now)
        )
    };
    let is_shown = matches!(since, Since::Proven(_));
    (!is_shown).then(|| Unmet::red("token-age-unknown", what(), next))
}
