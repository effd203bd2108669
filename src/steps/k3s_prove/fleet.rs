//! What can only be said of all hosts together: that nobody was left out.

use crate::facts::{HostClock, Probe};
use crate::k3s::age::{Since, span};
use crate::k3s::phase::{Standing, names};
use crate::k3s::token::TokenKind;
use crate::secret::Secret;
use crate::steps::apiservers::call_roll_of_apiservers;
use crate::steps::k3s_preflight::{half_way, to_come};
use crate::steps::look::{Cluster, aged, stated};
use crate::steps::unmanaged::{Roll, call_roll, call_roll_of_etcd};
use crate::steps::{Proposal, Unmet};

use super::red;

/// Adds what speaks against all hosts together, and tells who was not seen: OLD is needed as long as somebody was not.
pub(super) async fn judge(
    probe: &Probe<'_>,
    cluster: &Cluster,
    standing: &Standing,
    proposal: &mut Proposal,
) -> Vec<String> {
    let fatal = cluster.next_restart_fatal().into_iter();
    let without = cluster.without_passwd().map(|(_, unmet)| unmet);
    proposal.unmet.extend(fatal.chain(without).map(red));
    if cluster.about == TokenKind::Server {
        if let Some(old) = &standing.old {
            proposal.notes.extend(stated(probe, old));
        }
        proposal.unmet.extend(too_old(probe, cluster).await);
        of_begun(probe, cluster, proposal);
        if probe.options().words.proof_only {
            let mut found = half_way(cluster);
            if found.is_empty() {
                found.extend(to_come(cluster));
            }
            proposal.unmet.extend(found.into_iter().map(red));
        }
    }
    let nodes = call_roll(probe, cluster).await;
    let secret = match cluster.about {
        TokenKind::Server => Some(standing.new.clone()),
        TokenKind::Agent => server_token(probe, proposal).await,
    };
    let etcd = match secret {
        Some(secret) => call_roll_of_etcd(probe, cluster, &secret).await,
        None => Roll::default(),
    };
    let listed = call_roll_of_apiservers(probe, cluster, &[&nodes, &etcd]).await;
    let mut unseen = Vec::new();
    for roll in [nodes, etcd, listed] {
        proposal.unmet.extend(roll.unmet.into_iter().map(red));
        unseen.extend(roll.unseen.iter().cloned());
        for text in roll.left_out.into_iter().chain(roll.unseen) {
            proposal.doubt(text);
        }
    }
    unseen.extend(limited(probe));
    unseen
}

/// Whoever runs it since the token of now has leaked is not to take that one for dead.
fn of_begun(probe: &Probe<'_>, cluster: &Cluster, proposal: &mut Proposal) {
    let (words, settled) = (&probe.options().words, &cluster.settled);
    if words.proof_only {
        let standing = cluster.standing.as_ref().ok();
        proposal.left = standing.and_then(|standing| cluster.left(standing));
        return;
    }
    let own = if settled.was_begun {
        Some(FINISHED.to_owned())
    } else {
        had_given(probe, cluster)
    };
    let all: Vec<String> = own.into_iter().chain(cluster.left_of_agents()).collect();
    proposal.left = (!all.is_empty()).then(|| all.join("; "));
    if settled.was_begun && settled.was_taken_back {
        proposal.doubt("somebody had taken the rotation back while servers ran with its token: the token that it was to take out of use is the cluster's again");
    }
}

const FINISHED: &str = "this run has made no new token: it has finished a rotation that was under way; to replace the token that the cluster has now, run it again: keyroll run @rotate-token -i INVENTORY";

/// Whoever names the wrong file would keep the very token that has leaked. That a rotation to it was proven is no such case.
fn had_given(probe: &Probe<'_>, cluster: &Cluster) -> Option<String> {
    let standing = cluster.standing.as_ref().ok()?;
    let given = probe.options().given.as_ref()?;
    let is_its_own = standing.old.is_none() && standing.new == *given && !cluster.is_proven();
    is_its_own.then(|| {
        "the token that was given is the one that the cluster has: nothing was rotated; to replace it give another one with --new-token-from, or none: keyroll then makes one".to_owned()
    })
}

/// What the proof does not come to, by the operator's own limit.
fn limited(probe: &Probe<'_>) -> Option<String> {
    let left_out = &probe.options().words.left_out;
    (!left_out.is_empty()).then(|| format!("--limit leaves out {}", names(left_out.iter())))
}

/// The server token, which a rotation of the agent token leaves as it is: every server still accepts the one that it is
/// configured with.
async fn server_token(probe: &Probe<'_>, proposal: &mut Proposal) -> Option<Secret> {
    let cluster = Cluster::now(probe, TokenKind::Server).await;
    // While its own rotation is unfinished, that one's proof says so.
    let is_begun = cluster.keeps(TokenKind::Server);
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

/// Who would judge the token's age is left out.
pub(super) fn unjudged(probe: &Probe<'_>) -> Option<String> {
    let words = &probe.options().words;
    let first = &probe.fleet().servers.first()?.name;
    let is_unjudged = words.max_age.is_some() && words.left_out.contains(first);
    is_unjudged.then(|| format!("the token's age was not judged, since --limit leaves out {first}"))
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
    let is_shown = matches!(since, Since::Proven(_)) && !since.is_ahead(now);
    (!is_shown).then(|| Unmet::red("token-age-unknown", what(), next))
}
