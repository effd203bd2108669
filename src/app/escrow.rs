//! `escrow list` and `escrow show`.

use std::fmt::Write as _;

use camino::{Utf8Path, Utf8PathBuf};

use super::trouble::Trouble;
use super::{Desk, places, print};
use crate::cli;
use crate::escrow::{Entry, Identity, Kept, find, list, open};
use crate::exit::Exit;
use crate::k3s::token;
use crate::model::{HostName, RunId};
use crate::report::Writer;

pub(super) fn escrow(desk: &Desk, asked: &cli::Escrow) -> Result<Exit, Trouble> {
    match asked {
        cli::Escrow::List(asked) => listed(desk, asked),
        cli::Escrow::Show(asked) => shown(desk, asked),
    }
}

fn place(desk: &Desk, place: &cli::EscrowPlace) -> Result<Utf8PathBuf, Trouble> {
    match &place.dir {
        Some(folder) => Ok(folder.clone()),
        None => Ok(places::state(desk, place.state_dir.as_ref())?.join("escrow")),
    }
}

fn shown(desk: &Desk, asked: &cli::EscrowShow) -> Result<Exit, Trouble> {
    let identity = asked.identity.as_deref().map(Identity::read).transpose()?;
    let place = place(desk, &asked.place)?;
    let (folder, entry) = find(&place, &asked.id)?;
    let before = before(&place, &entry)?;
    let Some(identity) = identity else {
        return print(&words(&folder, &entry, &before));
    };
    let old = open(&folder, &entry, &identity)?;
    if asked.show {
        return print(&format!("{}\n", old.expose()));
    }
    let kind = token::inspect(old.expose()).kind.words();
    let opened = format!("  {} decrypts it: {kind}\n", identity.path());
    print(&(words(&folder, &entry, &before) + &opened))
}

fn listed(desk: &Desk, asked: &cli::EscrowList) -> Result<Exit, Trouble> {
    let place = place(desk, &asked.place)?;
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for Kept { folder, entry } in list(&place)? {
        match entry {
            Ok(entry) => good.push((folder, entry)),
            Err(error) => bad.push(error),
        }
    }
    if asked.json {
        let entries: Vec<&Entry> = good.iter().map(|(_, entry)| entry).collect();
        let text = serde_json::to_string_pretty(&entries).unwrap_or_default();
        print(&format!("{text}\n"))?;
    } else {
        let text = good.iter().enumerate().map(|(at, (folder, entry))| {
            let before = good.get(..at).unwrap_or_default();
            words(folder, entry, before)
        });
        print(&text.collect::<String>())?;
    }
    if good.is_empty() && bad.is_empty() {
        let none = format!("nothing is kept in {place}");
        Writer::standard().talk(&none).ok();
    }
    if bad.is_empty() {
        return Ok(Exit::Fine);
    }
    Err(Trouble::Said {
        what: bad.iter().map(ToString::to_string).collect(),
        next: "take what is damaged from a backup of this folder".to_owned(),
        exit: Exit::BadInput,
    })
}

/// What was kept in a place before this entry.
fn before(place: &Utf8Path, entry: &Entry) -> Result<Vec<(Utf8PathBuf, Entry)>, Trouble> {
    let all = list(place)?.into_iter();
    let good = all.filter_map(|kept| Some((kept.folder, kept.entry.ok()?)));
    Ok(good.filter(|(_, other)| other.kept < entry.kept).collect())
}

/// Which run kept the token of a snapshot, when an earlier one did: what was there before an earlier rotation of the same
/// servers needs the token that was old in that one.
fn opened_by<'a>(
    (host, path): &(HostName, Utf8PathBuf),
    entry: &Entry,
    before: &'a [(Utf8PathBuf, Entry)],
) -> Option<&'a RunId> {
    let lists = |other: &Entry| {
        let is_to_come = |(on, begins): &(HostName, Utf8PathBuf)| {
            on == host && path.as_str().starts_with(begins.as_str())
        };
        other
            .snapshots
            .iter()
            .any(|(on, it)| on == host && it == path)
            || other.to_come.as_ref().is_some_and(is_to_come)
    };
    let of_cluster = |other: &Entry| other.servers.iter().any(|it| entry.servers.contains(it));
    let earlier = before.iter().map(|(_, other)| other);
    let mut earlier = earlier.filter(|other| of_cluster(other) && lists(other));
    earlier.next().map(|other| &other.run)
}

/// What a folder holds, without any secret. What stands in its files cannot move the cursor.
fn words(folder: &Utf8Path, entry: &Entry, before: &[(Utf8PathBuf, Entry)]) -> String {
    let servers: Vec<&str> = entry.servers.iter().map(HostName::as_str).collect();
    let mut lines = vec![
        format!(
            "{}  kept {} by run {}",
            folder.file_name().unwrap_or_default(),
            entry.kept.strftime("%Y-%m-%d %H:%M UTC"),
            entry.run,
        ),
        format!("  servers: {}", servers.join(", ")),
        format!(
            "  the server token that was old in rotation {}, digest {} (keyed with the new token)",
            entry.rotation, entry.pairing
        ),
    ];
    let recipients = entry.recipients.iter().map(|one| format!("  to {one}"));
    lines.extend(recipients);
    let snapshots = entry.snapshots.iter();
    lines.extend(snapshots.map(|snapshot| {
        let (host, path) = snapshot;
        match opened_by(snapshot, entry, before) {
            None => format!("  snapshot {host}: {path}"),
            Some(run) => format!(
                "  snapshot {host}: {path} (not with this token: with the one that run {run} kept)"
            ),
        }
    }));
    let to_come = entry.to_come.iter();
    lines.extend(to_come.map(|(host, begins)| {
        format!("  snapshot {host}: the one whose path begins with {begins}; its whole name was not known when this was kept")
    }));
    lines.push(format!("  how to restore: {folder}/restore.txt"));
    lines.iter().fold(String::new(), |mut text, line| {
        writeln!(text, "{}", line.replace(char::is_control, "\u{fffd}")).ok();
        text
    })
}
