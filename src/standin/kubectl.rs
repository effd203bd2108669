//! `k3s kubectl …`: asks a real server, and says what kubectl would say.

use std::io;

use hyper::Method;

use super::answer::{APISERVERS, NAMESPACE, path_of};
use super::client::{self, Door, address};
use super::disk::Disk;
use crate::sim::kube::namespace;
use crate::sim::kubectl::{self, Ended, Kubectl, Target, Verb};
use crate::sim::parse::{self, Kubeconfig};
use crate::sim::version::Version;
use crate::sim::world::Files as _;

/// Runs a kubectl command.
pub(super) async fn run(call: &Kubectl, version: Version) -> Ended {
    let door = match door(call) {
        Ok(door) => door,
        Err(ended) => return ended,
    };
    if let Some(ended) = call.lacks_schema(&Target::Url(door.clone()), version) {
        return ended;
    }
    let (method, path, body) = match request(&call.verb) {
        Ok(request) => request,
        Err(ended) => return ended,
    };
    let ended = knock(&door, method, path, body).await;
    match (&call.verb, ended.stderr.strip_prefix(NOT_FOUND)) {
        (Verb::Annotate { .. }, _) if ended.status == 0 => Ended::fine(namespace::ANNOTATED),
        // That a kind is missing kubectl says by itself.
        (Verb::Lines(_), Some(words)) => Ended::bad(1, words.trim_end()),
        _ => ended,
    }
}

/// Where a command goes.
///
/// # Errors
/// kubectl's words when there is nowhere to go.
pub(super) fn door(call: &Kubectl) -> Result<Kubeconfig, Ended> {
    let text = Disk.text(call.kubeconfig());
    match call.target(text.as_deref())? {
        Target::Url(door) => Ok(door),
        Target::Admin => admin_door(),
    }
}

const NOT_FOUND: &str = "Error from server (NotFound): ";

/// What a server's admin kubeconfig says; elsewhere kubectl has no server to ask.
///
/// # Errors
/// kubectl's words.
pub(super) fn admin_door() -> Result<Kubeconfig, Ended> {
    let text = Disk.text(kubectl::OPERATORS);
    let door = text.as_deref().and_then(parse::kubeconfig);
    door.ok_or_else(|| kubectl::refused("localhost:8080"))
}

fn request(verb: &Verb) -> Result<(Method, &str, Vec<u8>), Ended> {
    let leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
    match verb {
        Verb::Namespace => Ok((Method::GET, NAMESPACE, Vec::new())),
        Verb::Annotate { key, value } => {
            let patch = serde_json::json!({ "metadata": { "annotations": { key: value } } });
            Ok((Method::PATCH, NAMESPACE, patch.to_string().into_bytes()))
        }
        Verb::Apiservers => Ok((Method::GET, APISERVERS, Vec::new())),
        Verb::Nodes => Ok((Method::GET, "/api/v1/nodes", Vec::new())),
        Verb::Leases => Ok((Method::GET, leases, Vec::new())),
        Verb::Lines(lines) => Ok((Method::GET, path_of(*lines), Vec::new())),
        Verb::GetRaw(path) => Ok((Method::GET, path, Vec::new())),
        Verb::ReplaceRaw { path, file, .. } => Ok((Method::PUT, path, body(file)?)),
        Verb::CreateRaw { path, file } => Ok((Method::POST, path, body(file)?)),
    }
}

fn body(file: &str) -> Result<Vec<u8>, Ended> {
    let from = if file == "-" { "/dev/stdin" } else { file };
    let missing = || Ended::bad(1, format!("error: the path \"{file}\" does not exist"));
    Disk.read(from).ok_or_else(missing)
}

/// Sends one request and puts the answer into kubectl's words.
pub(super) async fn knock(door: &Kubeconfig, method: Method, path: &str, body: Vec<u8>) -> Ended {
    let ca = match door.ca.as_deref().map(|path| (path, Disk.text(path))) {
        Some((path, None)) => {
            let text = format!(
                "error: unable to read certificate-authority {path} for k due to open {path}: no such file or directory"
            );
            return Ended::bad(1, text);
        }
        Some((_, Some(text))) => text,
        None => String::new(),
    };
    let basic = door.basic.as_ref();
    let to = Door {
        url: &door.server,
        ca: &ca,
        basic: basic.map(|(user, word)| (user.as_str(), word.as_str())),
        bearer: None,
    };
    match client::ask(&to, method, path, body).await {
        Ok(answer) => kubectl::words(&answer),
        Err(error) => silence(&error, &address(&door.server)),
    }
}

fn silence(error: &io::Error, address: &str) -> Ended {
    let text = match error.kind() {
        io::ErrorKind::ConnectionRefused => return kubectl::refused(address),
        io::ErrorKind::TimedOut => format!("dial tcp {address}: i/o timeout"),
        io::ErrorKind::UnexpectedEof => "EOF".to_owned(),
        io::ErrorKind::InvalidData => {
            format!("tls: failed to verify certificate: x509: {error}")
        }
        _ => error.to_string(),
    };
    Ended::bad(1, format!("Unable to connect to the server: {text}"))
}
