//! A file system in memory: modes, owners, both times, links.

use std::collections::BTreeMap;
use std::io;

use serde::{Deserialize, Serialize};

use crate::model::HostTime;
use crate::sim::world::Files;
use crate::wire::{FileKind, FileStat};

/// What a path holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Body {
    File(#[serde(with = "bytes")] Vec<u8>),
    Directory,
    Link(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Inode {
    body: Body,
    mode: u32,
    uid: u32,
    gid: u32,
    mtime: HostTime,
    ctime: HostTime,
}

/// One host's files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    nodes: BTreeMap<String, Inode>,
    /// The time that changes are stamped with.
    pub now: HostTime,
    /// Whether every write fails with ENOSPC.
    pub full: bool,
    /// Whether every write below `/etc` fails with EROFS.
    pub etc_read_only: bool,
}

impl Disk {
    /// An empty disk at a moment.
    #[must_use]
    pub fn new(now: HostTime) -> Self {
        Self {
            nodes: BTreeMap::new(),
            now,
            full: false,
            etc_read_only: false,
        }
    }
}

const ENOSPC: i32 = 28;
const EROFS: i32 = 30;
const ENOTEMPTY: i32 = 39;
const EISDIR: i32 = 21;

fn parent(path: &str) -> Option<&str> {
    let (parent, _) = path.rsplit_once('/')?;
    (!parent.is_empty()).then_some(parent)
}

impl Disk {
    /// Follows links of every component; the path itself when nothing is there.
    #[must_use]
    pub fn resolve(&self, path: &str) -> String {
        let mut path = path.to_owned();
        for _ in 0..16 {
            let Some(next) = self.hop(&path) else {
                return path;
            };
            path = next;
        }
        path
    }

    /// Follows links of every component but the last.
    fn above_resolved(&self, path: &str) -> String {
        match path.rsplit_once('/') {
            Some((above, name)) if !above.is_empty() => format!("{}/{name}", self.resolve(above)),
            _ => path.to_owned(),
        }
    }

    fn hop(&self, path: &str) -> Option<String> {
        let ends = path.match_indices('/').map(|(at, _)| at).skip(1);
        for end in ends.chain([path.len()]) {
            let (head, tail) = path.split_at(end);
            if let Some(Inode {
                body: Body::Link(target),
                ..
            }) = self.nodes.get(head)
            {
                let base = if target.starts_with('/') {
                    target.clone()
                } else {
                    format!("{}/{target}", parent(head).unwrap_or_default())
                };
                return Some(base + tail);
            }
        }
        None
    }

    fn allow(&self, path: &str) -> io::Result<()> {
        if self.full {
            return Err(io::Error::from_raw_os_error(ENOSPC));
        }
        if self.etc_read_only && path.starts_with("/etc/") {
            return Err(io::Error::from_raw_os_error(EROFS));
        }
        Ok(())
    }

    fn put(&mut self, path: &str, body: Body, mode: u32) {
        let now = self.now;
        let inode = Inode {
            body,
            mode,
            uid: 0,
            gid: 0,
            mtime: now,
            ctime: now,
        };
        self.nodes.insert(path.to_owned(), inode);
    }

    /// Makes a directory and its missing parents.
    pub fn make_directories(&mut self, path: &str, mode: u32) {
        if self.nodes.contains_key(path) {
            return;
        }
        if let Some(above) = parent(path) {
            self.make_directories(above, mode);
        }
        self.put(path, Body::Directory, mode);
    }

    /// Whether a directory is there.
    #[must_use]
    pub fn is_directory(&self, path: &str) -> bool {
        let inode = self.nodes.get(&self.resolve(path));
        path == "/"
            || matches!(
                inode,
                Some(Inode {
                    body: Body::Directory,
                    ..
                })
            )
    }

    /// Renames over whatever is at `to`; the inode's ctime moves, its mtime does not.
    ///
    /// # Errors
    /// When there is nothing at `from`, or the disk refuses.
    pub fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.allow(to)?;
        if !parent(to).is_none_or(|above| self.is_directory(above)) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let mut inode = self.nodes.remove(from).ok_or(io::ErrorKind::NotFound)?;
        inode.ctime = self.now;
        self.nodes.insert(to.to_owned(), inode);
        Ok(())
    }

    /// Sets owner and group.
    pub fn set_owner(&mut self, path: &str, uid: u32, gid: u32) {
        if let Some(inode) = self.nodes.get_mut(path) {
            (inode.uid, inode.gid) = (uid, gid);
        }
    }

    /// Sets the permission bits, as `chmod` by hand does.
    pub fn set_mode(&mut self, path: &str, mode: u32) {
        let now = self.now;
        if let Some(inode) = self.nodes.get_mut(path) {
            (inode.mode, inode.ctime) = (mode, now);
        }
    }
}

impl Files for Disk {
    fn read(&self, path: &str) -> Option<Vec<u8>> {
        match &self.nodes.get(&self.resolve(path))?.body {
            Body::File(bytes) => Some(bytes.clone()),
            _ => None,
        }
    }

    fn write(&mut self, path: &str, bytes: &[u8], mode: u32) -> io::Result<()> {
        let path = self.resolve(path);
        self.allow(&path)?;
        let now = self.now;
        if let Some(inode) = self.nodes.get_mut(&path) {
            if inode.body == Body::Directory {
                return Err(io::Error::from_raw_os_error(EISDIR));
            }
            (inode.body, inode.mtime, inode.ctime) = (Body::File(bytes.to_vec()), now, now);
            return Ok(());
        }
        if let Some(above) = parent(&path) {
            self.make_directories(
                above,
                if path.starts_with("/var/") {
                    0o700
                } else {
                    0o755
                },
            );
        }
        self.put(&path, Body::File(bytes.to_vec()), mode);
        Ok(())
    }

    fn replace(&mut self, path: &str, bytes: &[u8], mode: u32) -> io::Result<()> {
        self.allow(path)?;
        if let Some(above) = parent(path) {
            self.make_directories(above, 0o700);
        }
        self.put(path, Body::File(bytes.to_vec()), mode);
        Ok(())
    }

    fn remove(&mut self, path: &str) -> io::Result<()> {
        let below = format!("{path}/");
        let next = self.nodes.range(below.clone()..).next();
        if next.is_some_and(|(found, _)| found.starts_with(&below)) {
            return Err(io::Error::from_raw_os_error(ENOTEMPTY));
        }
        self.nodes.remove(path);
        Ok(())
    }

    fn symlink(&mut self, target: &str, path: &str) -> io::Result<()> {
        self.allow(path)?;
        self.put(path, Body::Link(target.to_owned()), 0o777);
        Ok(())
    }

    fn stat(&self, path: &str) -> Option<FileStat> {
        let inode = self.nodes.get(&self.above_resolved(path))?;
        let (kind, size) = match &inode.body {
            Body::File(bytes) => (FileKind::File, bytes.len()),
            Body::Directory => (FileKind::Directory, 4096),
            Body::Link(target) => (FileKind::Symlink(target.into()), target.len()),
        };
        Some(FileStat {
            kind,
            mode: inode.mode,
            uid: inode.uid,
            gid: inode.gid,
            size: u64::try_from(size).unwrap_or(u64::MAX),
            mtime: inode.mtime,
            ctime: inode.ctime,
        })
    }

    fn set_mtime(&mut self, path: &str, mtime: HostTime) -> io::Result<()> {
        let now = self.now;
        let inode = self.nodes.get_mut(path).ok_or(io::ErrorKind::NotFound)?;
        (inode.mtime, inode.ctime) = (mtime, now);
        Ok(())
    }

    fn list(&self, directory: &str) -> Option<Vec<String>> {
        if !self.is_directory(directory) {
            return None;
        }
        let below = format!("{}/", self.resolve(directory).trim_end_matches('/'));
        let all = self.nodes.range(below.clone()..);
        let names = all
            .map_while(|(path, _)| path.strip_prefix(&below))
            .filter(|rest| !rest.contains('/'));
        Some(names.map(str::to_owned).collect())
    }
}

/// Text stays readable in a kept fleet; other bytes become base64.
mod bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(bytes) {
            Ok(text) => to.collect_str(&format_args!("={text}")),
            Err(_) => to.serialize_str(&STANDARD.encode(bytes)),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        match text.strip_prefix('=') {
            Some(text) => Ok(text.as_bytes().to_vec()),
            None => STANDARD.decode(text).map_err(D::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk() -> Disk {
        let mut disk = Disk::new(HostTime(1));
        disk.write("/a/token", b"x", 0o600).unwrap();
        disk.symlink("/a/token", "/a/node-token").unwrap();
        disk
    }

    #[test]
    fn a_rename_moves_ctime_and_keeps_mtime() {
        let mut disk = disk();
        disk.now = HostTime(9);
        disk.rename("/a/token", "/a/other").unwrap();
        let stat = disk.stat("/a/other").unwrap();
        assert_eq!((stat.mtime, stat.ctime), (HostTime(1), HostTime(9)));
    }

    #[test]
    fn a_write_follows_a_link_and_keeps_the_mode() {
        let mut disk = disk();
        disk.set_mode("/a/token", 0o644);
        disk.write("/a/node-token", b"new", 0o600).unwrap();
        assert_eq!(disk.text("/a/token").as_deref(), Some("new"));
        assert_eq!(disk.stat("/a/token").map(|stat| stat.mode), Some(0o644));
        assert_eq!(disk.list("/a").unwrap(), ["node-token", "token"]);
    }

    #[test]
    fn what_is_below_a_linked_directory_is_found_there() {
        let mut disk = disk();
        disk.symlink("/a", "/run/secrets").unwrap();
        let stat = |path| disk.stat(path).map(|stat| stat.kind);
        assert_eq!(stat("/run/secrets/token"), Some(FileKind::File));
        let link = FileKind::Symlink("/a/token".into());
        assert_eq!(stat("/run/secrets/node-token"), Some(link));
    }

    #[test]
    fn a_full_disk_says_so() {
        let mut disk = disk();
        disk.full = true;
        let error = disk.write("/a/b", b"", 0o600).unwrap_err();
        assert!(error.to_string().starts_with("No space left on device"));
    }

    #[test]
    fn a_kept_disk_comes_back_the_same() {
        let mut disk = disk();
        disk.write("/a/bytes", &[0xff, 0], 0o600).unwrap();
        let text = serde_json::to_string(&disk).unwrap();
        assert_eq!(serde_json::from_str::<Disk>(&text).unwrap(), disk);
    }
}
