//! What can only be said of all hosts together: that nobody was left out.

use crate::facts::Probe;
use crate::k3s::phase::Standing;
use crate::steps::Proposal;
use crate::steps::look::Cluster;
use crate::steps::unmanaged::{call_roll, call_roll_of_etcd};

use super::red;

pub(super) async fn judge(
    probe: &Probe<'_>,
    cluster: &Cluster,
    standing: &Standing,
    proposal: &mut Proposal,
) {
    let fatal = cluster.next_restart_fatal();
    proposal.unmet.extend(fatal.into_iter().map(red));
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
