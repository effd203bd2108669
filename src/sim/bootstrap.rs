//! Bootstrap data: what a cluster keeps in its datastore under a key made of the token, and how disk follows it.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::settings::Settings;
use super::token;
use super::world::{Datastore, Files, after};
use crate::model::HostTime;

/// K3s forgives files that are this much newer than the datastore's.
const SKEW: Duration = Duration::from_secs(3);

/// Where a server's files of the payload are, below the data directory.
pub const PASSWD: &str = "server/cred/passwd";
/// The server CA, whose hash is in `K10…` tokens.
pub const CA: &str = "server/tls/server-ca.crt";

/// A key that the first start of a cluster makes and no other changes.
pub const PSK: &str = "server/cred/ipsec.psk";

const KEPT: [&str; 3] = [PASSWD, CA, PSK];

/// One file of the payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Text.
    pub content: String,
    /// When it last changed on the server that saved it.
    pub mtime: HostTime,
}

/// Files that every server of a cluster shares.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload(pub BTreeMap<String, Kept>);

impl Payload {
    /// Takes the files from a server's disk.
    #[must_use]
    pub fn from_disk(files: &dyn Files, settings: &Settings) -> Self {
        let kept = |below: &&str| {
            let path = settings.path(below);
            let content = files.text(&path)?;
            let mtime = files.stat(&path)?.mtime;
            Some(((*below).to_owned(), Kept { content, mtime }))
        };
        Self(KEPT.iter().filter_map(kept).collect())
    }

    /// Reads a value of the datastore.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// As it is kept in the datastore.
    #[must_use]
    pub fn render(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The path that is newer than the datastore's copy and differs, if any.
    #[must_use]
    pub fn newer_on_disk(&self, files: &dyn Files, settings: &Settings) -> Option<String> {
        self.0.iter().find_map(|(below, kept)| {
            let path = settings.path(below);
            let differs = files.text(&path)? != kept.content;
            let newer = files.stat(&path)?.mtime > after(kept.mtime, SKEW);
            (differs && newer).then_some(path)
        })
    }

    /// Makes the disk hold what the datastore holds, with the datastore's times.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn lay_on_disk(&self, files: &mut dyn Files, settings: &Settings) -> io::Result<()> {
        for (below, kept) in &self.0 {
            let path = settings.path(below);
            if files.text(&path).as_deref() != Some(kept.content.as_str()) {
                files.write(&path, kept.content.as_bytes(), 0o600)?;
                files.set_mtime(&path, kept.mtime)?;
            }
        }
        Ok(())
    }
}

/// What is under a secret's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// The payload.
    Payload(Payload),
    /// Nothing at all: a new cluster.
    Nothing,
    /// Something under another key.
    OtherToken,
}

/// Looks for the payload under a secret.
#[must_use]
pub fn find(store: &dyn Datastore, secret: &str) -> Found {
    match store
        .get(&token::key(secret))
        .as_deref()
        .map(Payload::parse)
    {
        Some(payload) => Found::Payload(payload.unwrap_or_default()),
        None if store.list("/bootstrap/").is_empty() => Found::Nothing,
        None => Found::OtherToken,
    }
}

/// An etcd member's own copy of the datastore, which it starts from when no peer answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replica(BTreeMap<String, String>);

const ETCD: &str = "server/db/etcd";
const DB: &str = "member/snap/db";

impl Replica {
    /// Copies the datastore's bootstrap keys.
    #[must_use]
    pub fn of(store: &dyn Datastore) -> Self {
        let keys = store.list("/bootstrap/").into_iter();
        Self(
            keys.filter_map(|key| Some((key.clone(), store.get(&key)?)))
                .collect(),
        )
    }

    /// Reads a member's copy; `None` when it is not a member yet.
    #[must_use]
    pub fn read(files: &dyn Files, settings: &Settings) -> Option<Self> {
        let path = settings.path(&format!("{ETCD}/{DB}"));
        serde_json::from_str(&files.text(&path)?).ok()
    }

    /// Writes a member's copy. Call it on each running member after every write to the datastore.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, files: &mut dyn Files, settings: &Settings) -> io::Result<()> {
        self.write_below(ETCD, files, settings)
    }

    /// Writes it as the data of a member that has its directory elsewhere.
    pub(super) fn write_below(
        &self,
        directory: &str,
        files: &mut dyn Files,
        settings: &Settings,
    ) -> io::Result<()> {
        let path = settings.path(&format!("{directory}/{DB}"));
        files.write(&path, self.render().as_bytes(), 0o600)
    }

    /// As a member and a snapshot keep it.
    #[must_use]
    pub fn render(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Datastore for Replica {
    fn get(&self, key: &str) -> Option<String> {
        self.0.get(key).cloned()
    }
    fn put(&mut self, key: &str, value: String) {
        self.0.insert(key.to_owned(), value);
    }
    fn delete(&mut self, key: &str) {
        self.0.remove(key);
    }
    fn list(&self, prefix: &str) -> Vec<String> {
        let keys = self.0.keys().filter(|key| key.starts_with(prefix));
        keys.cloned().collect()
    }
    fn revision(&self) -> u64 {
        0
    }
}
