//! What a preflight finds before anything is changed: set-ups that would not last, and inventories that are not the cluster.

use super::{Entry, refuse, warn};

pub(super) const ENTRIES: &[Entry] = &[
    refuse(
        "surface-not-durable",
        "the token stands in a file that does not last",
        "it lies in memory, on an overlay that is kept there, or on a read-only file system, and something writes it anew at each boot: the old token would come back",
        "set the token where that file comes from, or move it into a file that stays",
    ),
    refuse(
        "sudo-keeps-input",
        "sudo keeps what is sent through it",
        "with log_input the new token would be stored beside the log",
        "add `Defaults:USER !log_input` for the login user behind what sets it, or log in as root",
    ),
    warn(
        "sudo-may-keep-input",
        "sudo keeps what is sent through it, for some hosts, commands or people",
        "whether the login of keyroll is among them cannot be told; if so, the new token would be stored beside the log",
        "see sudoers(5), `log_input`; in doubt add `Defaults:USER !log_input` for the login user, or log in as root",
    ),
    refuse(
        "certificate-expired",
        "the client certificate of an agent has expired",
        "nothing but its token lets it in, and it may not be a node any more",
        "restart it, which renews the certificate, and see that the node is Ready",
    ),
    refuse(
        "program-replaced",
        "the k3s program on disk is not the version that runs",
        "a restart would be an upgrade, in the middle of a rotation",
        "finish the upgrade first, or put the other program back",
    ),
    refuse(
        "clocks-differ",
        "the clocks of two servers differ by more than three seconds",
        "K3s compares the times of files that different servers wrote, and forgives three seconds",
        "let every server keep its time by NTP, and wait until they agree",
    ),
    refuse(
        "critical-flag-differs",
        "the servers differ in a flag that must be the same on all of them",
        "K3s compares them at a start, which a rotation brings: that server would not come back",
        "set it to what the cluster runs with on every server",
    ),
    warn(
        "flag-differs",
        "the servers differ in a flag that a server compares when it first joins",
        "no restart minds it; a server that joins anew, or is installed again, is refused",
        "set it to what the cluster runs with on every server",
    ),
    refuse(
        "two-etcd-members",
        "etcd has two members",
        "there is no quorum while one of them restarts: the API goes away twice",
        "add a third server, or say --accept-quorum-loss",
    ),
    refuse(
        "quorum-lost-at-restart",
        "etcd has so many members that nobody visits that it has no quorum while one server restarts",
        "a member that is gone counts until it is removed: the API goes away at each restart of a server",
        "remove the member that is gone: kubectl delete node NAME; or say --accept-quorum-loss",
    ),
    refuse(
        "node-not-ready",
        "a node is not Ready, and its K3s runs",
        "after its batch the rotation would wait for it in vain, and stop half way",
        "get it Ready first: kubectl describe node says why it is not; an agent may be left out with --limit",
    ),
    refuse(
        "not-measured",
        "nobody has measured a rotation on this kind of cluster",
        "what K3s does there is not known, and keyroll does not guess",
        "rehearse it on a cluster that nobody needs; --unmeasured goes on all the same",
    ),
    refuse(
        "node-missing",
        "a host has the certificate of a node that the cluster does not have",
        "it was renamed, re-installed or belongs to another cluster",
        "see what the host is, then correct the inventory",
    ),
    refuse(
        "no-kubelet-certificate",
        "a server has no client certificate of its kubelet, which says which node of the cluster it is",
        "its node would be taken for a server that the inventory does not have, and whether it is Ready could not be told after its restart",
        "put agent/client-kubelet.crt of its data directory back, or restart K3s there, which asks for a new one, while every other server is well",
    ),
    refuse(
        "same-machine-twice",
        "two hosts of the inventory are one machine",
        "it would be changed and restarted twice, and counted as two",
        "take one of the two names out",
    ),
    refuse(
        "etcd-member-missing",
        "the inventory has more servers with embedded etcd than etcd has members",
        "one of them left the cluster or was re-installed",
        "take it out of the inventory, or join it to the cluster",
    ),
    refuse(
        "etcd-member-not-in-inventory",
        "etcd has a member that no server of the inventory is",
        "a member that is left out does not start again after the rotation",
        "add that server to the inventory, or remove it from the cluster",
    ),
];
