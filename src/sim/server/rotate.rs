//! `PUT /v1-k3s/token`: files of this server and the datastore's key change, no memory does.

use std::io;

use super::Server;
use super::answer::supervisor;
use super::start::DIFFERENT;
use crate::model::HostTime;
use crate::sim::bootstrap::{self, Found, Payload};
use crate::sim::passwd::Passwd;
use crate::sim::token::{self, Token};
use crate::sim::world::{Answer, Datastore, Files, Level, Line};

impl Server {
    pub(super) fn rotate(
        &mut self,
        body: &[u8],
        files: &mut dyn Files,
        store: &mut dyn Datastore,
        now: HostTime,
    ) -> Answer {
        let Ok(body) = serde_json::from_slice::<serde_json::Value>(body) else {
            return supervisor(400, "invalid JSON", "BadRequest");
        };
        // The real handler reads through a null pointer here, and the request dies.
        let Some(wanted) = body.get("newToken").and_then(|token| token.as_str()) else {
            return Answer::Dropped;
        };
        let Some(wanted) = self.accepted(wanted, now) else {
            return failed(now);
        };
        let Ok(old) = self.write_files(&wanted, files, now) else {
            return failed(now);
        };
        if token::is_bootstrap(&old) {
            return failed(now);
        }
        // What is encrypted with the token of the files is re-encrypted; where there is none nothing is said (k3s:
        // RotateBootstrapToken). What is saved then needs a key of the new token (k3s: Save).
        let new = Token::secret_of(&wanted);
        let is_there = |secret: &str| matches!(bootstrap::find(store, secret), Found::Payload(_));
        if !is_there(&old) && !is_there(&new) {
            // The files have changed, the datastore has not: this server is torn.
            return failed(now);
        }
        let payload = Payload::from_disk(files, &self.settings);
        store.put(&token::key(&new), payload.render());
        if old != new {
            store.delete(&token::key(&old));
        }
        self.datastore_secret = new;
        if token::is_bootstrap(&self.datastore_secret) {
            // Only now does it stumble over the shape.
            return failed(now);
        }
        Answer::said(200, "")
    }

    /// What is written: the bare secret, or in older versions whatever was sent.
    fn accepted(&self, wanted: &str, now: HostTime) -> Option<String> {
        if wanted.is_empty() {
            return Some(drawn(now));
        }
        if self.version.takes_any_shape() {
            return Some(wanted.to_owned());
        }
        let bare = Token::parse(wanted).map(|token| token.secret);
        bare.filter(|_| !token::is_bootstrap(wanted))
    }

    /// Writes passwd and `server/token`, and says what the server row was before.
    fn write_files(&self, new: &str, files: &mut dyn Files, now: HostTime) -> io::Result<String> {
        let path = self.settings.path(bootstrap::PASSWD);
        let known = files.text(&path).as_deref().and_then(Passwd::parse);
        let known = known.ok_or(io::ErrorKind::NotFound)?;
        let follows = known.node == known.server && self.settings.agent_token.is_none();
        let wanted = Passwd {
            // The row of `server` is cleaned of the form, that of `node` is not.
            server: Token::secret_of(new),
            node: if follows {
                new.to_owned()
            } else {
                known.node.clone()
            },
        };
        // Written only when a row changes, so that its time tells of that (recorded: ha-agent-token-put-early).
        if known != wanted {
            files.replace(&path, wanted.render(now.0 / 1_000).as_bytes(), 0o600)?;
        }
        let text = token::full(&self.ca, "server", new) + "\n";
        files.write(&self.settings.path("server/token"), text.as_bytes(), 0o600)?;
        Ok(known.server)
    }
}

fn drawn(now: HostTime) -> String {
    let hash = token::sha256(&now.0.to_be_bytes());
    hash.get(..32).unwrap_or_default().to_owned()
}

/// What an answer calls an error whose reason is in the journal alone.
const REQUEST: &str = "token error ID ";

/// What the journal says of a rotate that was answered so; `None` of one that ended well.
#[must_use]
pub fn reason_of(answer: &Answer, now: HostTime) -> Option<Line> {
    let Answer::Said { status: 500, body } = answer else {
        return None;
    };
    let id = body.split(REQUEST).nth(1)?;
    let id: String = id.chars().take_while(char::is_ascii_digit).collect();
    let text = format!("{REQUEST}{id}: {DIFFERENT}");
    Some(Line::new(now, Level::Error, text))
}

/// The real reason is only in the journal, next to the same number.
fn failed(now: HostTime) -> Answer {
    let message = format!("{}{}", REQUEST, now.0 / 1_000 % 100_000);
    let body = serde_json::json!({
        "kind": "Status", "metadata": {}, "status": "Failure",
        "message": format!("Internal error occurred: {message}"), "reason": "InternalError",
        "details": {"causes": [{"message": message}]}, "code": 500,
    });
    Answer::said(500, format!("{body:#}"))
}
