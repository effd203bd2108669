//! What a rotation was measured on: any other shape is refused until somebody says that it is wanted all the same, and
//! another version is said.

use crate::facts::Words;
use crate::k3s::install::{Datastore, POSTGRES};
use crate::k3s::token::ca_hash;
use crate::k3s::version::Version;
use crate::steps::look::{Cluster, ServerSeen};
use crate::steps::{Proposal, Unmet};

/// Adds what nobody has measured.
pub(super) fn judge(words: &Words, cluster: &Cluster, proposal: &mut Proposal) {
    for what in shapes(cluster) {
        if words.unmeasured {
            let note = format!("{what}; --unmeasured lets it through");
            proposal.notes.push(note);
        } else {
            proposal.unmet.push(Unmet::new(
                "not-measured",
                what,
                "rehearse it on a cluster of this kind that nobody needs; --unmeasured goes on all the same",
            ));
        }
    }
}

/// What is said beside the version where a rotation was measured with other servers than these: one on sqlite on both versions;
/// on the newer one three members of etcd, two servers on an external database, and one member with two servers beside it.
pub(super) fn servers(version: Version, cluster: &Cluster) -> &'static str {
    let (all, members) = (cluster.servers.len(), cluster.members().count());
    let on_sqlite = cluster.count(Datastore::Sqlite) == all;
    let is_newer = (version.major, version.minor) == (1, 34);
    let is_measured = match (all, members) {
        (1, 0) if on_sqlite => true,
        (3, 3 | 1) => is_newer,
        (2, 0) => is_newer && on_postgres(cluster),
        _ => false,
    };
    if is_measured || !version.is_near_a_measured_one() {
        ""
    } else {
        ", and not with such servers"
    }
}

fn on_postgres(cluster: &Cluster) -> bool {
    let mut servers = cluster.servers.iter().map(|it| &it.seen.install);
    servers.all(|install| install.database() == Some(POSTGRES))
}

/// How near a rotation was measured. It stops nothing: what depends on the version is asked of the running servers
/// before anything is changed.
pub(super) fn words(version: Version) -> &'static str {
    if version.was_measured() {
        "a rotation was measured on this version"
    } else if version.is_near_a_measured_one() {
        "a rotation was measured on this minor version, not on this very one"
    } else {
        "nobody has measured a rotation on this minor version"
    }
}

/// Each with a sentence.
fn shapes(cluster: &Cluster) -> Vec<String> {
    let mut shapes = Vec::new();
    let members = cluster.members().count();
    if cluster.count(Datastore::Elsewhere) > 0 && members != 1 {
        shapes.push(format!(
            "nobody has measured a rotation with {members} members of etcd and servers beside them that have none"
        ));
    }
    let mut servers = cluster.servers.iter();
    let other = |server: &ServerSeen| {
        let database = server.seen.install.database();
        database.filter(|name| *name != POSTGRES)
    };
    if let Some(database) = servers.find_map(other) {
        shapes.push(format!(
            "nobody has measured a rotation with {database} as the datastore"
        ));
    }
    let mut servers = cluster.servers.iter();
    if let Some((server, file)) = servers.find_map(|it| Some((it, it.seen.install.log.as_ref()?))) {
        shapes.push(format!(
            "nobody has measured a rotation where K3s writes its log to a file ({file} on {}): systemd and the journal then know less of its starts",
            server.seen.host
        ));
    }
    let bundle = cluster.servers.iter().find(|server| {
        let seen = &server.seen;
        let bundle = seen.file(&seen.install.ca());
        bundle.is_some_and(|bundle| ca_hash(bundle.bytes()).is_none())
    });
    if let Some(server) = bundle {
        shapes.push(format!(
            "nobody has measured a rotation with a CA of your own (server-ca.crt on {} is a bundle)",
            server.seen.host
        ));
    }
    shapes
}
