//! A copy of the sqlite datastore of a running server: its database and its log.
//!
//! K3s has its database open with a write-ahead log, and no sqlite3 may be assumed on a host. `copy.sh` says how a copy
//! is whole all the same, and for how long K3s stands still for it. The token that it belongs to is in `server/.keyroll` until
//! the proof; with the copy it stays encrypted alone, for whoever `--escrow-to` names.

use std::time::Duration;

use camino::Utf8PathBuf;

use crate::facts::{Fact, FreeSpace, Paths, Piece, Probe};
use crate::k3s::sqlite::{HEAD, Head, judge};
use crate::op::{Act, Op};
use crate::secret::Content;
use crate::steps::look::Seen;
use crate::steps::{Proposal, StepError, Unmet};
use crate::wire::Command;

const SCRIPT: &str = include_str!("copy.sh");

/// KiB that stay free after the copy.
const SPARE: u64 = 64 << 10;

/// KiB of which no copy is tried: it would take longer than K3s may stand still.
const MOST: u64 = 4 << 20;

/// Seconds that a copy may take while K3s stands still, and after which it goes on whatever happens. Its controllers give up
/// their leases after 10 s, and nodes count as lost after 40 s.
const SECONDS: [&str; 2] = ["2", "5"];

/// The database and its log, in the copy too; a log that is empty is none.
pub(super) const FILES: [&str; 2] = ["state.db", "state.db-wal"];

/// The copy's folder.
pub(super) fn folder(seen: &Seen, name: &str) -> Utf8PathBuf {
    seen.install.snapshots.join(format!("{name}-sqlite"))
}

/// Its token, encrypted.
pub(super) fn token(seen: &Seen, name: &str) -> Utf8PathBuf {
    folder(seen, name).join("token.age")
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
    let paths = Paths([&database, &log].map(Clone::clone).into());
    let stats = probe.get_now(&seen.host, paths).await?;
    let stat = |path: &Utf8PathBuf| stats.get(path).cloned().flatten();
    let (Some(database_stat), Some(log_stat)) = (stat(&database), stat(&log)) else {
        return Ok(damaged(&folder, "a file of it is missing"));
    };
    if [&database_stat, &log_stat]
        .iter()
        .any(|stat| stat.mode & 0o077 != 0)
    {
        return Ok(damaged(&folder, "others can read it"));
    }
    let heads = (piece(&database), piece(&log));
    let (database, log) = probe.get_now(&seen.host, heads).await?;
    let (database, log) = ((database, database_stat.size), (log, log_stat.size));
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

/// What is copied, and how much room is beside it.
pub(in crate::steps) fn asked(seen: &Seen) -> (Paths, FreeSpace) {
    let paths = Paths(sources(seen).into());
    (paths, FreeSpace(seen.install.data("server/db")))
}

/// The database and its log.
fn sources(seen: &Seen) -> [Utf8PathBuf; 2] {
    FILES.map(|file| seen.install.data(&format!("server/db/{file}")))
}

/// KiB of a copy; `None` where there is no database.
pub(in crate::steps) fn needed(seen: &Seen, stats: &<Paths as Fact>::Value) -> Option<u64> {
    let size = |path: &Utf8PathBuf| stats.get(path).and_then(|stat| Some(stat.as_ref()?.size));
    let [database, log] = sources(seen).map(|path| size(&path));
    Some((database? + log.unwrap_or(0)).div_ceil(1024))
}

/// Takes the copy, when there is room for it.
pub(super) async fn take(
    probe: &Probe<'_>,
    seen: &Seen,
    name: &str,
) -> Result<Proposal, StepError> {
    let (stats, free) = probe.get_now(&seen.host, asked(seen)).await?;
    let Some(needed) = needed(seen, &stats) else {
        let [database, _] = sources(seen);
        return Ok(Proposal::note(format!(
            "no copy of the datastore is taken: it is sqlite, and not {database}; copy it yourself while K3s is stopped"
        )));
    };
    let why = format!(
        "copy the sqlite datastore ({} MiB) as {name}; K3s and its API stand still meanwhile, most often for less than a second \
         and never for more than 5",
        needed.div_ceil(1024)
    );
    Ok(Proposal {
        ops: vec![Op::root(&seen.host, why, Act::Tell(copy(seen, name)))],
        unmet: hindered(seen, needed, free).into_iter().collect(),
        ..Proposal::default()
    })
}

/// What stands against a copy of so many KiB.
pub(in crate::steps) fn hindered(seen: &Seen, needed: u64, free: u64) -> Option<Unmet> {
    let mib = |kib: u64| kib.div_ceil(1024);
    if needed > MOST {
        return Some(Unmet::new(
            "too-large-to-copy",
            format!(
                "the datastore on {} has {} MiB: K3s would stand still for too long while it is copied",
                seen.host,
                mib(needed)
            ),
            "copy it yourself while K3s is stopped, and say so with --own-backup",
        ));
    }
    (free < needed + SPARE).then(|| {
        Unmet::new(
            "no-room-for-a-copy",
            format!(
                "a copy of the datastore needs {} MiB beside it on {}, and {} MiB are free",
                mib(needed + SPARE),
                seen.host,
                free / 1024
            ),
            "make room there, or copy it yourself while K3s is stopped, and say so with --own-backup",
        )
    })
}

fn copy(seen: &Seen, name: &str) -> Command {
    let [most, limit] = SECONDS;
    let argv = [
        "sh",
        "-s",
        "--",
        "copy-sqlite",
        seen.install.data("server/db/state.db").as_str(),
        seen.install.snapshots.as_str(),
        &format!("{name}-sqlite"),
        &seen.install.unit,
        most,
        limit,
    ]
    .map(str::to_owned);
    Command::new(argv)
        .stdin(Content::from(SCRIPT))
        .within(Duration::from_mins(12))
}
