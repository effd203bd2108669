//! How K3s is set up on a host, as far as a gate needs it.

use crate::facts::{Admin, EtcdMember, NodeName, Overlay, Probe, Scope};
use crate::k3s::install::Datastore;
use crate::model::HostName;
use crate::steps::look::{Freshness, Seen};
use crate::template::Vars;
use crate::wire::Become;

/// A host's set-up.
pub(super) struct Site {
    pub(super) unit: String,
    /// How its API is asked, on a server.
    pub(super) admin: Admin,
    /// How its etcd is asked, where it has one.
    pub(super) member: EtcdMember,
    pub(super) datastore: Datastore,
    pub(super) has_api: bool,
    pub(super) has_node: bool,
    /// By the kubelet's certificate, not by the host's name or address.
    pub(super) node: Option<String>,
}

/// Finds it out; or why not.
pub(super) async fn look(scope: &Scope, host: &HostName) -> Result<Site, String> {
    let (root, vars, overlay) = (Become::Root, Vars::default(), Overlay::default());
    let probe = Probe::new(host, &root, &vars, scope, &overlay);
    let seen = Seen::look(&probe, host, Freshness::Now)
        .await
        .map_err(|blind| blind.to_string())?;
    let certificate = seen.kubelet_certificate();
    let node = scope
        .look(host, NodeName { certificate })
        .await
        .map_err(|error| error.to_string())?;
    let (admin, member) = (seen.admin(), seen.member());
    let install = seen.install;
    if install.has_node && node.is_none() {
        return Err("it has no kubelet certificate that names its node yet".to_owned());
    }
    Ok(Site {
        unit: install.unit,
        admin,
        member,
        datastore: install.datastore,
        has_api: install.has_api,
        has_node: install.has_node,
        node,
    })
}
