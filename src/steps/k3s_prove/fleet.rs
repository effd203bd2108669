//! What can only be said of all hosts together: that nobody was left out.

use crate::facts::{HostClock, Probe};
use crate::k3s::age::{Since, span};
use crate::k3s::phase::Standing;
use crate::steps::look::{Cluster, aged, stated};
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
    if let Some(old) = &standing.old {
        proposal.notes.extend(stated(probe, old));
    }
    proposal.unmet.extend(too_old(probe, cluster).await);
    let roll = call_roll(probe, cluster).await;
    proposal.unmet.extend(roll.unmet.into_iter().map(red));
    for text in roll.left_out {
        proposal.doubt(text);
    }
    let etcd = call_roll_of_etcd(probe, cluster, &standing.new).await;
    proposal.unmet.extend(etcd.unmet.into_iter().map(red));
    for text in etcd.left_out {
        proposal.doubt(text);
    }
}

/// Why the server token is too old for what the operator asked, or not shown to be young enough.
async fn too_old(probe: &Probe<'_>, cluster: &Cluster) -> Option<Unmet> {
    let limit = probe.options().words.max_age?;
    let since = aged(probe, cluster).await.traces.since();
    let next = "rotate it: keyroll run @rotate-token on this inventory";
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
