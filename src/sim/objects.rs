//! Objects that others put into a cluster: those of the JSON manifests of the server that is asked, and join tokens.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::kubectl::{Ended, Lines};
use super::settings::Settings;
use super::tokens::Bootstrap;
use super::world::{Datastore, Files, seconds};
use crate::k3s::others::{KURED_LOCK, TOKEN_PREFIX};
use crate::model::HostTime;

/// What kubectl prints.
#[must_use]
pub fn lines(
    of: Lines,
    settings: &Settings,
    files: &dyn Files,
    store: &dyn Datastore,
    now: HostTime,
) -> Ended {
    let objects = manifests(settings, files);
    let of_kind = |kinds: &[&str]| -> Vec<&Value> {
        let fits = |object: &&Value| kinds.contains(&text(object, "/kind").as_str());
        objects.iter().filter(fits).collect()
    };
    let rows: String = match of {
        Lines::Workloads => {
            let found = of_kind(&["DaemonSet", "Deployment"]);
            found.into_iter().map(workload).collect()
        }
        Lines::Plans => match of_kind(&["Plan"]).as_slice() {
            // Who has no plan has not installed their kind.
            [] => {
                let words = "error: the server doesn't have a resource type \"plans\"";
                return Ended::bad(1, words);
            }
            plans => plans.iter().copied().map(plan).collect(),
        },
        Lines::JoinTokens => {
            let tokens = Bootstrap::all(store, now);
            tokens.iter().map(join_token).collect()
        }
    };
    Ended::fine(rows)
}

/// K3s applies what lies there.
fn manifests(settings: &Settings, files: &dyn Files) -> Vec<Value> {
    let folder = settings.path("server/manifests");
    let names = files.list(&folder).unwrap_or_default().into_iter();
    let texts = names.filter_map(|name| files.text(&format!("{folder}/{name}")));
    texts
        .filter_map(|text| serde_json::from_str(&text).ok())
        .collect()
}

fn text(object: &Value, at: &str) -> String {
    let found = object.pointer(at).and_then(Value::as_str);
    found.unwrap_or_default().to_owned()
}

fn workload(object: &Value) -> String {
    let lock = object.pointer("/metadata/annotations");
    let lock = lock.and_then(|all| all.get(KURED_LOCK)?.as_str());
    format!(
        "{}\t{}\t{}\t{}\n",
        text(object, "/kind"),
        text(object, "/metadata/namespace"),
        text(object, "/metadata/name"),
        lock.unwrap_or_default()
    )
}

fn plan(object: &Value) -> String {
    let applying = object.pointer("/status/applying");
    format!(
        "{}\t{}\t{}\n",
        text(object, "/metadata/namespace"),
        text(object, "/metadata/name"),
        applying.map(ToString::to_string).unwrap_or_default()
    )
}

fn join_token(token: &Bootstrap) -> String {
    let expires = token.expires.map(seconds).unwrap_or_default();
    format!(
        "{TOKEN_PREFIX}{}\t{}\t{}\t{}\t{}\n",
        token.id,
        STANDARD.encode(expires),
        STANDARD.encode("true"),
        STANDARD.encode("true"),
        STANDARD.encode(&token.description)
    )
}
