//! Why a server is not touched, with what was seen and what leads on.

use super::case::{Case, lacking};
use crate::facts::Probe;
use crate::k3s::order::join_target;
use crate::k3s::rescue::{Patient, Unclear};
use crate::k3s::token::TokenKind;
use crate::model::HostName;
use crate::secret::Secret;
use crate::steps::Unmet;
use crate::steps::look::{Cluster, Seen, ServerSeen};

/// Names of what is refused since nothing shows which token the datastore has.
pub(super) const UNCERTAIN: [&str; 2] = ["token-not-certain", "other-server-down"];

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

/// A server that runs can wait: what one that is down says, in its journal and by its files, tells of the datastore as well.
pub(super) fn down_first(seen: &Seen, cluster: &Cluster) -> Option<Unmet> {
    let mut down = cluster.servers.iter().map(|it| &it.seen);
    let down = down.find(|it| !it.unit.is_active())?;
    let (host, first) = (&seen.host, &down.host);
    seen.unit.is_active().then(|| {
        Unmet::new(
            "other-server-down",
            format!(
                "which token the datastore has is not certain, and {first} is down ({}); {host} runs, and can wait",
                down.unit.words()
            ),
            format!("first this server: keyroll rescue {first} -i INVENTORY"),
        )
    })
}

/// What the operator has said of the datastore's token, for the next command.
pub(super) fn told(probe: &Probe<'_>) -> &'static str {
    match probe.options().words.datastore {
        Some(_) => " --token-from file:PATH",
        None => "",
    }
}

/// A server without etcd starts when members of etcd run.
pub(super) fn etcd_first(seen: &Seen, cluster: &Cluster) -> Option<Unmet> {
    let is_member = cluster.members().any(|it| it.seen.host == seen.host);
    if is_member || seen.unit.is_active() || !cluster.lacks_quorum() {
        return None;
    }
    let down = cluster.members().find(|it| !it.seen.unit.is_active())?;
    let (host, first) = (&seen.host, &down.seen.host);
    let what = format!(
        "{host} keeps no etcd data, and starts when members of etcd run: {first} is down ({})",
        down.seen.unit.words()
    );
    let next = format!("first this server: keyroll rescue {first} -i INVENTORY");
    Some(Unmet::new("members-first", what, next))
}

/// It runs, and nobody can show its node: no server runs that has a kube-apiserver.
pub(super) fn waits_for_api(seen: &Seen, cluster: &Cluster, told: &str) -> Option<Unmet> {
    let has_api = |it: &&ServerSeen| it.seen.install.has_api;
    let mut with_api = cluster.servers.iter().filter(has_api);
    if !seen.install.has_node || with_api.clone().any(ServerSeen::has_live_api) {
        return None;
    }
    let (host, other) = (&seen.host, &with_api.next()?.seen.host);
    let what = format!(
        "{host} runs with the datastore's token; no server runs that has a kube-apiserver, which could show its node"
    );
    let next = format!(
        "the others now, then this one once more: keyroll rescue {other} -i INVENTORY{told}"
    );
    Some(Unmet::new("waits-for-api", what, next))
}

/// Started with the right token, and alone.
pub(super) fn waits_for_others(seen: &Seen, cluster: &Cluster, told: &str) -> Unmet {
    let (host, (up, all)) = (&seen.host, cluster.members_up());
    let rest = cluster
        .members()
        .filter(|it| !it.seen.unit.is_active() && it.seen.rescue().is_none());
    let rest = rest.map(|it| &it.seen.host).filter(|it| *it != host);
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

/// Where there is no quorum nobody can be asked; then a start may tell, which is refused with a wrong token.
pub(super) fn not_certain(host: &HostName, what: String, may_try: bool) -> Unmet {
    let trial = if may_try {
        format!(
            "; or let it try one token that files tell of after the other, each of which is refused at its start when it is wrong: keyroll rescue {host} -i INVENTORY --accept-quorum-loss"
        )
    } else {
        String::new()
    };
    let next = format!(
        "say which it is, as from whoever has rotated by hand: keyroll rescue {host} -i INVENTORY --token-from file:PATH; or get the other servers to run first (`keyroll where -i INVENTORY` shows all of them){trial}"
    );
    Unmet::new("token-not-certain", what, next)
}

/// What is seen where nothing shows which token the datastore has.
pub(super) fn what_is_uncertain(seen: &Seen, patient: &Patient) -> String {
    let (saw, places) = (saw(seen, patient), places(seen));
    format!("{saw}; {places}; which token the datastore has is not certain, so nothing is touched")
}

pub(super) fn refusal(seen: &Seen, patient: &Patient, unclear: Unclear) -> Unmet {
    let (host, unit) = (&seen.host, &seen.unit.text.id);
    let saw = saw(seen, patient);
    match unclear {
        Unclear::Token => not_certain(host, what_is_uncertain(seen, patient), false),
        Unclear::Starting => Unmet::new(
            "still-starting",
            saw,
            format!(
                "wait until it is up or has failed, then run the same command again; what it waits for when that takes minutes: journalctl -u {unit} on {host}"
            ),
        ),
        Unclear::OwnCopy => Unmet::new(
            "own-copy-behind",
            format!(
                "{saw}; it is configured with the datastore's token; it was away during the rotate, and starts from its own copy of the datastore, which is of before"
            ),
            format!(
                "let it ask a server that runs with that token: on {host} {} in the configuration of K3s; then run the same command again",
                lacks(seen)
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

/// What K3s needs to ask another server before it starts.
fn lacks(seen: &Seen) -> String {
    let server = "`server: https://ADDRESS:6443`";
    let token = format!(
        "`token:` with the one of {}",
        seen.install.data(TokenKind::Server.own_file())
    );
    match (&seen.install.url, seen.is_configured()) {
        (Some(url), true) => format!("`server:` with a server that runs, which {url} is not,"),
        (Some(_), false) => token,
        (None, true) => server.to_owned(),
        (None, false) => format!("{server} and {token}"),
    }
}

/// Of the servers that lack the token that this one waits for the one that this one joins takes it first. It is restarted with
/// that token on its surface, and never without.
pub(super) fn peers_first(case: &Case<'_>) -> Unmet {
    let (probe, seen, cluster) = (case.probe, case.seen, case.cluster);
    let awaited = case.awaited();
    let right = awaited.as_ref();
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
                    "let {host} have that token first: keyroll rescue {host} -i INVENTORY{}; then {restart}",
                    told(probe)
                )
            }
        }
        None => "run the same command again".to_owned(),
    };
    let saw = saw(seen, &case.patient);
    let what = format!("{saw}; the servers that it joins do not accept the datastore's token yet");
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
