//! Surfaces that somebody else writes: keyroll shows them and says what to change where.

use camino::Utf8Path;

use super::{Fault, Install};
use crate::k3s::surface::Surface;

/// The set-up, with a fault for each surface that must not be edited on the host.
#[must_use]
pub fn owned(mut install: Install) -> Install {
    add(&install.surfaces, &mut install.faults);
    add(&install.agent_surfaces, &mut install.agent_faults);
    install
}

fn add(surfaces: &[Surface], faults: &mut Vec<Fault>) {
    for fault in surfaces.iter().filter_map(|surface| owner(&surface.file)) {
        if !faults.contains(&fault) {
            faults.push(fault);
        }
    }
}

/// Who else writes this file, as a fault; `None` when nobody is known to.
#[must_use]
pub fn owner(file: &Utf8Path) -> Option<Fault> {
    let fault = |name, what: String, next: &str| {
        Some(Fault {
            name,
            what,
            next: next.to_owned(),
        })
    };
    if file.file_name() == Some("50-rancher.yaml") {
        fault(
            "owned-by-rancher",
            format!(
                "the token stands in {file}, which Rancher owns and writes anew from its own record of the cluster"
            ),
            "change the token where Rancher keeps it, or take the cluster out of Rancher's management; what is edited on the host does not last",
        )
    } else if file.starts_with("/nix/store") {
        fault(
            "in-nix-store",
            format!(
                "the token stands in {file}: the Nix store is read-only, and everybody can read it"
            ),
            "point services.k3s.tokenFile to a file outside the store, rebuild, then run again",
        )
    } else if ["/run", "/tmp", "/dev/shm"]
        .iter()
        .any(|top| file.starts_with(top))
    {
        fault(
            "surface-not-durable",
            format!(
                "the token stands in {file}, which does not outlive a reboot: something writes it anew at each boot"
            ),
            "change the token at its source (with sops-nix or agenix: the encrypted secret that services.k3s.tokenFile names), or let it stand in a file that lasts",
        )
    } else {
        None
    }
}
