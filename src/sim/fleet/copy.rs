//! Copies on a host of the fleet: the sqlite datastore beside itself, and pieces and digests of long files.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::perform::{Reply, ran};
use super::{Fleet, Host};
use crate::secret::Content;
use crate::sim::fault::Fault;
use crate::sim::world::Files as _;
use crate::wire::{Ran, Response};

const COPY: Duration = Duration::from_secs(1);

/// `dd` and `sha256sum` of one file; `None` for other commands.
pub(super) fn look(host: &Host, argv: &[&str]) -> Option<Response> {
    let read = |path: &str| host.disk.read(path);
    let missing = |program: &str, path: &str| {
        ran(
            1,
            "",
            format!("{program}: {path}: No such file or directory\n"),
        )
    };
    match argv {
        ["sha256sum", path] => Some(match read(path) {
            Some(bytes) => ran(0, format!("{:x}  {path}\n", Sha256::digest(bytes)), ""),
            None => missing("sha256sum", path),
        }),
        ["dd", path, size, skip, "count=1"] => {
            let path = path.strip_prefix("if=")?;
            let size: usize = size.strip_prefix("bs=")?.parse().ok()?;
            let skip: usize = skip.strip_prefix("skip=")?.parse().ok()?;
            let Some(bytes) = read(path) else {
                return Some(missing("dd", path));
            };
            let piece = bytes.chunks(size.max(1)).nth(skip).unwrap_or_default();
            Some(Response::Ran(Ran {
                status: 0,
                stdout: Content::new(piece),
                stderr: Content::default(),
                timed_out: false,
            }))
        }
        _ => None,
    }
}

impl Fleet {
    /// Copies a database and its empty log into a folder of their own.
    pub(super) fn copy_database(&mut self, at: usize, words: &[&str]) -> Option<Reply> {
        let [database, folder, name, _unit, _most, _limit] = words else {
            return None;
        };
        let host = self.hosts.get_mut(at)?;
        host.changes += 1;
        let copy = format!("{folder}/{name}");
        let failed = |why: String| Some(Reply::at_once(ran(1, "", why + "\n")));
        let Some(bytes) = host.disk.read(database) else {
            return failed(format!("{database} cannot be copied"));
        };
        if host.disk.is_directory(&copy) {
            return failed(format!("{copy} is there already"));
        }
        let fails = host.has(Fault::SnapshotFails);
        let mut written = [("state.db", &bytes), ("state.db-wal", &Vec::new())]
            .map(|(file, bytes)| host.disk.write(&format!("{copy}/{file}"), bytes, 0o600))
            .into_iter();
        if fails || written.any(|written| written.is_err()) {
            return failed(format!("{copy} cannot be made"));
        }
        let said = format!(
            "{copy}: {} bytes and a log of 0; K3s stood still for 10 ms; sqlite3 checked it there: it is whole\n",
            bytes.len()
        );
        Some(Reply {
            takes: COPY,
            ..Reply::at_once(ran(0, said, ""))
        })
    }
}
