//! `k3s token …` and `k3s secrets-encrypt status`: ask a real server, and say what the model says.

use std::time::Duration;

use hyper::Method;

use super::answer::{SECRETS, TOKEN};
use super::client::{self, Door};
use super::disk::Disk;
use super::{kubectl, now, snapshot};
use crate::sim::bootstrap;
use crate::sim::call::{CreateToken, Rotate};
use crate::sim::etcd;
use crate::sim::kubectl::{Ended, Kubectl, Verb};
use crate::sim::token::Token;
use crate::sim::tokens::{self, Bootstrap};
use crate::sim::world::{Answer, Files as _};

/// The CLI waits for etcd to hand the change round.
const SPREADS: Duration = Duration::from_secs(1);

/// Rotates; shows `server/token` unless it is told what to show.
pub(super) async fn rotate(asked: &Rotate) -> Ended {
    let path = format!("{}/server/token", asked.data_dir);
    let Some(shown) = asked.token.clone().or_else(|| Disk.text(&path)) else {
        let why = format!("open {path}: no such file or directory");
        return tokens::rotated("", Err(why), now());
    };
    let ca = Disk.text(&format!("{}/{}", asked.data_dir, bootstrap::CA));
    let secret = Token::secret_of(&shown);
    let door = Door {
        url: &asked.server,
        ca: &ca.unwrap_or_default(),
        basic: Some(("server", &secret)),
        bearer: None,
    };
    let body = tokens::body(&asked.new);
    let answer = client::ask(&door, Method::PUT, "/v1-k3s/token", body).await;
    let answer = answer.map_err(|error| error.to_string());
    if matches!(answer, Ok(Answer::Said { status: 200, .. })) {
        tokio::time::sleep(SPREADS).await;
    }
    tokens::rotated(&shown, answer, now())
}

/// Tells whether secrets are encrypted; shows `server/token`.
pub(super) async fn encryption() -> Ended {
    let fatal = |why: &str| Ended::bad(1, etcd::unsaved(why, now()));
    let Some(settings) = snapshot::configured() else {
        return fatal("the configuration cannot be read");
    };
    match snapshot::ask(&settings, Method::GET, "/v1-k3s/token").await {
        Ok(Answer::Said {
            status: 400 | 405, ..
        }) => Ended::fine("Encryption Status: Disabled, no configuration file found\n"),
        Ok(Answer::Said { .. }) => fatal("not authorized"),
        Ok(Answer::Dropped) => fatal("EOF"),
        Err(error) => fatal(&error.to_string()),
    }
}

/// Makes a bootstrap token.
pub(super) async fn create(wanted: &CreateToken) -> Ended {
    let luck = format!("{} {}", std::process::id(), now().0);
    let token = Bootstrap::made(wanted, &luck, now());
    let body = serde_json::to_vec(&token).unwrap_or_default();
    let kubeconfig = wanted.kubeconfig.as_deref();
    match admin(kubeconfig, Method::POST, SECRETS, body).await {
        Ok((ca, said)) if said.status == 0 => Ended::fine(token.created(&ca)),
        Ok((_, ended)) | Err(ended) => ended,
    }
}

/// Lists bootstrap tokens.
pub(super) async fn list() -> Ended {
    match admin(None, Method::GET, SECRETS, Vec::new()).await {
        Ok((_, said)) if said.status == 0 => {
            let all: Vec<Bootstrap> = serde_json::from_str(&said.stdout).unwrap_or_default();
            Ended::fine(tokens::table(&all, now()))
        }
        Ok((_, ended)) | Err(ended) => ended,
    }
}

/// Takes bootstrap tokens away, one after the other.
pub(super) async fn delete(kubeconfig: Option<&str>, ids: &[String]) -> Ended {
    let mut stdout = String::new();
    for id in ids {
        let path = format!("{TOKEN}{id}");
        let was_there = match admin(kubeconfig, Method::DELETE, &path, Vec::new()).await {
            Ok((_, said)) if said.status == 0 => true,
            Ok((_, said)) if said.stderr.contains("(NotFound)") => false,
            Ok((_, ended)) | Err(ended) => return Ended { stdout, ..ended },
        };
        let ended = tokens::deleted(id, was_there, now());
        if ended.status != 0 {
            return Ended { stdout, ..ended };
        }
        stdout += &ended.stdout;
    }
    Ended::fine(stdout)
}

/// Asks for bootstrap tokens with a kubeconfig, the operator's when none is named: the CA, and what was said.
async fn admin(
    kubeconfig: Option<&str>,
    method: Method,
    path: &str,
    body: Vec<u8>,
) -> Result<(String, Ended), Ended> {
    let door = kubectl::door(&Kubectl {
        data_dir: None,
        kubeconfig: kubeconfig.map(str::to_owned),
        server: None,
        verb: Verb::Nodes,
    })?;
    let ca = door.ca.as_deref().and_then(|path| Disk.text(path));
    let said = kubectl::knock(&door, method, path, body).await;
    Ok((ca.unwrap_or_default(), said))
}
