//! What a server needs for what comes: room for its snapshots or its copy, and no change of the CA that waits for its restart.

use crate::facts::{Fact, FreeSpace, JournalHas, Paths, Tried};
use crate::k3s::install::Datastore;
use crate::k3s::journal;
use crate::steps::Unmet;
use crate::steps::k3s_snapshot::sqlite;
use crate::steps::look::Seen;

/// Snapshots that a rotation takes: before and after it.
const SNAPSHOTS: u64 = 2;

/// What is asked of a server; nothing of an agent.
pub(super) type Asked = (
    (Vec<Tried<FreeSpace>>, Paths),
    Vec<Tried<(Paths, FreeSpace)>>,
    Vec<Tried<JournalHas>>,
);

/// What to ask: the room where snapshots go, or where they would go, and the data that they hold, the same of a copy of
/// sqlite, and what its process said once.
pub(super) fn asked(seen: &Seen) -> Asked {
    let install = &seen.install;
    let is_member = install.datastore == Datastore::Etcd;
    let folders = [&install.snapshots, &install.data_dir];
    let free = folders.map(|folder| Tried(FreeSpace(folder.clone())));
    let data = is_member.then(|| data(seen));
    let runs = install.has_api && seen.unit.is_active();
    let is_sqlite = install.datastore == Datastore::Sqlite;
    let copy = is_sqlite.then(|| Tried(sqlite::asked(seen)));
    let invocation = seen.unit.invocation.clone();
    let journal = runs.then_some(Tried(JournalHas {
        invocation,
        parts: &journal::AWAITS_RESTART,
    }));
    (
        (
            free.into_iter().filter(|_| is_member).collect(),
            Paths(data.into_iter().collect()),
        ),
        copy.into_iter().collect(),
        journal.into_iter().collect(),
    )
}

fn data(seen: &Seen) -> camino::Utf8PathBuf {
    seen.install.data("server/db/etcd/member/snap/db")
}

/// Says that there is no room where `takes` is the server that takes the snapshots or is copied, and that a new CA waits.
pub(super) fn judge(
    seen: &Seen,
    takes: bool,
    ((free, stats), copy, lines): &<Asked as Fact>::Value,
) -> Vec<Unmet> {
    let size = stats.get(&data(seen)).and_then(Option::as_ref);
    let size = size.map(|stat| stat.size.div_ceil(1024)).filter(|_| takes);
    let free = free.iter().find_map(|free| free.as_ref().ok());
    let room = size
        .zip(free)
        .and_then(|(size, free)| room(seen, size, *free));
    let copy = copy.iter().filter(|_| takes);
    let copy = copy.filter_map(|copy| {
        let (stats, free) = copy.as_ref().ok()?;
        sqlite::hindered(seen, sqlite::needed(seen, stats)?, *free)
    });
    let lines = lines
        .iter()
        .filter_map(|lines| lines.as_ref().ok()?.as_ref());
    let waits = lines.flatten().next().is_some();
    room.into_iter()
        .chain(copy)
        .chain(waits.then(|| authority(seen)))
        .collect()
}

/// What is not known as the journal does not tell it.
pub(super) fn unknown(seen: &Seen, (.., lines): &<Asked as Fact>::Value) -> Option<String> {
    let unread = lines.iter().any(|lines| !matches!(lines, Ok(Some(_))));
    let (host, unit) = (&seen.host, &seen.unit.text.id);
    unread.then(|| {
        format!("the journal of {unit} on {host} could not be read to its end: whether a change of the CA waits for a restart there is not known")
    })
}

/// KiB.
fn room(seen: &Seen, size: u64, free: u64) -> Option<Unmet> {
    lacking(size, free).map(|wanted| {
        let (host, folder) = (&seen.host, &seen.install.snapshots);
        Unmet::new(
            "no-room-for-snapshot",
            format!("{host} has {free} KiB free for snapshots in {folder}, and two would take {wanted} KiB"),
            format!("free room on {host}, or remove old snapshots: k3s etcd-snapshot ls"),
        )
    })
}

/// What two snapshots take, where there is not that much.
fn lacking(size: u64, free: u64) -> Option<u64> {
    Some(size * SNAPSHOTS).filter(|wanted| free < *wanted)
}

fn authority(seen: &Seen) -> Unmet {
    let (host, unit) = (&seen.host, &seen.unit.text.id);
    Unmet::new(
        "ca-unfinished",
        format!(
            "a change of the cluster's CA was begun on {host}: {unit} there has not been restarted since"
        ),
        "finish it first: restart each server, one at a time, then each agent",
    )
}

#[cfg(test)]
mod tests {
    use super::lacking;

    #[test]
    fn there_must_be_room_for_both_snapshots() {
        assert_eq!(lacking(1000, 1999), Some(2000));
        assert_eq!(lacking(1000, 2000), None);
        assert_eq!(lacking(0, 0), None);
    }
}
