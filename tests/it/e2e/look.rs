//! What is true of a host now, asked without keyroll and with nothing but what K3s brings.

use std::collections::BTreeMap;

use super::backend::{Backend, Held};
use super::scenario::{self, Topology, is_agent};

/// By host and path.
pub(super) type Files = BTreeMap<(String, String), Held>;

/// Files of a host that may hold its token.
fn paths(topology: &Topology, host: &str) -> Vec<String> {
    let unit = topology.unit_of(host);
    let mut paths = vec![
        "/etc/rancher/k3s/config.yaml".to_owned(),
        "/etc/rancher/k3s/config.yaml.d/50-token.yaml".to_owned(),
        "/etc/rancher/k3s/token".to_owned(),
        format!("/etc/systemd/system/{unit}.service"),
        format!("/etc/systemd/system/{unit}.service.env"),
    ];
    if topology.surface == "nothing" && !is_agent(host) {
        paths.push(format!("{}/server/token", topology.data_dir));
    }
    paths
}

/// Those that are there.
pub(super) fn files_of(backend: &dyn Backend, host: &str) -> Vec<(String, Held)> {
    let paths = paths(&backend.desk().topology, host);
    let held = |path: String| Some((path.clone(), backend.read(host, &path)?));
    paths.into_iter().filter_map(held).collect()
}

pub(super) fn files(backend: &dyn Backend) -> Files {
    let hosts = backend.desk().topology.hosts();
    let of = |host: String| {
        let files = files_of(backend, &host).into_iter();
        files.map(move |(path, held)| ((host.clone(), path), held))
    };
    hosts.into_iter().flat_map(of).collect()
}

/// Compares files that hold a token with those of the beginning.
///
/// # Errors
/// The first that is not as it should be; never its text.
pub(super) fn compare(
    backend: &dyn Backend,
    first: &Files,
    wish: scenario::Files,
) -> Result<(), String> {
    let desk = backend.desk();
    let expected: Files = match wish {
        scenario::Files::Untouched => first.clone(),
        scenario::Files::Exchanged => {
            let exchanged = |(name, held): (&(String, String), &Held)| {
                (name.clone(), exchanged(held, &desk.old, &desk.new))
            };
            first.iter().map(exchanged).collect()
        }
    };
    let found = files(backend);
    for name in expected.keys().chain(found.keys()) {
        let (expected, found) = (expected.get(name), found.get(name));
        if expected != found {
            let shown = |held: Option<&Held>| {
                held.map(|held| {
                    let text = held
                        .text
                        .replace(&desk.old, "OLD")
                        .replace(&desk.new, "NEW");
                    (text, format!("{:o}", held.mode), held.group)
                })
            };
            let (host, path) = name;
            return Err(format!(
                "{host}: {path} is {:?}, not {:?}",
                shown(found),
                shown(expected)
            ));
        }
    }
    Ok(())
}

/// OLD is NEW, nothing else has changed, and whoever could read OLD beside its owner cannot read NEW.
fn exchanged(held: &Held, old: &str, new: &str) -> Held {
    if !held.text.contains(old) {
        return held.clone();
    }
    Held {
        text: quoted(&held.text, old).replace(old, new),
        mode: held.mode & 0o600,
        ..held.clone()
    }
}

/// Plain YAML gets quotes, so that no token is ever read as a number.
fn quoted(text: &str, token: &str) -> String {
    let lines = text.split_inclusive('\n').map(|line| {
        let plain = line.strip_prefix("token: ").and_then(|rest| {
            let value = rest.split_whitespace().next()?;
            (!value.starts_with('"') && value.contains(token)).then_some(value)
        });
        plain.map_or_else(
            || line.to_owned(),
            |value| line.replacen(value, &format!("\"{value}\""), 1),
        )
    });
    lines.collect()
}

/// Whether a word is true of a host.
///
/// # Errors
/// What is true instead.
pub(super) fn is(backend: &dyn Backend, host: &str, word: &str) -> Result<(), String> {
    let seen = seen(backend, host);
    if seen == word {
        return Ok(());
    }
    Err(format!("it is {seen}, not {word}"))
}

fn seen(backend: &dyn Backend, host: &str) -> String {
    let configured = configured(backend, host);
    let desk = backend.desk();
    if is_agent(host) {
        // A token that is accepted, without the client certificate.
        let token = match configured {
            "new" => &desk.new,
            "old" => &desk.old,
            _ => return configured.to_owned(),
        };
        let accepted = knock(backend, host, token) == 200;
        return format!("{configured}{}", if accepted { "" } else { ", refused" });
    }
    let heard = (
        knock(backend, host, &desk.new),
        knock(backend, host, &desk.old),
    );
    match (configured, heard) {
        ("new", (405, 401)) => "new",
        ("old", (401, 405)) => "old",
        ("new", (401, 405)) => "flipped",
        ("old", (405, 401)) => "reverted",
        ("new", (0, 0)) => "silent with NEW",
        ("old", (0, 0)) => "silent with OLD",
        _ => return format!("configured with {configured}, answers {heard:?} to NEW and OLD"),
    }
    .to_owned()
}

/// Which token a host will start with: new, old, both or another.
fn configured(backend: &dyn Backend, host: &str) -> &'static str {
    let desk = backend.desk();
    let files = files_of(backend, host);
    let has = |token: &str| files.iter().any(|(_, held)| held.text.contains(token));
    match (has(&desk.new), has(&desk.old)) {
        (true, false) => "new",
        (false, true) => "old",
        (true, true) => "both",
        (false, false) => "another",
    }
}

/// What a host's own server says to a secret, or what servers say to it through an agent's load balancer; 0 when nobody answers.
fn knock(backend: &dyn Backend, host: &str, secret: &str) -> u16 {
    let (user, path) = if is_agent(host) {
        ("node", "/v1-k3s/readyz")
    } else {
        ("server", "/v1-k3s/token")
    };
    let config = kubeconfig(&backend.desk().topology, host, (user, secret));
    let argv = [
        "/usr/local/bin/k3s",
        "kubectl",
        "--kubeconfig=/dev/stdin",
        "--request-timeout=10s",
        "get",
        "--raw",
        path,
    ];
    let said = backend.command(host, &argv, &config);
    match () {
        () if said.status == 0 => 200,
        () if said.err.contains("(MethodNotAllowed)") => 405,
        // What older K3s says in its place.
        () if said
            .err
            .contains("(BadRequest): the server rejected our request") =>
        {
            405
        }
        () if said.err.contains("must be logged in") => 401,
        () if said.err.contains("(Forbidden)") => 403,
        () => 0,
    }
}

/// A way to a host's own server, or through an agent's load balancer.
pub(super) fn kubeconfig(topology: &Topology, host: &str, (user, secret): (&str, &str)) -> String {
    let data = &topology.data_dir;
    let (port, ca) = if is_agent(host) {
        (6444, format!("{data}/agent/server-ca.crt"))
    } else {
        (topology.port, format!("{data}/server/tls/server-ca.crt"))
    };
    serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "k",
        "clusters": [{"name": "k", "cluster": {
            "server": format!("https://127.0.0.1:{port}"), "certificate-authority": ca}}],
        "users": [{"name": "k", "user": {"username": user, "password": secret}}],
        "contexts": [{"name": "k", "context": {"cluster": "k", "user": "k"}}],
    })
    .to_string()
}
