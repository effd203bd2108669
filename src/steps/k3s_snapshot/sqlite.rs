//! A copy of the sqlite datastore of a running server: database, log, and the token that it belongs to.
//!
//! K3s has its database open with a write-ahead log, and no sqlite3 may be assumed on a host. `copy.sh` says how a copy
//! is whole all the same, and for how long K3s stands still for it.

use std::time::Duration;

use camino::Utf8PathBuf;

use crate::facts::{FreeSpace, Paths, Piece, Probe};
use crate::k3s::sqlite::{HEAD, Head, judge};
use crate::op::{Act, Op};
use crate::secret::Content;
use crate::steps::look::Seen;
use crate::steps::{Proposal, StepError, Unmet};
use crate::wire::{Command, FileStat};

const SCRIPT: &str = include_str!("copy.sh");

/// KiB that stay free after the copy.
const SPARE: u64 = 64 << 10;

/// The files of a copy that hold the datastore; the third is `token`.
pub(super) const FILES: [&str; 2] = ["state.db", "state.db-wal"];

/// The copy's folder.
pub(super) fn folder(seen: &Seen, name: &str) -> Utf8PathBuf {
    seen.install.snapshots.join(format!("{name}-sqlite"))
}

/// Whether the copy is there, by name.
pub(super) fn is_there(seen: &Seen, name: &str) -> bool {
    let names = seen.known.folders.get(&seen.install.snapshots);
    names.is_some_and(|names| names.contains(&format!("{name}-sqlite")))
}

/// Looks whether the copy can be whole.
pub(super) async fn check(
    probe: &Probe<'_>,
    seen: &Seen,
    name: &str,
) -> Result<Proposal, StepError> {
    let folder = folder(seen, name);
    let [database, log] = FILES.map(|file| folder.join(file));
    let token = folder.join("token");
    let paths = Paths([&database, &log, &token].map(Clone::clone).into());
    let stats = probe.get_now(&seen.host, paths).await?;
    let stat = |path: &Utf8PathBuf| stats.get(path).cloned().flatten();
    let (Some(database_stat), Some(log_stat), Some(token_stat)) =
        (stat(&database), stat(&log), stat(&token))
    else {
        return Ok(damaged(&folder, "a file of it is missing"));
    };
    if [&database_stat, &log_stat, &token_stat]
        .iter()
        .any(|stat| stat.mode & 0o077 != 0)
    {
        return Ok(damaged(&folder, "others can read it"));
    }
    let heads = (piece(&database), piece(&log));
    let (database, log) = probe.get_now(&seen.host, heads).await?;
    let head = |bytes: &Content, stat: &FileStat| (bytes.clone(), stat.size);
    let (database, log) = (head(&database, &database_stat), head(&log, &log_stat));
    Ok(match judge(as_head(&database), as_head(&log)) {
        Ok(()) => Proposal::default(),
        Err(why) => damaged(&folder, &why),
    })
}

fn piece(path: &Utf8PathBuf) -> Piece {
    Piece {
        path: path.clone(),
        size: u32::try_from(HEAD).unwrap_or(u32::MAX),
        at: 0,
    }
}

fn as_head((bytes, len): &(Content, u64)) -> Head<'_> {
    Head {
        bytes: bytes.bytes(),
        len: *len,
    }
}

fn damaged(folder: &Utf8PathBuf, why: &str) -> Proposal {
    Proposal::refuse(vec![Unmet::new(
        "copy-damaged",
        format!("the copy {folder} is no good: {why}"),
        "remove it there, then run the same command again",
    )])
}

/// Takes the copy, when there is room for it.
pub(super) async fn take(
    probe: &Probe<'_>,
    seen: &Seen,
    name: &str,
) -> Result<Proposal, StepError> {
    let database = seen.install.data("server/db/state.db");
    let log = Utf8PathBuf::from(format!("{database}-wal"));
    let paths = Paths([database.clone(), log.clone()].into());
    let (stats, free) = probe
        .get_now(
            &seen.host,
            (paths, FreeSpace(seen.install.data("server/db"))),
        )
        .await?;
    let size = |path: &Utf8PathBuf| stats.get(path).and_then(|stat| Some(stat.as_ref()?.size));
    let Some(len) = size(&database) else {
        return Ok(Proposal::note(format!(
            "no copy of the datastore is taken: it is sqlite, and not {database}; copy it yourself while K3s is stopped"
        )));
    };
    let needed = (len + size(&log).unwrap_or(0)).div_ceil(1024);
    let unmet = (free < needed + SPARE).then(|| {
        Unmet::new(
            "no-room-for-a-copy",
            format!(
                "a copy of the datastore needs {} MiB beside it on {}, and {} MiB are free",
                (needed + SPARE).div_ceil(1024),
                seen.host,
                free / 1024
            ),
            "make room there, then run the same command again",
        )
    });
    let why = format!(
        "copy the sqlite datastore ({} MiB) as {name}; K3s stands still for a moment, at most 5s",
        needed.div_ceil(1024)
    );
    Ok(Proposal {
        ops: vec![Op::root(&seen.host, why, Act::Tell(copy(seen, name)))],
        unmet: unmet.into_iter().collect(),
        ..Proposal::default()
    })
}

fn copy(seen: &Seen, name: &str) -> Command {
    let argv = [
        "sh",
        "-s",
        "--",
        "copy-sqlite",
        seen.install.data("server/db/state.db").as_str(),
        seen.install.snapshots.as_str(),
        &format!("{name}-sqlite"),
        &seen.install.unit,
        seen.install.data("server/token").as_str(),
    ]
    .map(str::to_owned);
    Command::new(argv)
        .stdin(Content::from(SCRIPT))
        .within(Duration::from_mins(12))
}
