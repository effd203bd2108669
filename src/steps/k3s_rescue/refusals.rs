//! Why a server is not touched, with what was seen and what leads on.

use super::examine::lacking;
use crate::facts::Probe;
use crate::k3s::order::join_target;
use crate::k3s::rescue::{Patient, Unclear};
use crate::model::HostName;
use crate::secret::Secret;
use crate::steps::Unmet;
use crate::steps::look::{Cluster, Seen};

/// What it runs with is on no file, and would be lost.
pub(super) fn foreign(host: &HostName) -> Unmet {
    Unmet::new(
        "foreign-server",
        format!(
            "{host} runs, and accepts none of the tokens found on any server: nothing is touched there"
        ),
        format!(
            "see whether {host} belongs to this cluster; where somebody has rotated it by hand, say with --old-token-from file:PATH which token it was started with, or with --token-from file:PATH which one the datastore has"
        ),
    )
}

/// Started with the right token, and alone. `is_told` is whether the operator has said which token that is.
pub(super) fn waits_for_others(seen: &Seen, cluster: &Cluster, is_told: bool) -> Unmet {
    let (host, (up, all)) = (&seen.host, cluster.members_up());
    let rest = cluster
        .members()
        .filter(|it| !it.seen.unit.is_active() && it.seen.rescue().is_none());
    let rest = rest.map(|it| &it.seen.host).filter(|it| *it != host);
    let told = if is_told {
        " --token-from file:PATH"
    } else {
        ""
    };
    let commands: Vec<String> = rest
        .map(|host| format!("keyroll rescue {host} -i INVENTORY{told}"))
        .collect();
    Unmet::new(
        "waits-for-quorum",
        format!(
            "{host} is started with the datastore's token, and comes up when more than half of the {all} members of etcd run; now {up} do"
        ),
        format!("the others now: {}", commands.join("; then ")),
    )
}

/// What was seen of a server that does not run.
fn saw(seen: &Seen, patient: &Patient) -> String {
    let said = patient.signs.line.as_deref();
    let said = said.map_or_else(String::new, |line| format!("; its last words: {line}"));
    let (host, unit) = (&seen.host, &seen.unit);
    format!("{} on {host} is {}{said}", unit.text.id, unit.words())
}

pub(super) fn not_certain(host: &HostName, what: String) -> Unmet {
    let next = format!(
        "say which it is, as from whoever has rotated by hand: keyroll rescue {host} -i INVENTORY --token-from file:PATH; or get the other servers to run first (`keyroll where -i INVENTORY` shows all of them)"
    );
    Unmet::new("token-not-certain", what, next)
}

pub(super) fn refusal(seen: &Seen, patient: &Patient, unclear: Unclear) -> Unmet {
    let (host, unit) = (&seen.host, &seen.unit.text.id);
    let saw = saw(seen, patient);
    match unclear {
        Unclear::Token => {
            let places = places(seen);
            let what = format!(
                "{saw}; {places}; which token the datastore has is not certain, so nothing is touched"
            );
            not_certain(host, what)
        }
        Unclear::Starting => Unmet::new(
            "still-starting",
            saw,
            "wait until it is up or has failed, then run the same command again",
        ),
        Unclear::OwnCopy => Unmet::new(
            "own-copy-behind",
            format!(
                "{saw}; it is configured with the datastore's token; it was away during the rotate, and starts from its own copy of the datastore, which is of before"
            ),
            format!(
                "let it ask a server that runs with that token: on {host} `server: https://ADDRESS:6443` in the configuration of K3s; then run the same command again"
            ),
        ),
        Unclear::PeersFirst | Unclear::Unknown => Unmet::new(
            "not-a-token",
            format!(
                "{saw}; {}; that is no trouble of a token that is known",
                places(seen)
            ),
            format!(
                "see `journalctl -u {unit}` on {host}; when what it tells of is over: systemctl start {unit} there"
            ),
        ),
    }
}

/// Of the servers that lack the token of this one's configuration the one that this one joins takes it first. It is restarted
/// with that token on its surface, and never without.
pub(super) fn peers_first(
    probe: &Probe<'_>,
    seen: &Seen,
    patient: &Patient,
    cluster: &Cluster,
) -> Unmet {
    let right = seen.surface();
    let lacking = right.map_or_else(Vec::new, |right| lacking(cluster, &seen.host, right));
    let joiners = cluster.joiners(probe.fleet(), &[]);
    let target = join_target(&seen.host, &joiners).filter(|target| lacking.contains(target));
    let peer = target.or(lacking.first());
    let next = match peer.and_then(|peer| cluster.server(peer)) {
        Some(peer) => {
            let (host, unit) = (&peer.seen.host, &peer.seen.unit.text.id);
            let restart = format!(
                "on {host}, as root: systemctl restart {unit}; then run the same command again"
            );
            if peer.seen.surface() == right {
                restart
            } else {
                format!(
                    "let {host} have that token first: keyroll rescue {host} -i INVENTORY; then {restart}"
                )
            }
        }
        None => "run the same command again".to_owned(),
    };
    let saw = saw(seen, patient);
    let what = format!(
        "{saw}; it was away during the rotate, and the servers that it joins do not accept the new token yet"
    );
    Unmet::new("peers-first", what, next)
}

/// Which places of a server hold the same token, without naming it.
fn places(seen: &Seen) -> String {
    let same = |a: Option<&Secret>, b: Option<&Secret>| match (a, b) {
        (Some(a), Some(b)) if a == b => "the configured token",
        (_, Some(_)) => "another token",
        (_, None) => "no token",
    };
    format!(
        "server/token has {}, server/cred/passwd {}",
        same(seen.surface(), seen.on_disk().as_ref()),
        same(seen.surface(), seen.passwd().server.as_ref())
    )
}
