//! What an etcd member tells on its plain-text port, and what a snapshot prints.

use super::settings::Settings;
use super::token;
use super::world::{Answer, Level, Line};
use crate::model::HostTime;

/// The port, with its colon.
pub const PORT: &str = ":2381";

/// The URL of etcd for its clients.
pub const CLIENTS: &str = "https://127.0.0.1:2379";

/// What etcd's JSON gateway says to a POST: it is not usable to list keys.
#[must_use]
pub fn gateway(path: &str) -> Answer {
    if path.starts_with("/v3/") {
        Answer::said(415, "Unsupported Media Type")
    } else {
        Answer::said(404, "404 page not found\n")
    }
}

/// A member as its metrics show it.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one gauge or answer of etcd"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// 16 hex digits.
    pub id: String,
    /// Grows with every write.
    pub revision: i64,
    /// Whether the cluster has a leader.
    pub has_leader: bool,
    /// Whether it is this one.
    pub is_leader: bool,
    /// Whether it has no vote.
    pub is_learner: bool,
    /// Whether it says that it is healthy.
    pub is_healthy: bool,
}

impl Member {
    /// Answers `/health` and `/metrics`.
    #[must_use]
    pub fn answer(&self, path: &str) -> Answer {
        match path {
            "/health" if self.has_leader && self.is_healthy => {
                Answer::said(200, "{\"health\":\"true\",\"reason\":\"\"}")
            }
            "/health" => Answer::said(503, "{\"health\":\"false\",\"reason\":\"RAFT NO LEADER\"}"),
            "/metrics" => Answer::said(200, self.metrics()),
            _ => Answer::said(404, "404 page not found\n"),
        }
    }

    fn metrics(&self) -> String {
        let gauge = |name: &str, labels: &str, value: i64| {
            format!("# TYPE {name} gauge\n{name}{labels} {value}\n")
        };
        let id = format!("{{server_id=\"{}\"}}", self.id);
        [
            gauge("etcd_debugging_mvcc_current_revision", "", self.revision),
            gauge("etcd_server_has_leader", "", self.has_leader.into()),
            gauge("etcd_server_id", &id, 1),
            gauge("etcd_server_is_leader", "", self.is_leader.into()),
            gauge("etcd_server_is_learner", "", self.is_learner.into()),
        ]
        .concat()
    }
}

/// A member by the name of its node, how often that machine has joined before, and its address.
pub type Joined<'a> = (&'a str, u8, &'a str);

/// The members as a joining server is told.
#[must_use]
pub fn members<'a>(members: impl Iterator<Item = Joined<'a>>) -> Answer {
    let members = members.map(|(name, before, address)| {
        let id = match before {
            0 => token::sha256(name.as_bytes()),
            _ => token::sha256(format!("{name} {before}").as_bytes()),
        };
        let name = format!("{name}-{}", id.get(..8).unwrap_or_default());
        let url = format!("https://{address}:2380");
        serde_json::json!({ "name": name, "peerURLs": [url] })
    });
    let members: Vec<serde_json::Value> = members.collect();
    Answer::said(200, serde_json::json!({ "members": members }).to_string())
}

/// What `k3s etcd-snapshot save` prints when it has saved `file`.
#[must_use]
pub fn saved(settings: &Settings, file: &str, now: HostTime) -> String {
    let mut seen: Vec<&str> = Vec::new();
    for (flag, _) in &settings.flags {
        if !seen.contains(&flag.as_str()) {
            seen.push(flag);
        }
    }
    let skipped = seen.into_iter().map(|flag| {
        let text = format!("Unknown flag --{flag} found in config.yaml, skipping");
        Line::new(now, Level::Warning, text)
    });
    let done = Line::new(now, Level::Info, format!("Snapshot {file} saved."));
    skipped
        .chain([done])
        .flat_map(|line| [line.logged(), "\n".to_owned()])
        .collect()
}

/// What it prints when it fails.
#[must_use]
pub fn unsaved(why: &str, now: HostTime) -> String {
    let text = format!("Error: see server log for details: {why}");
    Line::new(now, Level::Fatal, text).logged()
}
