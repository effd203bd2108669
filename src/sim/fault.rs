//! What can go wrong on purpose: one catalogue, named in `-i sim:3+8?fault=HOST:NAME`.

use serde::{Deserialize, Serialize};

macro_rules! faults {
    ($($name:literal => $fault:ident, $sentence:literal;)+) => {
        /// One fault of one host.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Fault {
            $(#[doc = $sentence] $fault,)+
        }

        impl Fault {
            /// Every fault with its name and what it does.
            pub const CATALOGUE: &'static [(Self, &'static str, &'static str)] = &[
                $((Self::$fault, $name, $sentence),)+
            ];
        }
    };
}

faults! {
    "never-returns" => NeverReturns, "after its next restart the unit stays activating for ever";
    "dies-in-settle" => DiesInSettle, "12 s after its next start the process dies and the unit stays failed";
    "slow-start" => SlowStart, "each start takes 3 min";
    "crash-once" => CrashOnce, "20 s after its next start the process dies once and systemd brings it back";
    "unreachable" => Unreachable, "the host cannot be reached";
    "unreachable-at-restart" => UnreachableAtRestart, "the host cannot be reached for 5 min from the moment that its unit is told to restart";
    "unreachable-after-flip" => UnreachableAfterFlip, "the host cannot be reached once a file of its configuration was replaced";
    "flaky" => Flaky, "every third connection breaks before anything is started";
    "sudo-refused" => SudoRefused, "sudo refuses the login user";
    "disk-full" => DiskFull, "every write fails with ENOSPC";
    "read-only-etc" => ReadOnlyEtc, "every write below /etc fails with EROFS";
    "cut-write" => CutWrite, "the connection is lost during the first write of a file, which is not done";
    "cut-restart" => CutRestart, "the connection is lost while the unit is told to restart, which is done";
    "frozen" => Frozen, "2 s after its next restart the host freezes: it takes connections and answers nothing";
    "power-cut" => PowerCut, "10 s after its next restart the host loses its power";
    "unit-masked" => UnitMasked, "the unit of K3s is masked";
    "unit-missing" => UnitMissing, "the unit of K3s is gone, and what it started runs on";
    "unit-failing" => UnitFailing, "each start of the unit fails at once, as its program cannot be executed";
    "cut-put-done" => CutPutDone, "the connection is lost during the PUT of a token, which is done";
    "cut-put-undone" => CutPutUndone, "the connection is lost during the PUT of a token, which is not done";
    "put-500" => Put500, "the PUT of a token answers 500 and changes nothing";
    "put-torn" => PutTorn, "the PUT of a token answers 500 after it has changed the files";
    "api-503" => Api503, "the kube-apiserver answers 503";
    "api-429" => Api429, "the kube-apiserver answers 429";
    "api-500" => Api500, "the kube-apiserver answers 500";
    "kubectl-cut" => KubectlCut, "what kubectl prints is cut off in the middle";
    "etcd-ill" => EtcdIll, "its etcd member says that it is not healthy";
    "etcd-learner" => EtcdLearner, "its etcd member is a learner";
    "etcd-lists-itself" => EtcdListsItself, "its /db/info names its own etcd member alone, as that of an older K3s whose list takes too long";
    "no-leader" => NoLeader, "its etcd member has lost the majority: it knows no leader, and its kube-apiserver times out";
    "second-rotation" => SecondRotation, "1 s after a rotate anywhere in the cluster a person rotates once more from here";
    "snapshot-fails" => SnapshotFails, "a snapshot of etcd fails";
    "foreign-token" => ForeignToken, "a person has given this agent another token than the cluster's";
    "no-certificate" => NoCertificate, "the agent's client certificate is gone, so that its token counts";
    "writer-reverts" => WriterReverts, "5 s after its configuration was replaced something writes the former one back";
    "reboot-mid-rotation" => RebootMidRotation, "the host reboots 2 s after a rotate anywhere in the cluster";
    "not-ready" => NotReady, "its kubelet renews its lease and says that its node is not ready";
    "clock-skew" => ClockSkew, "its clock is 90 s ahead";
}

impl Fault {
    /// The fault of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let found = Self::CATALOGUE.iter().find(|(_, known, _)| *known == name);
        found.map(|(fault, _, _)| *fault)
    }

    /// Whether a server, or an agent, can have it.
    #[must_use]
    pub fn fits(self, is_server: bool) -> bool {
        match self {
            Self::CutPutDone
            | Self::CutPutUndone
            | Self::Put500
            | Self::PutTorn
            | Self::Api503
            | Self::Api429
            | Self::Api500
            | Self::NoLeader
            | Self::SecondRotation
            | Self::KubectlCut
            | Self::EtcdIll
            | Self::EtcdLearner
            | Self::EtcdListsItself
            | Self::SnapshotFails => is_server,
            Self::ForeignToken => !is_server,
            _ => true,
        }
    }
}
