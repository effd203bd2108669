//! What the model is handed: files, a datastore, certificates. Front ends implement these over memory or a real host.

use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::HostTime;
use crate::wire::FileStat;

/// The file system of one host, as root sees it.
pub trait Files {
    /// The bytes of a file, following links; `None` when there is no such file.
    fn read(&self, path: &str) -> Option<Vec<u8>>;

    /// Writes in place: an existing file keeps its mode, a new one gets `mode`; missing parents are made (0700).
    ///
    /// # Errors
    /// When the disk is full or the path cannot be written.
    fn write(&mut self, path: &str, bytes: &[u8], mode: u32) -> io::Result<()>;

    /// Writes a temporary file and renames it over `path`.
    ///
    /// # Errors
    /// As for [`Files::write`].
    fn replace(&mut self, path: &str, bytes: &[u8], mode: u32) -> io::Result<()>;

    /// Removes a file or link; a missing one is fine.
    ///
    /// # Errors
    /// When it cannot be removed.
    fn remove(&mut self, path: &str) -> io::Result<()>;

    /// Makes a symbolic link at `path`.
    ///
    /// # Errors
    /// As for [`Files::write`].
    fn symlink(&mut self, target: &str, path: &str) -> io::Result<()>;

    /// What is at a path, not following a link there.
    fn stat(&self, path: &str) -> Option<FileStat>;

    /// Sets when a file's bytes last changed.
    ///
    /// # Errors
    /// When there is no such file.
    fn set_mtime(&mut self, path: &str, mtime: HostTime) -> io::Result<()>;

    /// The names in a directory, sorted; `None` when there is none.
    fn list(&self, directory: &str) -> Option<Vec<String>>;

    /// The text of a file.
    fn text(&self, path: &str) -> Option<String> {
        self.read(path)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// The key-value store behind a cluster, shared by its servers.
pub trait Datastore {
    /// The value of a key.
    fn get(&self, key: &str) -> Option<String>;
    /// Sets a key.
    fn put(&mut self, key: &str, value: String);
    /// Removes a key.
    fn delete(&mut self, key: &str);
    /// All keys that begin with `prefix`, sorted.
    fn list(&self, prefix: &str) -> Vec<String>;
    /// Counts writes; only ever grows.
    fn revision(&self) -> u64;
}

/// Makes certificates.
pub trait Pki {
    /// The PEM of a new cluster CA.
    fn make_ca(&mut self, now: HostTime) -> String;
    /// The PEM of a kubelet's client certificate: `O=system:nodes, CN=system:node:NAME`.
    fn node_certificate(&mut self, node: &str, now: HostTime) -> String;
}

/// Severity of a line in K3s's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Level {
    /// `info`
    Info,
    /// `warning`
    Warning,
    /// `error`
    Error,
    /// `fatal`: the process ends with status 1.
    Fatal,
}

/// One line that a K3s process logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// When.
    pub at: HostTime,
    /// How bad.
    pub level: Level,
    /// What.
    pub text: String,
}

impl Line {
    /// A line.
    #[must_use]
    pub fn new(at: HostTime, level: Level, text: impl Into<String>) -> Self {
        Self {
            at,
            level,
            text: text.into(),
        }
    }

    /// As K3s writes it: `time="…" level=… msg="…"`.
    #[must_use]
    pub fn logged(&self) -> String {
        let level = match self.level {
            Level::Info => "info",
            Level::Warning => "warning",
            Level::Error => "error",
            Level::Fatal => "fatal",
        };
        format!(
            "time=\"{}\" level={level} msg={:?}",
            seconds(self.at),
            self.text
        )
    }
}

/// What a supervisor or apiserver says to one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Status and body.
    Said {
        /// HTTP status.
        status: u16,
        /// Body.
        body: String,
    },
    /// The connection ends without an answer.
    Dropped,
}

impl Answer {
    /// A status and a body.
    #[must_use]
    pub fn said(status: u16, body: impl Into<String>) -> Self {
        Self::Said {
            status,
            body: body.into(),
        }
    }
}

/// One request to a supervisor.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Such as `GET`.
    pub method: &'a str,
    /// Such as `/v1-k3s/token`.
    pub path: &'a str,
    /// User and password of basic authentication.
    pub basic: Option<(&'a str, &'a str)>,
    /// The text of bearer authentication.
    pub bearer: Option<&'a str>,
    /// Body.
    pub body: &'a [u8],
}

/// A moment as RFC 3339 with whole seconds.
#[must_use]
pub fn seconds(at: HostTime) -> String {
    timestamp(at).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A moment as RFC 3339 with microseconds.
#[must_use]
pub fn micros(at: HostTime) -> String {
    timestamp(at).strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// A moment as jiff knows it.
#[must_use]
pub fn timestamp(at: HostTime) -> jiff::Timestamp {
    jiff::Timestamp::from_microsecond(at.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
}

/// A moment later by `duration`.
#[must_use]
pub fn after(at: HostTime, duration: Duration) -> HostTime {
    let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    HostTime(at.0.saturating_add(micros))
}
