//! What single steps of a playbook need: assertions, copies and snapshots, join tokens.

use super::{Entry, refuse};

pub(super) const ENTRIES: &[Entry] = &[
    refuse(
        "assertion-false",
        "an expression of `assert` is false",
        "the playbook says that nothing after it is to be done then",
        "make it true, or take the assertion out",
    ),
    refuse(
        "no-api",
        "no server with an API server runs, or this one has none",
        "join tokens and notes are kept by the API",
        "systemctl status k3s on a server; let the task run on one of the control plane, such as `hosts: server[0]`",
    ),
    refuse(
        "escrow-for-nobody",
        "the old token is to be kept off the hosts, and nobody is named who may decrypt it",
        "a token that nobody can read again is not kept",
        "name a recipient with --escrow-to, or leave `escrow_dir` out",
    ),
    refuse(
        "cannot-be-kept",
        "the old token could not be kept off the hosts",
        "a restore of a snapshot from before the rotation needs it",
        "do what is said beside it; --no-escrow says that you have it",
    ),
    refuse(
        "no-snapshot-possible",
        "no server with embedded etcd can take a snapshot now",
        "between the rotate and the restart K3s's own commands do not know the token of the running process",
        "let the servers be restarted first",
    ),
    refuse(
        "no-room-for-a-copy",
        "there is no room beside the datastore for a copy of it",
        "a rotation without a copy cannot be undone when the datastore is lost",
        "make room there, or copy it yourself while K3s is stopped and say so with --own-backup",
    ),
    refuse(
        "too-large-to-copy",
        "the datastore is too large to be copied while K3s stands still",
        "K3s would be away for too long",
        "copy it yourself while K3s is stopped, and say so with --own-backup",
    ),
    refuse(
        "copy-damaged",
        "a copy of the datastore is no good",
        "a restore from it would fail",
        "remove it there, then run the same command again",
    ),
    refuse(
        "no-such-folder",
        "there is no directory for the file of a join token",
        "its secret can be shown once only, and must have a place",
        "make it, for root alone, or name another path for `dest`",
    ),
    refuse(
        "dest-not-safe",
        "users other than root can change what is in the directory of a join token",
        "one of them could put another file in its place, or read it",
        "name another path for `dest`",
    ),
    refuse(
        "dest-not-private",
        "others than root can read the file of a join token",
        "whoever reads it can join a node",
        "chmod 600 if nobody has read it; else revoke the token and remove the file",
    ),
    refuse(
        "dest-taken",
        "in the place of a join token's file there is something else",
        "what is there would be lost",
        "name another path for `dest`, or remove what is there",
    ),
    refuse(
        "join-token-elsewhere",
        "another server has the secret of a join token for the same, or could not be asked",
        "two tokens for one purpose are one too many, and only one of them would be revoked",
        "run the task on one server alone, such as `hosts: server[0]`, or give each its own description",
    ),
];
