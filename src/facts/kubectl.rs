//! How the API of a server is asked, with that server's own `k3s kubectl`.

use std::time::Duration;

use camino::Utf8PathBuf;

use crate::wire::{Command, Query};

/// How a server's own API is asked. Not through `/etc/rancher/k3s/k3s.yaml`: that file is the operator's, who may have
/// moved it, pointed it elsewhere, or put another cluster's context into it.
#[derive(Debug, Clone)]
pub struct Admin {
    /// The k3s binary.
    pub k3s: Utf8PathBuf,
    /// The one that K3s made for itself: its own API on the loopback address, with the admin's certificate.
    pub kubeconfig: Utf8PathBuf,
}

impl Admin {
    /// A kubectl command as the admin.
    #[must_use]
    pub fn kubectl(&self, rest: &[&str]) -> Command {
        let kubeconfig = format!("--kubeconfig={}", self.kubeconfig);
        let words = [
            self.k3s.as_str(),
            "kubectl",
            &kubeconfig,
            "--request-timeout=10s",
        ];
        let argv = words.into_iter().chain(rest.iter().copied());
        Command::new(argv).within(Duration::from_secs(20))
    }

    /// The one question of a fact that kubectl answers.
    pub(super) fn ask(&self, rest: &[&str]) -> Vec<Query> {
        vec![Query::Run(self.kubectl(rest))]
    }
}

#[cfg(test)]
impl Admin {
    /// A server's own.
    pub(super) fn of_a_server() -> Self {
        Self {
            k3s: "k3s".into(),
            kubeconfig: "/data/server/cred/admin.kubeconfig".into(),
        }
    }
}
