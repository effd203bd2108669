//! Why a unit does not run, as its journal gives it away.

use super::{Entry, refuse};

pub(super) const ENTRIES: &[Entry] = &[
    refuse(
        "passwd-trap",
        "a server was once started with the wrong token and does not start again by itself, even with the right one",
        "its `server/cred/passwd` is newer than the datastore's, which K3s takes for a danger (measured: ha-rescue-peers-old)",
        "keyroll rescue HOST -i INVENTORY; by hand: write the right token into its configuration, kill k3s, move `server/cred/passwd` and `server/token` away, start it; keep both files",
    ),
    refuse(
        "other-token",
        "the configured token is not the one that the datastore is encrypted with",
        "the server ends at each start until it has the right one; nothing is lost by that",
        "restart no server; keyroll rescue HOST -i INVENTORY finds the datastore's token, which after a rotate is not the one that the servers run with",
    ),
    refuse(
        "ca-hash-mismatch",
        "the token pins a CA that the cluster does not have",
        "the node waits for ever; this is no wrong password but a wrong `K10` part: the CA was changed, or the token is another cluster's",
        "compare: keyroll token inspect -i INVENTORY -l HOST; then write this cluster's hash into the `K10` part",
    ),
    refuse(
        "no-bootstrap-data",
        "the datastore has nothing under the configured token",
        "a server that finds nothing would begin a new cluster, or ends",
        "compare its token and its datastore's address with those of a server that runs",
    ),
    refuse(
        "flags-differ",
        "critical flags differ from those of the other servers",
        "K3s refuses to join a server whose network or encryption is set up differently",
        "compare config.yaml with that of a server that runs",
    ),
    refuse(
        "peer-refuses-token",
        "the server that it joins does not accept its token",
        "without its own data it cannot start before that one does",
        "see which of the two has the right token: keyroll where -i INVENTORY",
    ),
    refuse(
        "token-rejected",
        "no server accepts the configured token (401), and there is no certificate to come in with",
        "an agent that joined before comes in with its certificate; one that is new, or whose files were wiped, needs the token",
        "write the token that the servers accept into its configuration, then restart it",
    ),
    refuse(
        "x509",
        "the server's certificate comes from a CA that the node does not trust",
        "tokens sign nothing: the CA was changed, the cluster made anew at the same address, or a proxy stands between",
        "compare `sha256sum /var/lib/rancher/k3s/agent/server-ca.crt` there with `server/tls/server-ca.crt` of a server",
    ),
    refuse(
        "node-password",
        "the node password was rejected",
        "another node has this name, or /etc/rancher/node/password was lost; it has nothing to do with the join token",
        "when the name is free: kubectl -n kube-system delete secret NODE.node-password.k3s; the node then joins again",
    ),
    refuse(
        "api-unreachable",
        "the server that `server:` or K3S_URL names does not answer",
        "nothing was said about the token yet: address, port, firewall or the server itself",
        "from that host: curl -k https://ADDRESS:6443/ping, which answers `pong`",
    ),
];
