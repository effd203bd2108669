//! The kubelet: it renews its node's lease while its process lives and the datastore can be written.

use std::time::Duration;

use super::disk::Disk;
use super::launch::Place;
use super::now;
use crate::model::HostTime;
use crate::sim::kube::Node;
use crate::sim::server::Backend;
use crate::sim::settings::{Kind, Settings};

/// How soon after its start a kubelet renews its lease.
const FIRST: Duration = Duration::from_secs(2);

/// Renews until the process ends.
pub(super) async fn beat(settings: Settings, place: Place) {
    tokio::time::sleep(FIRST.min(place.lease)).await;
    let mut ticks = tokio::time::interval(place.lease);
    loop {
        ticks.tick().await;
        if place.shared.has_quorum() {
            let node = renewed(&settings, &place);
            // A renewal that fails is one that nobody sees.
            place.shared.put_node(&node).ok();
        }
    }
}

fn renewed(settings: &Settings, place: &Place) -> Node {
    let now = now();
    let known = place.shared.node(&place.name);
    let mut node = known.unwrap_or_else(|| Node {
        name: place.name.clone(),
        address: place.address.clone(),
        created: now,
        roles: Vec::new(),
        args: String::new(),
        env: String::new(),
        encryption: None,
        version: place.version,
        ready_since: now,
        last: now,
        beat: None,
        unready: false,
        skew: 0,
    });
    // The model's way to say since when it is Ready.
    node.begin(now);
    node.end(HostTime(now.0));
    node.address.clone_from(&place.address);
    node.roles = roles(settings).iter().map(|r| (*r).to_owned()).collect();
    node.args = settings.node_args();
    node.env = settings.node_env();
    node.encryption = settings.encryption(&Disk);
    node.version = place.version;
    node
}

fn roles(settings: &Settings) -> &'static [&'static str] {
    match (settings.kind, Backend::of(settings)) {
        (Kind::Agent, _) => &[],
        (Kind::Server, Backend::Etcd) if settings.is_set("disable-apiserver") => &["etcd"],
        (Kind::Server, Backend::Etcd) => &["control-plane", "etcd"],
        (Kind::Server, _) => &["control-plane"],
    }
}
