//! The host's own files, as the model sees them.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use camino::Utf8PathBuf;

use crate::model::HostTime;
use crate::sim::world::Files;
use crate::wire::{FileKind, FileStat};

/// The file system of this host.
#[derive(Debug, Clone, Copy)]
pub(super) struct Disk;

fn make_parent(path: &str) -> io::Result<()> {
    let Some(parent) = Path::new(path).parent() else {
        return Ok(());
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(parent)
}

fn create(path: &str, bytes: &[u8], mode: u32) -> io::Result<()> {
    make_parent(path)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(path)?;
    file.write_all(bytes)
}

fn kind(path: &str, meta: &fs::Metadata) -> FileKind {
    if meta.is_symlink() {
        let target = fs::read_link(path).ok();
        let target = target.and_then(|target| Utf8PathBuf::from_path_buf(target).ok());
        FileKind::Symlink(target.unwrap_or_default())
    } else if meta.is_dir() {
        FileKind::Directory
    } else if meta.is_file() {
        FileKind::File
    } else {
        FileKind::Other
    }
}

impl Files for Disk {
    fn read(&self, path: &str) -> Option<Vec<u8>> {
        fs::read(path).ok()
    }

    fn write(&mut self, path: &str, bytes: &[u8], mode: u32) -> io::Result<()> {
        create(path, bytes, mode)
    }

    fn replace(&mut self, path: &str, bytes: &[u8], mode: u32) -> io::Result<()> {
        let next = format!("{path}.next");
        create(&next, bytes, mode)?;
        fs::rename(next, path)
    }

    fn remove(&mut self, path: &str) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn symlink(&mut self, target: &str, path: &str) -> io::Result<()> {
        make_parent(path)?;
        std::os::unix::fs::symlink(target, path)
    }

    fn stat(&self, path: &str) -> Option<FileStat> {
        let meta = fs::symlink_metadata(path).ok()?;
        let time = |seconds: i64, nanos: i64| HostTime(seconds * 1_000_000 + nanos / 1000);
        Some(FileStat {
            kind: kind(path, &meta),
            mode: meta.mode() & 0o7777,
            uid: meta.uid(),
            gid: meta.gid(),
            size: meta.len(),
            mtime: time(meta.mtime(), meta.mtime_nsec()),
            ctime: time(meta.ctime(), meta.ctime_nsec()),
        })
    }

    fn set_mtime(&mut self, path: &str, mtime: HostTime) -> io::Result<()> {
        let since = Duration::from_micros(u64::try_from(mtime.0).unwrap_or(0));
        let file = OpenOptions::new().write(true).open(path)?;
        file.set_modified(UNIX_EPOCH + since)
    }

    fn list(&self, directory: &str) -> Option<Vec<String>> {
        let entries = fs::read_dir(directory).ok()?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut names: Vec<String> = names.collect();
        names.sort();
        Some(names)
    }
}
