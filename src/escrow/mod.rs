//! Keeps off the hosts what a restore of an older snapshot needs: the old token, encrypted to age recipients, and, when
//! asked for, the snapshot itself.
//!
//! The only code beside the journal that writes files here. The old token is never written in plain text.

mod folder;
mod identity;
mod parcels;
mod recipients;
mod store;

pub use identity::Identity;
pub use recipients::Recipients;
pub use store::{Entry, Kept, find, list, open};

use camino::Utf8PathBuf;

use crate::model::RunId;
use crate::op::custody::{Choice, Custody, CustodyError, Deposit, Found, Incoming, Parcel};
use crate::secret::Secret;

/// The place off the hosts, as the command line names it.
#[derive(Debug, Clone)]
pub struct Vault {
    /// Names what is kept.
    pub run: RunId,
    /// Where the old token is kept unless the playbook says otherwise.
    pub place: Utf8PathBuf,
    /// Who can decrypt it; it is not kept when nobody can.
    pub recipients: Recipients,
    /// Decrypts once as a test.
    pub identity: Option<Identity>,
    /// Where snapshots go.
    pub snapshots: Option<Utf8PathBuf>,
    /// Whether it was said that the old token need not be kept.
    pub declined: bool,
}

impl Vault {
    /// Sees that what is there already is its owner's alone, before anything is asked of a host.
    ///
    /// # Errors
    /// When others can enter it, or it is no folder.
    pub fn check(&self) -> Result<(), CustodyError> {
        let place = (!self.recipients.is_empty()).then_some(&self.place);
        let folders = place.into_iter().chain(&self.snapshots);
        folders
            .filter(|folder| folder.exists())
            .try_for_each(|folder| folder::closed(folder))
    }
}

impl Custody for Vault {
    fn choice(&self) -> Choice {
        if !self.recipients.is_empty() {
            Choice::Keep
        } else if self.declined {
            Choice::Leave
        } else {
            Choice::Unsaid
        }
    }

    fn holds(&self, deposit: &Deposit) -> Result<bool, CustodyError> {
        store::holds(self, deposit)
    }

    fn keep(&self, deposit: &Deposit) -> Result<String, CustodyError> {
        store::keep(self, deposit)
    }

    fn seal(&self, secret: &Secret) -> Result<Vec<u8>, CustodyError> {
        self.recipients.seal(secret)
    }

    fn fetches(&self) -> bool {
        self.snapshots.is_some()
    }

    fn has(&self, parcel: &Parcel) -> Result<bool, CustodyError> {
        match &self.snapshots {
            Some(folder) => parcels::has(folder, parcel),
            None => Ok(false),
        }
    }

    fn receive(&self, parcel: &Parcel, found: &Found) -> Result<Box<dyn Incoming>, CustodyError> {
        let folder = self.snapshots.as_ref().ok_or_else(|| {
            wrong(
                "no folder for snapshots was named",
                "name one with --fetch-snapshot",
            )
        })?;
        let incoming = parcels::receive(folder, &self.run, parcel, found)?;
        Ok(Box::new(incoming))
    }
}

fn wrong(what: impl Into<String>, next: impl Into<String>) -> CustodyError {
    CustodyError {
        what: what.into(),
        next: next.into(),
    }
}

fn damaged(what: String) -> CustodyError {
    wrong(what, "take it from a backup of this folder")
}

/// Lines that say something, with their numbers.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim()));
    numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}
