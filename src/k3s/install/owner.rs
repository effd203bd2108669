//! Surfaces that somebody else writes: keyroll shows them and says what to change where.

use camino::Utf8Path;

use super::{Fault, Install, UnitText};
use crate::k3s::surface::{Place, Surface};

/// Where Nix keeps what it built: read-only, and readable for everybody.
pub const NIX_STORE: &str = "/nix/store";

/// Folders in memory.
const FLEETING: [&str; 3] = ["/run", "/tmp", "/dev/shm"];

/// The set-up, with a fault for each surface that must not be edited on the host.
#[must_use]
pub fn owned(mut install: Install, unit: &UnitText) -> Install {
    let program = unit.argv.first();
    let is_nixos = program.is_some_and(|it| it.starts_with(NIX_STORE));
    // By what NixOS calls each.
    let (token, agent) = ("token", "agentToken");
    add(&install.surfaces, &mut install.faults, (is_nixos, token));
    add(
        &install.agent_surfaces,
        &mut install.agent_faults,
        (is_nixos, agent),
    );
    install
}

fn add(surfaces: &[Surface], faults: &mut Vec<Fault>, nixos: (bool, &str)) {
    for fault in surfaces.iter().filter_map(|it| fault(it, nixos)) {
        if !faults.contains(&fault) {
            faults.push(fault);
        }
    }
}

/// Whether a fault of this name is one of [`owned`]: its token can be read, and is changed elsewhere.
#[must_use]
pub fn is_of_owner(fault: &Fault) -> bool {
    ["owned-by-rancher", "in-nix-store", "surface-not-durable"].contains(&fault.name)
}

/// As what a file is refused that somebody else writes; `None` when nobody is known to.
#[must_use]
pub fn owner(file: &Utf8Path) -> Option<&'static str> {
    if file.file_name() == Some("50-rancher.yaml") {
        Some("owned-by-rancher")
    } else if file.starts_with(NIX_STORE) {
        Some("in-nix-store")
    } else if FLEETING.iter().any(|top| file.starts_with(top)) {
        Some("surface-not-durable")
    } else {
        None
    }
}

fn fault(surface: &Surface, (is_nixos, option): (bool, &str)) -> Option<Fault> {
    let (file, name) = (&surface.file, owner(&surface.file)?);
    let (what, next) = match name {
        "owned-by-rancher" => (
            "which Rancher owns and writes anew from its own record of the cluster",
            "change the token where Rancher keeps it, or take the cluster out of Rancher's management; what is edited on the host does not last".to_owned(),
        ),
        "in-nix-store" => (
            "in the Nix store, which is read-only, and which everybody can read",
            in_store(surface.place, option),
        ),
        _ => (
            "which does not outlive a reboot: something writes it anew at each boot",
            fleeting(is_nixos, option),
        ),
    };
    Some(Fault {
        name,
        what: format!("the token stands in {file}, {what}"),
        next,
    })
}

/// Which option of NixOS put the token into the store, and what to do instead.
fn in_store(place: Place, option: &str) -> String {
    let culprit = match place {
        Place::Argument => format!("services.k3s.{option}"),
        Place::TokenFile => format!("the file behind services.k3s.{option}File"),
        Place::Config => {
            "the token in the file behind services.k3s.configPath or environment.etc".to_owned()
        }
        Place::EnvFile => "the file behind services.k3s.environmentFile".to_owned(),
        Place::UnitEnvironment => "systemd.services.k3s.environment".to_owned(),
        Place::ServerToken => "services.k3s".to_owned(),
    };
    format!(
        "in the NixOS configuration, replace {culprit} by `services.k3s.{option}File = \"/var/lib/k3s-token\"`; write the \
         present token into that file (root, 0600) on each host, `nixos-rebuild switch`, then run again; until the \
         rotation is proven, everybody on the host can read the token in the store"
    )
}

fn fleeting(is_nixos: bool, option: &str) -> String {
    if is_nixos {
        format!(
            "in the NixOS configuration, let services.k3s.{option}File name a file of root's that lasts, such as \
             /var/lib/k3s-token; write the present token into it (0600) on each host, `nixos-rebuild switch`, then run \
             again; when the rotation is proven, encrypt the new token with sops-nix or agenix, and let {option}File name \
             that secret as before"
        )
    } else {
        "change the token at its source (whatever writes the file at boot), or let it stand in a file that lasts, then run again".to_owned()
    }
}
