//! `k3s server --cluster-reset`: a process that puts a snapshot in the place of the datastore, and ends.

use super::disk::Disk;
use super::launch::{Place, fatal};
use super::pki::SharedPki;
use super::{log, now};
use crate::sim::kubectl::Ended;
use crate::sim::server::{Backend, PeerReply, Starting};
use crate::sim::settings::Settings;

/// Restores the snapshot that the settings name.
pub(super) fn run(settings: Settings, place: &Place) -> Ended {
    if Backend::of(&settings) != Backend::Etcd || settings.flag(FROM).is_none() {
        return fatal(format!(
            "Error: the stand-in resets etcd alone, from a file: --{FROM}"
        ));
    }
    if place.shared.peers().iter().any(|(_, alive)| *alive) {
        return fatal("Error: the stand-in resets a cluster of which no server runs");
    }
    let done = place.shared.with(|store| {
        Starting {
            files: &mut Disk,
            store,
            pki: &mut SharedPki(&place.shared),
            settings,
            version: place.version,
            peer: PeerReply::Away("nobody was asked".to_owned()),
            now: now(),
            host: &place.name,
        }
        .reset()
    });
    match done {
        Ok(done) => {
            log(&done.lines);
            // Who was a member of the former cluster is none of this one.
            place.shared.forget_peers();
            Ended {
                status: done.status,
                ..Ended::default()
            }
        }
        Err(error) => fatal(format!("Error: {error}")),
    }
}

const FROM: &str = "cluster-reset-restore-path";
