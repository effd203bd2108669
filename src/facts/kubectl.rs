//! How the API of a server is asked, with that server's own `k3s kubectl`.

use std::time::Duration;

use camino::Utf8PathBuf;

use crate::k3s::program::Program;
use crate::wire::{Command, Query};

/// How a server's own API is asked. Not through `/etc/rancher/k3s/k3s.yaml`: that file is the operator's, who may have
/// moved it, pointed it elsewhere, or put another cluster's context into it.
#[derive(Debug, Clone)]
pub struct Admin {
    /// The k3s binary.
    pub k3s: Program,
    /// The one that K3s made for itself: its own API on the loopback address, with the admin's certificate.
    pub kubeconfig: Utf8PathBuf,
}

impl Admin {
    /// A kubectl command as the admin.
    #[must_use]
    pub fn kubectl(&self, rest: &[&str]) -> Command {
        let kubeconfig = format!("--kubeconfig={}", self.kubeconfig);
        let words = [&kubeconfig, "--request-timeout=10s"].into_iter();
        let argv = self.k3s.kubectl(words.chain(rest.iter().copied()));
        Command::new(argv)
            .directly()
            .within(Duration::from_secs(20))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unusual_data_directory_is_told_before_kubectl() {
        let usual = Admin::of_a_server();
        let admin = Admin {
            k3s: Program {
                data_dir: "/data".into(),
                ..usual.k3s.clone()
            },
            ..usual
        };
        let words = "k3s --data-dir=/data kubectl --kubeconfig=/data/server/cred/admin.kubeconfig";
        let argv = admin.kubectl(&["get", "nodes"]).argv.join(" ");
        assert!(argv.starts_with(words), "{argv}");
    }
}
