//! The admin's kubeconfigs: one that K3s keeps for itself, and one for the operator, who may do with it what he likes.

use std::io;

use crate::sim::bootstrap;
use crate::sim::kubectl::OPERATORS;
use crate::sim::settings::Settings;
use crate::sim::world::Files;

/// Below the data directory. Every server has it, one without an API too.
pub const OWN: &str = "server/cred/admin.kubeconfig";

/// Writes those that are not there. K3s makes its own together with the admin's certificate, and keeps it as long.
pub(super) fn write(files: &mut dyn Files, settings: &Settings) -> io::Result<()> {
    let port = settings.port();
    // Its own leads to the kube-apiserver, one port above the supervisor's.
    let both = [
        (settings.path(OWN), port.saturating_add(1)),
        (OPERATORS.to_owned(), port),
    ];
    for (path, port) in both {
        if files.stat(&path).is_none() {
            files.write(&path, text(settings, port).as_bytes(), 0o600)?;
        }
    }
    Ok(())
}

fn text(settings: &Settings, port: u16) -> String {
    let ca = settings.path(bootstrap::CA);
    let certificate = settings.path("server/tls/client-admin.crt");
    let key = settings.path("server/tls/client-admin.key");
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: Default\nclusters:\n- name: local\n  cluster:\n    server: https://127.0.0.1:{port}\n    certificate-authority: {ca}\ncontexts:\n- name: Default\n  context:\n    cluster: local\n    user: user\nusers:\n- name: user\n  user:\n    client-certificate: {certificate}\n    client-key: {key}\n"
    )
}
