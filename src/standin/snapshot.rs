//! `k3s etcd-snapshot save`: authenticates with `server/token`, so that it fails between a rotate and a restart.

use std::io;

use hyper::Method;

use super::client::{self, Door};
use super::disk::Disk;
use super::now;
use crate::sim::bootstrap::{self, Replica};
use crate::sim::etcd;
use crate::sim::kubectl::Ended;
use crate::sim::settings::{Launch, Settings};
use crate::sim::token::Token;
use crate::sim::world::{Answer, Files as _};

/// Where a server takes orders for snapshots; the name follows.
pub(super) const PATH: &str = "/db/snapshot?name=";

fn fatal(text: &str) -> Ended {
    Ended::bad(1, etcd::unsaved(text, now()))
}

/// Orders a snapshot from this host's server.
pub(super) async fn save(name: &str) -> Ended {
    let Some(settings) = configured() else {
        return fatal("the configuration cannot be read");
    };
    match ask(&settings, Method::POST, &format!("{PATH}{name}")).await {
        Ok(Answer::Said { status: 200, body }) => Ended {
            status: 0,
            stdout: String::new(),
            stderr: etcd::saved(&settings, &body, now()),
        },
        Ok(Answer::Said { status: 401, .. }) => fatal("not authorized"),
        Ok(Answer::Said { body, .. }) => {
            let said: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
            let message = said.get("message").and_then(serde_json::Value::as_str);
            fatal(message.unwrap_or(&body))
        }
        Ok(Answer::Dropped) => fatal("EOF"),
        Err(error) => fatal(&error.to_string()),
    }
}

/// What the configuration of this host's server says.
pub(super) fn configured() -> Option<Settings> {
    let launch = Launch {
        args: vec!["server".to_owned()],
        ..Launch::default()
    };
    Settings::resolve(&Disk, &launch).ok()
}

/// Asks this host's server and shows `server/token`.
///
/// # Errors
/// When nobody answers.
pub(super) async fn ask(settings: &Settings, method: Method, path: &str) -> io::Result<Answer> {
    let read = |below: &str| Disk.text(&settings.path(below)).unwrap_or_default();
    let secret = Token::secret_of(&read("server/token"));
    let door = Door {
        url: &format!("https://127.0.0.1:{}", settings.port()),
        ca: &read(bootstrap::CA),
        basic: Some(("server", &secret)),
        bearer: None,
    };
    client::ask(&door, method, path, Vec::new()).await
}

/// Writes a snapshot on the server; the answer is its name.
pub(super) fn write(settings: &Settings, node: &str, path: &str, data: &Replica) -> Answer {
    let name = path.strip_prefix(PATH).unwrap_or_default();
    let file = format!("{name}-{node}-{}", now().0 / 1_000_000);
    let path = settings.path(&format!("server/db/snapshots/{file}"));
    match Disk.write(&path, data.render().as_bytes(), 0o600) {
        Ok(()) => Answer::said(200, file),
        Err(error) => Answer::said(500, format!("failed to save snapshot: {error}")),
    }
}
