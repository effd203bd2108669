//! What can only be said of servers together, and of the workstation.

use super::{Entry, refuse, warn};

pub(super) const ENTRIES: &[Entry] = &[
    refuse(
        "version-cannot-rotate",
        "this version of K3s cannot rotate its token",
        "`token rotate` came with v1.25.15, v1.26.10, v1.27.7 and v1.28.3",
        "upgrade first",
    ),
    refuse(
        "versions-differ",
        "the servers have different versions of K3s",
        "an upgrade is under way, and a restart would go on with it",
        "finish the upgrade first",
    ),
    refuse(
        "next-restart-fatal",
        "a server runs, and would not start again",
        "its last start changed server/cred/passwd, as a new agent token does, and the datastore does not have it (measured: sqlite-agent-token, ha-agent-token)",
        "keyroll heal -i INVENTORY, before any server restarts",
    ),
    refuse(
        "other-server-down",
        "another server does not run, or its etcd is not well",
        "with two members down the cluster has no quorum",
        "bring that server back first: keyroll rescue with its name",
    ),
    refuse(
        "other-server-away",
        "another server could not be looked at",
        "it may be the one that was rotated, or the last one that is well",
        "get it to answer first",
    ),
    refuse(
        "calibration-failed",
        "a server answers a probe with its own token in an unforeseen way",
        "nothing can be proven on a server whose answers are not understood",
        "see whether a proxy stands before its port",
    ),
    refuse(
        "agent-token-equals-server-token",
        "an agent token is configured, and agents still get in with the server token",
        "it was never taken, and the restart after the next one would be fatal (measured: sqlite-agent-token)",
        "take it out of the configuration, or give it a value of its own and restart the servers",
    ),
    refuse(
        "ca-differs",
        "the servers have different cluster CAs",
        "they are not one cluster, or a change of the CA was not finished",
        "see whether all of them belong together",
    ),
    refuse(
        "another-cluster",
        "an agent trusts another CA than the servers have",
        "it belongs to another cluster",
        "take it out of the inventory, or join it to this cluster",
    ),
    refuse(
        "foreign-server",
        "a server has another token than the others",
        "it does not belong to this cluster, or was changed by hand",
        "see whether it belongs to this cluster",
    ),
    refuse(
        "etcd-member-not-well",
        "a member of etcd is not well",
        "another server must not go down now",
        "get etcd healthy first",
    ),
    refuse(
        "node-not-in-inventory",
        "a node of the cluster is not in the inventory",
        "it would keep the old token and be locked out",
        "add it, or say that it is meant: --expect-unmanaged NAME",
    ),
    refuse(
        "nodes-not-listed",
        "the nodes of the cluster could not be listed",
        "whether a node was forgotten cannot be told",
        "get the API of one server to answer",
    ),
    refuse(
        "two-old-tokens",
        "the servers keep different old tokens",
        "two rotations are mixed",
        "find out which token each server accepts before anything is restarted",
    ),
    refuse(
        "two-rotations",
        "two servers were each rotated to another token",
        "the datastore has one of the two; the other server does not come back from a restart",
        "restart no server; roll one back with a PUT of the token in its memory",
    ),
    refuse(
        "no-server-answers",
        "no server accepts any token that was found",
        "where a rotation stands cannot be told",
        "get one server to run",
    ),
    refuse(
        "memories-differ",
        "servers accept different tokens, and nothing tells which is the later",
        "which one the datastore has cannot be told",
        "restart no server before that is clear",
    ),
    refuse(
        "surface-differs",
        "a server is configured with another token than the datastore has",
        "its next restart is fatal",
        "write the datastore's token into its configuration; see keyroll where -i INVENTORY",
    ),
    refuse(
        "foreign-surface",
        "a server is configured with a token that is neither the old nor the new one",
        "its next restart is fatal",
        "write the datastore's token into its configuration; see keyroll where -i INVENTORY",
    ),
    refuse(
        "ssh-missing",
        "there is no ssh on this machine",
        "keyroll reaches hosts with your own OpenSSH",
        "install OpenSSH's client",
    ),
    warn(
        "ssh-old",
        "this ssh is older than those keyroll was tried with (OpenSSH 8.0)",
        "options that keyroll relies on may be missing",
        "upgrade OpenSSH's client",
    ),
    refuse(
        "ssh-config-unreadable",
        "ssh cannot read its configuration",
        "no host can be reached before it can",
        "mend the line that ssh names",
    ),
    refuse(
        "state-not-writable",
        "the folder for journals and locks cannot be written to",
        "a run that cannot write down what it does is not begun",
        "name another one with --state-dir, or give it to your user",
    ),
    warn(
        "state-readable",
        "others can read the folder for journals and locks",
        "it holds no secret, and names of your hosts",
        "chmod 700 the folder",
    ),
    warn(
        "lock-old",
        "a lock is older than a day",
        "it may belong to a run that hangs, or be left by one that died; a lock of a dead process does not stop a new run",
        "see whether that run still goes on",
    ),
];
