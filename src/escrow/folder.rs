//! Folders and files that are their owner's alone, written whole and synced.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};

use camino::Utf8Path;
use zeroize::Zeroizing;

use super::wrong;
use crate::op::custody::CustodyError;

/// Makes a folder for the owner alone, or sees that it is one.
pub(super) fn private(folder: &Utf8Path) -> Result<(), CustodyError> {
    let done = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    done.map_err(|error| unwritable(folder, &error))?;
    closed(folder)?;
    match folder.parent() {
        Some(parent) if !parent.as_str().is_empty() => sync(parent),
        _ => sync(Utf8Path::new(".")),
    }
}

/// Sees that a folder is one, and its owner's alone.
pub(super) fn closed(folder: &Utf8Path) -> Result<(), CustodyError> {
    let mode = mode(folder)?;
    if !folder.is_dir() {
        return Err(wrong(
            format!("{folder} is no folder"),
            "name another one, or one that is not there yet",
        ));
    }
    if mode & 0o077 != 0 {
        return Err(wrong(
            format!("others can enter {folder} (mode {mode:04o})"),
            format!("chmod 700 {folder}, or name another folder"),
        ));
    }
    Ok(())
}

/// Sees that a file is the owner's alone.
pub(super) fn narrow(file: &Utf8Path) -> Result<(), CustodyError> {
    let mode = mode(file)?;
    if mode & 0o077 != 0 {
        return Err(wrong(
            format!("others can read {file} (mode {mode:04o})"),
            format!("chmod 600 {file}, and ask who has read it"),
        ));
    }
    Ok(())
}

fn mode(path: &Utf8Path) -> Result<u32, CustodyError> {
    let meta = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    Ok(meta.permissions().mode() & 0o7777)
}

/// Reads a file of no more than so many bytes; what is no file, such as a pipe, is not waited for.
pub(super) fn read(path: &Utf8Path, longest: u64) -> Result<Zeroizing<Vec<u8>>, CustodyError> {
    let meta = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    if !meta.is_file() {
        return Err(wrong(format!("{path} is no file"), "name a file"));
    }
    if meta.len() > longest {
        return Err(wrong(
            format!(
                "{path} has {} bytes, and what it should be has at most {longest}",
                meta.len()
            ),
            "name the right file, or take it from a backup",
        ));
    }
    let bytes = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
    Ok(Zeroizing::new(bytes))
}

/// Writes a new file of mode 0600, synced.
pub(super) fn write_new(file: &Utf8Path, bytes: &[u8]) -> Result<(), CustodyError> {
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .and_then(|mut opened| opened.write_all(bytes).and_then(|()| opened.sync_all()));
    written.map_err(|error| unwritable(file, &error))
}

/// Writes a file in place of another one, or of none: whole or not at all.
pub(super) fn replace(file: &Utf8Path, bytes: &[u8]) -> Result<(), CustodyError> {
    let folder = file.parent().unwrap_or(Utf8Path::new("."));
    let write = || -> io::Result<()> {
        let mut part = tempfile::NamedTempFile::new_in(folder)?;
        part.write_all(bytes)?;
        part.as_file().sync_all()?;
        part.persist(file)?;
        Ok(())
    };
    write().map_err(|error| unwritable(file, &error))?;
    sync(folder)
}

/// Syncs a folder, so that names in it stay.
pub(super) fn sync(folder: &Utf8Path) -> Result<(), CustodyError> {
    let synced = File::open(folder).and_then(|opened| opened.sync_all());
    synced.map_err(|error| unwritable(folder, &error))
}

pub(super) fn unwritable(path: &Utf8Path, error: &io::Error) -> CustodyError {
    wrong(
        format!("{path} cannot be written: {error}"),
        "make room there, or name another folder; nothing was kept",
    )
}

pub(super) fn unreadable(path: &Utf8Path, error: &io::Error) -> CustodyError {
    wrong(
        format!("{path} cannot be read: {error}"),
        "see that it is there and yours",
    )
}
