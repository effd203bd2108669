//! That no token which somebody needs is ever nowhere any more.

use keyroll::secret::Secret;
use keyroll::sim::fleet::{Fleet, Host};
use keyroll::sim::server::Server;
use keyroll::sim::world::Files as _;

use super::hand::BY_HAND;
use super::rig::made;

/// Where a token may be on a host.
const FOLDERS: [&str; 6] = [
    "/etc/rancher/k3s",
    "/etc/rancher/k3s/config.yaml.d",
    "/etc/systemd/system",
    "/var/lib/rancher/k3s/server",
    "/var/lib/rancher/k3s/server/cred",
    "/var/lib/rancher/k3s/server/.keyroll",
];
const PROVEN: &str = "/var/lib/rancher/k3s/server/.keyroll/proven";

/// Which of the known tokens the datastore is encrypted with.
pub(super) fn datastore(fleet: &Fleet) -> Option<String> {
    let old = fleet.first_secret().expose().to_owned();
    let known = [old, BY_HAND.to_owned()].into_iter();
    let holds = |token: &String| fleet.is_encrypted_with(&Secret::new(token.as_str()));
    known.chain((1..9).map(made)).find(holds)
}

/// What a running server accepts.
pub(super) fn memory(server: &Server) -> String {
    let memory = serde_json::to_value(server).unwrap();
    memory["secret"].as_str().unwrap().to_owned()
}

fn has(host: &Host, token: &str) -> bool {
    FOLDERS.iter().any(|folder| {
        let names = host.disk.list(folder).unwrap_or_default();
        let mut texts = names
            .iter()
            .map(|name| host.disk.text(&format!("{folder}/{name}")));
        texts.any(|text| text.is_some_and(|text| text.contains(token)))
    })
}

/// A token that the cluster needs and that is on no server: the datastore's, until the proof the one of before, and what any
/// server runs with, since nothing else can be asked of it.
pub(super) fn lost(fleet: &Fleet) -> Option<String> {
    let servers = || fleet.hosts().iter().filter(|host| host.is_server);
    let is_proven = servers().any(|host| host.disk.text(PROVEN).is_some());
    let old = fleet.first_secret().expose().to_owned();
    let Some(token) = datastore(fleet) else {
        return Some("nobody knows the datastore's token".to_owned());
    };
    let needed = [
        ("the datastore's", Some(token)),
        ("the old", (!is_proven).then_some(old)),
    ];
    let held = servers().filter_map(Host::serving).map(memory);
    let held = held.map(|token| ("a running server's", Some(token)));
    let mut gone = needed.into_iter().chain(held).filter(|(_, token)| {
        let token = token.as_ref();
        token.is_some_and(|token| !servers().any(|host| has(host, token)))
    });
    gone.next()
        .map(|(which, _)| format!("{which} token is on no server any more"))
}
