//! Whether etcd keeps its quorum while a server restarts: members that nobody visits count, those that are gone too.

use crate::facts::Words;
use crate::steps::look::Cluster;
use crate::steps::{Proposal, Unmet};

/// Adds that there is none. `listed` is how many members etcd has, where it was asked: it may have more than the inventory.
pub(super) fn judge(
    words: &Words,
    cluster: &Cluster,
    listed: Option<usize>,
    proposal: &mut Proposal,
) {
    let seen = cluster.members().count();
    let all = listed.unwrap_or(seen);
    // One that is of the inventory and cannot be looked at is named for that.
    let ours = (seen + cluster.blind.len()).min(all.max(seen));
    let Some((name, what, next)) = lost(ours, all) else {
        return;
    };
    if words.quorum_loss {
        proposal.notes.push(what);
    } else {
        proposal.unmet.push(Unmet::new(name, what, next));
    }
}

/// What is wrong with so many members of the inventory among so many of etcd, none of the others of which is relied on.
fn lost(ours: usize, all: usize) -> Option<(&'static str, String, &'static str)> {
    let left = ours.checked_sub(1)?;
    if all < 2 || left * 2 > all {
        return None;
    }
    Some(if (ours, all) == (2, 2) {
        (
            "two-etcd-members",
            "two members of etcd have no quorum while one restarts: the API goes away twice"
                .to_owned(),
            "add a third server, or say --accept-quorum-loss",
        )
    } else {
        (
            "quorum-lost-at-restart",
            format!(
                "etcd has {all} members, and the inventory {ours} of them: while one restarts {left} of {all} may be left, which is no quorum, and the API goes away at each restart"
            ),
            "remove a member that is gone from the cluster (kubectl delete node NAME), or say --accept-quorum-loss",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::lost;

    #[test]
    fn members_that_are_gone_count_for_the_quorum() {
        let name = |ours, all| lost(ours, all).map(|(name, ..)| name);
        let (two, lost) = (Some("two-etcd-members"), Some("quorum-lost-at-restart"));
        assert_eq!([name(0, 0), name(1, 1), name(3, 3), name(5, 6)], [None; 4]);
        assert_eq!(name(2, 2), two);
        assert_eq!([name(3, 4), name(2, 3), name(1, 2), name(4, 6)], [lost; 4]);
    }
}
