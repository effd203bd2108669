//! `k3s token …`: what a rotate says, and the bootstrap tokens that live beside the server token.

use std::fmt::Write as _;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::call::CreateToken;
use super::kubectl::Ended;
use super::token::{self, Token};
use super::world::{Answer, Datastore, Level, Line, after, seconds};
use crate::model::HostTime;

/// What `token rotate` prints first, whatever comes of it.
pub const WARNING: &str = "\u{1b}[33mWARNING\u{1b}[0m: Recommended to keep a record of the old token. If restoring from a snapshot, you must use the token associated with that snapshot.\n";
const ROTATED: &str = "Token rotated, restart k3s nodes with new token\n";
/// What K3s logs of a token that does not pin the CA.
pub const UNPINNED: &str = "Cluster CA certificate is not trusted by the host CA bundle, but the token does not include a CA hash. Use the full token from the server's node-token file to enable Cluster CA validation.";
/// Where bootstrap tokens are in the datastore.
const SECRETS: &str = "/registry/secrets/kube-system/bootstrap-token-";

/// The body of the PUT.
#[must_use]
pub fn body(new: &str) -> Vec<u8> {
    serde_json::json!({ "newToken": new })
        .to_string()
        .into_bytes()
}

/// How `token rotate` ends; `shown` is the token that it showed, `answer` what was said, or why nothing was.
#[must_use]
pub fn rotated(shown: &str, answer: Result<Answer, String>, now: HostTime) -> Ended {
    let pinned = Token::parse(shown).is_some_and(|token| token.ca_hash.is_some());
    let mut stderr = String::new();
    if !pinned {
        stderr = Line::new(now, Level::Warning, UNPINNED).logged() + "\n";
    }
    let why = match answer {
        Ok(Answer::Said {
            status: 200..300, ..
        }) => None,
        Ok(Answer::Said { body, .. }) => {
            let said: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
            let message = said.get("message").and_then(serde_json::Value::as_str);
            Some(message.unwrap_or(&body).to_owned())
        }
        Ok(Answer::Dropped) => Some("EOF".to_owned()),
        Err(why) => Some(why),
    };
    let mut stdout = WARNING.to_owned();
    match &why {
        None => stdout.push_str(ROTATED),
        Some(why) => {
            // A token that is refused never gets as far as its warning.
            let fatal = Line::new(now, Level::Fatal, format!("Error: {why}"));
            stderr = fatal.logged() + "\n";
        }
    }
    Ended {
        status: i32::from(why.is_some()),
        stdout,
        stderr,
    }
}

/// A bootstrap token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// 6 characters, known to all.
    pub id: String,
    /// 16 characters.
    pub secret: String,
    /// When it ends; `None` never.
    pub expires: Option<HostTime>,
    /// What it is for.
    pub description: String,
}

impl Bootstrap {
    /// A new one, which is drawn from `luck` unless it is named.
    #[must_use]
    pub fn made(wanted: &CreateToken, luck: &str, now: HostTime) -> Self {
        let hash = token::sha256(format!("bootstrap {luck} {}", now.0).as_bytes());
        let part = |from, to| hash.get(from..to).unwrap_or_default();
        let named = wanted
            .token
            .as_deref()
            .and_then(|text| text.split_once('.'));
        let (id, secret) = named.unwrap_or_else(|| (part(0, 6), part(6, 22)));
        Self {
            id: id.to_owned(),
            secret: secret.to_owned(),
            expires: wanted.ttl.map(|ttl| after(now, ttl)),
            description: wanted.description.clone(),
        }
    }

    /// Puts it into the datastore.
    pub fn keep(&self, store: &mut dyn Datastore) {
        let text = serde_json::to_string(self).unwrap_or_default();
        store.put(&format!("{SECRETS}{}", self.id), text);
    }

    /// Takes one out of the datastore; whether it was there.
    pub fn forget(id: &str, store: &mut dyn Datastore) -> bool {
        let key = format!("{SECRETS}{id}");
        let was_there = store.get(&key).is_some();
        store.delete(&key);
        was_there
    }

    /// Whether this `id.secret` opens the door of a server whose clock says `now`.
    #[must_use]
    pub fn lives(text: &str, store: &dyn Datastore, now: HostTime) -> bool {
        let is_it = |token: &Self| format!("{}.{}", token.id, token.secret) == text;
        Self::all(store, now).iter().any(is_it)
    }

    /// All that are in the datastore; who has ended by this clock is cleaned away (k3s: `*,tokencleaner`).
    #[must_use]
    pub fn all(store: &dyn Datastore, now: HostTime) -> Vec<Self> {
        let keys = store.list(SECRETS).into_iter();
        let read = |key: String| serde_json::from_str::<Self>(&store.get(&key)?).ok();
        keys.filter_map(read)
            .filter(|token| token.expires.is_none_or(|end| now < end))
            .collect()
    }

    /// What `token create` prints.
    #[must_use]
    pub fn created(&self, ca: &str) -> String {
        let hash = token::sha256(ca.as_bytes());
        format!("K10{hash}::{}.{}\n", self.id, self.secret)
    }
}

/// How `token delete` ends that takes one away, given whether it was there; as K3s it stops at the first that it cannot.
#[must_use]
pub fn deleted(id: &str, was_there: bool, now: HostTime) -> Ended {
    let fatal = |why: String| Ended::bad(1, Line::new(now, Level::Fatal, why).logged());
    if !is_id(id) {
        let pattern = "\\A([a-z0-9]{6})\\z";
        return fatal(format!(
            "Error: given token didn't match pattern {pattern:?} or {pattern:?}"
        ));
    }
    if !was_there {
        let why = format!("secrets \"bootstrap-token-{id}\" not found");
        return fatal(format!(
            "Error: failed to delete bootstrap token {why:?}: {why}"
        ));
    }
    Ended::fine(format!("bootstrap token \"{id}\" deleted\n"))
}

/// Whether this is the part of a bootstrap token that everybody may know.
#[must_use]
pub fn is_id(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_lowercase();
    text.len() == 6 && text.bytes().all(fits)
}

/// What `token list` prints.
#[must_use]
pub fn table(tokens: &[Bootstrap], now: HostTime) -> String {
    let head = [
        "TOKEN",
        "TTL",
        "EXPIRES",
        "USAGES",
        "DESCRIPTION",
        "EXTRA GROUPS",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(tokens.iter().map(|token| row(token, now)));
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let longest = cells.map(String::len).max().unwrap_or(0);
        (longest + 3).max(10)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let padded = row.iter().zip(&widths).enumerate();
        for (at, (cell, width)) in padded {
            let width = if at + 1 == head.len() { 0 } else { *width };
            // Writing to a string cannot fail.
            write!(text, "{cell:<width$}").ok();
        }
        text.push('\n');
    }
    text
}

fn row(token: &Bootstrap, now: HostTime) -> [String; 6] {
    let none = || "<none>".to_owned();
    let (ttl, expires) = match token.expires {
        Some(end) => (short(end.since(now)), seconds(end)),
        None => ("<forever>".to_owned(), "<never>".to_owned()),
    };
    [
        token.id.clone(),
        ttl,
        expires,
        "authentication,signing".to_owned(),
        Some(token.description.clone())
            .filter(|text| !text.is_empty())
            .unwrap_or_else(none),
        "system:bootstrappers:k3s:default-node-token".to_owned(),
    ]
}

fn short(left: Duration) -> String {
    match left.as_secs() {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds @ 60..3_600 => format!("{}m", seconds / 60),
        seconds @ 3_600..86_400 => format!("{}h", seconds / 3_600),
        seconds => format!("{}d", seconds / 86_400),
    }
}
