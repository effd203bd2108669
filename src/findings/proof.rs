//! What makes a proof red.

use super::{Entry, refuse};

pub(super) const ENTRIES: &[Entry] = &[
    refuse(
        "rotation-unfinished",
        "a rotation was begun, and the datastore still holds the old token",
        "the new token waits on the servers or was put back in part: neither of the two is proven",
        "keyroll run @rotate-token -i INVENTORY goes on with it; keyroll rollback -i INVENTORY takes it back",
    ),
    refuse(
        "new-not-accepted",
        "a server does not accept the new token",
        "it runs with another one, or does not answer",
        "keyroll where -i INVENTORY; then keyroll run @rotate-token -i INVENTORY",
    ),
    refuse(
        "old-not-dead",
        "a server accepts the old token, or runs with it",
        "whoever has it can still join the cluster; after the restore of an older snapshot it is the cluster's own again",
        "rotate again: keyroll run @rotate-token -i INVENTORY",
    ),
    refuse(
        "surface-not-new",
        "a server is not configured with the new token, or does not run with it",
        "its next restart would be fatal, or the old token lives on in its process",
        "keyroll where -i INVENTORY; then keyroll run @rotate-token -i INVENTORY",
    ),
    refuse(
        "changed-since-start",
        "the configuration was changed after the process had started",
        "what it would start with has not been tried, and the running process does not show it",
        "keyroll run @rotate-token -i INVENTORY restarts it",
    ),
    refuse(
        "server-not-active",
        "the unit of K3s does not run on a server",
        "which token it accepts, and whether it comes up with the one that it is configured with, is not shown",
        "journalctl -u UNIT -n 50 on that host; keyroll rescue HOST -i INVENTORY when a token keeps it from starting",
    ),
    refuse(
        "agent-not-active",
        "the unit of K3s does not run on an agent",
        "whether it comes up with its token is not shown",
        "journalctl -u UNIT -n 50 on that host; keyroll rescue HOST -i INVENTORY when its token is refused",
    ),
    refuse(
        "agent-token-refused",
        "the token that an agent is configured with is not accepted",
        "its client certificate may still let it in: it is Ready, and would be locked out without that certificate",
        "keyroll rescue HOST -i INVENTORY",
    ),
    refuse(
        "agent-unseen",
        "an agent could not be looked at",
        "the old token is kept until every host is proven",
        "get it to answer, then keyroll verify -i INVENTORY",
    ),
    refuse(
        "old-on-surface",
        "a place that does not win still holds the old token",
        "it would win when the one above it is removed, and whoever reads it has the old token",
        "take the token out of the file that is named",
    ),
    refuse(
        "old-waits-beside-surface",
        "a file with the old token waits beside the configuration",
        "somebody copied it there, and it could be moved back into place",
        "remove it, and see who put it there",
    ),
    refuse(
        "old-in-files",
        "a file of K3s itself holds the old token, and the running process does not",
        "something wrote it back, as a restored backup does; a restart may take it up",
        "see who wrote the file; do not restart K3s there before that is clear",
    ),
    refuse(
        "ca-changed",
        "the CA of the cluster is not the one of before the rotation",
        "a rotation of the token changes no CA: somebody else did it meanwhile",
        "find out who did, and what else was changed",
    ),
    refuse(
        "journal-speaks-against-it",
        "the journal of K3s says since its start that something is wrong with a token or a certificate",
        "the answers on its port do not show everything",
        "read it: journalctl -u UNIT",
    ),
    refuse(
        "token-too-old",
        "the server token is older than --max-age allows",
        "the longer a token lives the more people and files have had it",
        "keyroll run @rotate-token -i INVENTORY",
    ),
    refuse(
        "token-age-unknown",
        "nothing shows that the server token is younger than --max-age allows",
        "no proof was noted in the cluster, and what else tells of its age is only a bound",
        "keyroll token age -i INVENTORY says what is known; keyroll run @rotate-token -i INVENTORY",
    ),
    refuse(
        "not-proven",
        "no server has the word of a proof of the token that it runs with",
        "since when it is proven can only be noted after a green proof",
        "let the rotation end with its proof first: keyroll run @rotate-token -i INVENTORY",
    ),
];
