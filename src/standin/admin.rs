//! The admin's credential, which has nothing to do with the token, and the kubeconfigs that hold it.

use std::io;

use super::disk::Disk;
use super::shared::Shared;
use crate::sim::bootstrap;
use crate::sim::kubectl::OPERATORS;
use crate::sim::server::KUBECONFIG;
use crate::sim::settings::Settings;
use crate::sim::token;
use crate::sim::world::Files as _;

const USER: &str = "admin";

/// Known to all servers of a cluster: made of the CA's key.
fn password(shared: &Shared) -> Option<String> {
    let key = std::fs::read(shared.0.join("pki/server-ca.key")).ok()?;
    token::sha256(&key).get(..32).map(str::to_owned)
}

/// Whether a request comes from the admin.
pub(super) fn is_admin(basic: Option<(&str, &str)>, shared: &Shared) -> bool {
    let password = password(shared);
    password.is_some_and(|password| basic == Some((USER, &password)))
}

/// Writes the kubeconfigs of K3s itself and of the operator where they are not there or are another's. Both lead to the
/// supervisor's port, since there is no kube-apiserver with one of its own.
///
/// # Errors
/// When it cannot be written.
pub(super) fn keep(settings: &Settings, shared: &Shared) -> io::Result<()> {
    let password = password(shared).ok_or(io::ErrorKind::NotFound)?;
    let (port, ca) = (settings.port(), settings.path(bootstrap::CA));
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: default\nclusters:\n- name: default\n  cluster:\n    server: https://127.0.0.1:{port}\n    certificate-authority: {ca}\ncontexts:\n- name: default\n  context:\n    cluster: default\n    user: default\nusers:\n- name: default\n  user:\n    username: {USER}\n    password: {password}\n"
    );
    let own = settings.path(KUBECONFIG);
    for path in [own.as_str(), OPERATORS] {
        if Disk.text(path).as_deref() != Some(&text) {
            Disk.replace(path, text.as_bytes(), 0o600)?;
        }
    }
    Ok(())
}
