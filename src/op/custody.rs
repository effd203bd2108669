//! What is kept off the hosts, and the place that keeps it. Knows no file: `app` hands in who does.

use camino::Utf8PathBuf;
use serde::Serialize;

use crate::k3s::restore::{line, line_to_come};
use crate::model::HostName;
use crate::secret::Secret;

/// Which rotation something belongs to; gives nothing of a token away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rotation {
    /// Tag of the new token, as in the names of snapshots.
    pub tag: String,
    /// Digest of the old token, keyed with the new one.
    pub pairing: String,
}

/// What a restore of an older snapshot needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Deposit {
    /// The folder that the playbook names; the usual one when it names none.
    pub folder: Option<Utf8PathBuf>,
    /// Whose it is.
    pub rotation: Rotation,
    /// The cluster, by its servers.
    pub servers: Vec<HostName>,
    /// Snapshots that need the old token.
    pub snapshots: Vec<(HostName, Utf8PathBuf)>,
    /// How the path of one begins that is about to be taken: K3s ends its name with the node's name and the time.
    pub to_come: Option<(HostName, Utf8PathBuf)>,
    /// The old token.
    pub old: Secret,
    /// How a restore goes, for people.
    #[serde(skip)]
    pub note: String,
}

impl Deposit {
    /// Calls the snapshot that was to come by its whole name, in the note too.
    pub fn has_come(&mut self, path: Utf8PathBuf) {
        if let Some((host, begins)) = self.to_come.take() {
            let (whole, part) = (line(&host, &path), line_to_come(&host, &begins));
            self.note = self.note.replace(&part, &whole);
            self.snapshots.push((host, path));
        }
    }
}

/// A file that is brought from a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Parcel {
    /// Whose it is.
    pub rotation: Rotation,
    /// Its name here; the whole of it is known when it is found.
    pub begins: String,
    /// Where it is on the host.
    pub source: Source,
}

/// Where a parcel is on its host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Source {
    /// This file.
    File(Utf8PathBuf),
    /// The last by name of those in this folder whose names begin as the parcel's.
    In(Utf8PathBuf),
}

/// A file as it was found on its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Which host.
    pub host: HostName,
    /// Its path there.
    pub path: Utf8PathBuf,
    /// Its name here.
    pub name: String,
    /// Its length.
    pub size: u64,
    /// Its SHA-256, in hexadecimal digits.
    pub digest: String,
}

/// What becomes of the old token off the hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// It is kept for whoever was named.
    Keep,
    /// It need not be kept.
    Leave,
    /// Nobody has said.
    Unsaid,
}

/// Why something is not kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct CustodyError {
    /// What is wrong.
    pub what: String,
    /// What to do next.
    pub next: String,
}

/// The place off the hosts.
pub trait Custody: Send + Sync {
    /// What was said about the old token.
    fn choice(&self) -> Choice;

    /// Whether it is kept, whole and for everybody who was named.
    ///
    /// # Errors
    /// When the place cannot be looked at.
    fn holds(&self, deposit: &Deposit) -> Result<bool, CustodyError>;

    /// Keeps it, synced; says where, for people.
    ///
    /// # Errors
    /// When it is not kept.
    fn keep(&self, deposit: &Deposit) -> Result<String, CustodyError>;

    /// A secret, encrypted for everybody who was named.
    ///
    /// # Errors
    /// When nobody was named, or it cannot be encrypted.
    fn seal(&self, secret: &Secret) -> Result<Vec<u8>, CustodyError>;

    /// Whether snapshots are to be brought here.
    fn fetches(&self) -> bool;

    /// Whether this one is here, whole.
    ///
    /// # Errors
    /// When the place cannot be looked at.
    fn has(&self, parcel: &Parcel) -> Result<bool, CustodyError>;

    /// Begins to receive a file, or goes on with it.
    ///
    /// # Errors
    /// When there is no place for it.
    fn receive(&self, parcel: &Parcel, found: &Found) -> Result<Box<dyn Incoming>, CustodyError>;
}

/// A file that is being received.
pub trait Incoming: Send {
    /// Bytes that are here already: the next one to send.
    fn have(&self) -> u64;

    /// Takes the next bytes.
    ///
    /// # Errors
    /// When they cannot be written.
    fn append(&mut self, bytes: &[u8]) -> Result<(), CustodyError>;

    /// Compares the digest and gives the file its name; where it is.
    ///
    /// # Errors
    /// When it is not the same file, or cannot be kept.
    fn finish(self: Box<Self>) -> Result<String, CustodyError>;
}

/// No such place: nothing was asked for.
#[derive(Debug, Clone, Copy)]
pub struct Nowhere;

impl Nowhere {
    fn refuse<T>() -> Result<T, CustodyError> {
        Err(CustodyError {
            what: "there is no place off the hosts to keep it".to_owned(),
            next: "name one on the command line".to_owned(),
        })
    }
}

impl Custody for Nowhere {
    fn choice(&self) -> Choice {
        Choice::Leave
    }

    fn holds(&self, _: &Deposit) -> Result<bool, CustodyError> {
        Ok(false)
    }

    fn keep(&self, _: &Deposit) -> Result<String, CustodyError> {
        Self::refuse()
    }

    fn seal(&self, _: &Secret) -> Result<Vec<u8>, CustodyError> {
        Self::refuse()
    }

    fn fetches(&self) -> bool {
        false
    }

    fn has(&self, _: &Parcel) -> Result<bool, CustodyError> {
        Ok(false)
    }

    fn receive(&self, _: &Parcel, _: &Found) -> Result<Box<dyn Incoming>, CustodyError> {
        Self::refuse()
    }
}
