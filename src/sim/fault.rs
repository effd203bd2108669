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
    "unreachable-after-flip" => UnreachableAfterFlip, "the host cannot be reached once a file of its configuration was replaced";
    "flaky" => Flaky, "every third connection breaks before anything is started";
    "sudo-refused" => SudoRefused, "sudo refuses the login user";
    "disk-full" => DiskFull, "every write fails with ENOSPC";
    "read-only-etc" => ReadOnlyEtc, "every write below /etc fails with EROFS";
    "cut-put-done" => CutPutDone, "the connection is lost during the PUT of a token, which is done";
    "cut-put-undone" => CutPutUndone, "the connection is lost during the PUT of a token, which is not done";
    "put-500" => Put500, "the PUT of a token answers 500 and changes nothing";
    "put-torn" => PutTorn, "the PUT of a token answers 500 after it has changed the files";
    "api-503" => Api503, "the kube-apiserver answers 503";
    "kubectl-cut" => KubectlCut, "what kubectl prints is cut off in the middle";
    "etcd-ill" => EtcdIll, "its etcd member says that it is not healthy";
    "etcd-learner" => EtcdLearner, "its etcd member is a learner";
    "snapshot-fails" => SnapshotFails, "a snapshot of etcd fails";
    "foreign-token" => ForeignToken, "a person has given this agent another token than the cluster's";
    "no-certificate" => NoCertificate, "the agent's client certificate is gone, so that its token counts";
    "writer-reverts" => WriterReverts, "5 s after its configuration was replaced something writes the former one back";
    "reboot-mid-rotation" => RebootMidRotation, "the host reboots 2 s after a rotate anywhere in the cluster";
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
            | Self::KubectlCut
            | Self::EtcdIll
            | Self::EtcdLearner
            | Self::SnapshotFails => is_server,
            Self::ForeignToken => !is_server,
            _ => true,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        let found = Self::CATALOGUE.iter().find(|(fault, _, _)| *fault == self);
        found.map_or("", |(_, name, _)| name)
    }
}
