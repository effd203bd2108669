//! A place off the hosts where OLD is kept, and what is wrong with what is kept there.

use std::sync::Arc;

use keyroll::escrow::{self, Recipients, Vault};
use keyroll::model::RunId;

use super::rig::{Inner, made};

/// A place off the hosts, and the key to it.
pub(super) struct Escrow {
    _folder: tempfile::TempDir,
    vault: Vault,
}

impl Escrow {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = camino::Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
        let (key, recipient) = crate::escrow::key(&path.join("key"));
        let vault = Vault {
            run: RunId(String::new()),
            place: path.join("escrow"),
            recipients: Recipients::read(&[recipient]).unwrap(),
            identity: Some(key),
            snapshots: None,
            declined: false,
        };
        Self {
            _folder: folder,
            vault,
        }
    }

    /// As the n-th run has it.
    pub(super) fn of(&self, number: usize) -> Arc<Vault> {
        Arc::new(Vault {
            run: RunId(format!("run-{number}")),
            ..self.vault.clone()
        })
    }
}

impl Inner {
    /// What is wrong with what is kept: once a rotate was asked for, OLD must be there.
    pub(super) fn not_kept(&self) -> Option<String> {
        let escrow = self.escrow.as_ref()?;
        let mut log = self.wire.state().log.clone().into_iter();
        let asked = log.any(|line| line.contains("replace --raw"));
        let kept = escrow::list(&escrow.vault.place).unwrap();
        let key = escrow.vault.identity.as_ref()?;
        // A second run after the first has ended well is a second rotation, whose OLD is the first one's NEW.
        let is_old = |kept: &escrow::Kept| {
            let name = kept.folder.file_name().unwrap();
            let (folder, entry) = escrow::find(&escrow.vault.place, name).unwrap();
            let old = escrow::open(&folder, &entry, key).unwrap();
            old.expose() == self.old || name.starts_with("run-2") && old.expose() == made(1)
        };
        if kept.iter().all(is_old) && (!asked || !kept.is_empty()) {
            return None;
        }
        Some(format!("a rotate was asked for: {asked}; kept: {kept:?}"))
    }
}
