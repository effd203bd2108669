//! Who else works on a cluster or a host while a rotation would go on.

use super::{Entry, refuse, warn};

pub(super) const ENTRIES: &[Entry] = &[
    refuse(
        "upgrade-running",
        "a plan of system-upgrade-controller is applied to nodes now",
        "it restarts K3s with another program, beside the restarts of a rotation: two servers may be down at once",
        "let it end (kubectl get plans.upgrade.cattle.io -A), then run the same command again",
    ),
    warn(
        "upgrade-plans",
        "there are plans of system-upgrade-controller",
        "a new version in their channel would begin an upgrade in the middle of a rotation",
        "stop it for the rotation: kubectl -n system-upgrade scale deployment system-upgrade-controller --replicas=0",
    ),
    refuse(
        "kured-lock-held",
        "kured has locked a node of the cluster: that node reboots",
        "a server that reboots between the rotate and its own restart would not come back, and two would be down at once",
        "wait until the node is back; a lock that was left behind is an annotation of kured's DaemonSet: remove it",
    ),
    warn(
        "kured",
        "kured runs, and nobody holds it still",
        "it may reboot a node in the middle of a rotation",
        "hold it still for the rotation: annotate its DaemonSet with weave.works/kured-node-lock",
    ),
    warn(
        "autoscaler",
        "something adds and removes nodes by itself",
        "new nodes come with the old token from their template, and no inventory has them",
        "--expect-unmanaged PATTERN for its nodes, and write the new token into their template after the rotation",
    ),
    warn(
        "join-tokens-remain",
        "there are join tokens that a rotation leaves valid",
        "who has one can still join nodes: a rotation of the server token does not touch them",
        "k3s token delete ID for each that nobody needs; `k3s_join_token` makes, lists and revokes them",
    ),
    warn(
        "others-unknown",
        "who else works on the cluster could not be asked",
        "an upgrade or a reboot that goes on now would not be seen",
        "see that no upgrade, reboot or autoscaler works on the cluster meanwhile",
    ),
    refuse(
        "encryption-unfinished",
        "the rotation of the keys that encrypt secrets is not finished",
        "its stages want restarts in an order of their own, and K3s refuses them between a rotate and the restart (measured: ha-mid-rotation)",
        "finish it first: k3s secrets-encrypt status",
    ),
    warn(
        "encryption-stage-unknown",
        "the encryption of secrets is at a stage that keyroll does not know",
        "whether a restart belongs to it cannot be told",
        "see that no rotation of its keys is under way: k3s secrets-encrypt status",
    ),
    refuse(
        "ca-unfinished",
        "a change of the cluster's CA waits for the restart of its servers",
        "the restarts of a rotation would bring the new CA in, and tokens that pin the old one would be refused",
        "finish it first: restart each server, one at a time, then each agent",
    ),
    refuse(
        "no-room-for-snapshot",
        "there is no room for the snapshots of a rotation",
        "they are what a restore needs when something goes wrong",
        "free room, or remove old snapshots: k3s etcd-snapshot ls",
    ),
    warn(
        "staged-file-stale",
        "a file of an earlier run waits beside a configuration, with a token that is neither the old nor the new one",
        "nothing reads it; it is a secret that lies about",
        "nothing, if a rotation follows: it writes over it; else remove it",
    ),
    warn(
        "reboot-pending",
        "the host waits for a reboot",
        "whoever reboots it in the middle of a rotation takes a second server down",
        "reboot it before, or see that nobody does during the rotation",
    ),
    warn(
        "upgrades-itself",
        "the host upgrades itself",
        "that may restart it or K3s in the middle of a rotation",
        "stop it for the rotation: systemctl stop UNIT, such as apt-daily-upgrade.timer and unattended-upgrades, or locksmithd",
    ),
    warn(
        "configuration-manager",
        "a configuration manager is set up on the host",
        "where it runs, it writes files again from its own record, the old token too",
        "change the token there too, or it may write the old one back",
    ),
];
