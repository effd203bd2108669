//! One run a fleet: a lock on the fleet's servers. It ends with the process that holds it.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;

use camino::Utf8Path;
use sha2::{Digest, Sha256};

use super::{JournalError, make_private, unwritable};
use crate::model::RunId;

/// Held as long as it lives.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Takes the lock of the fleet with these server addresses, in whatever order they come.
///
/// # Errors
/// When another process holds it, or the place cannot be written.
pub fn lock<'a>(
    state: &Utf8Path,
    servers: impl IntoIterator<Item = &'a str>,
    run: &RunId,
) -> Result<Lock, JournalError> {
    let folder = state.join("locks");
    make_private(&folder)?;
    let sorted: BTreeSet<&str> = servers.into_iter().collect();
    let digest = Sha256::digest(sorted.into_iter().collect::<Vec<_>>().join("\n"));
    let name = digest
        .iter()
        .take(8)
        .fold(String::new(), |name, byte| name + &format!("{byte:02x}"));
    let path = folder.join(format!("{name}.lock"));
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path);
    let mut file = opened.map_err(|source| unwritable(&path, source))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(held(&mut file)),
        Err(TryLockError::Error(source)) => return Err(unwritable(&path, source)),
    }
    let words = format!("process {}, run {run}", std::process::id());
    let written = file
        .set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| file.write_all(words.as_bytes()))
        .and_then(|()| file.sync_data());
    written.map_err(|source| unwritable(&path, source))?;
    Ok(Lock { _file: file })
}

fn held(file: &mut File) -> JournalError {
    let mut holder = String::new();
    if file.read_to_string(&mut holder).is_err() || holder.is_empty() {
        "a process that has only just begun".clone_into(&mut holder);
    }
    JournalError::Held { holder }
}

#[cfg(test)]
mod tests {
    use camino::Utf8PathBuf;

    use super::*;

    #[test]
    fn the_same_servers_in_another_order_are_one_fleet_and_the_holder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let state = Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
        let run = RunId("r1".into());
        let first = lock(&state, ["10.0.0.1", "10.0.0.2"], &run).unwrap();
        let second = lock(&state, ["10.0.0.2", "10.0.0.1"], &RunId("r2".into())).unwrap_err();
        let words = second.to_string();
        assert!(
            words.contains("run r1") && words.contains(&std::process::id().to_string()),
            "{words}"
        );
        assert!(lock(&state, ["10.0.0.3"], &run).is_ok());
        drop(first);
        assert!(lock(&state, ["10.0.0.2", "10.0.0.1"], &run).is_ok());
    }

    #[test]
    fn a_place_that_cannot_be_written_is_named() {
        let error = lock(Utf8Path::new("/proc/none"), ["a"], &RunId("r".into())).unwrap_err();
        assert!(matches!(error, JournalError::Unwritable { .. }));
        assert!(error.to_string().contains("/proc/none"));
    }
}
