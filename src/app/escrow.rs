//! `escrow list` and `escrow show`.

use std::fmt::Write as _;

use camino::{Utf8Path, Utf8PathBuf};

use super::trouble::Trouble;
use super::{Desk, places, print};
use crate::cli;
use crate::escrow::{Entry, Identity, Kept, find, list, open};
use crate::exit::Exit;
use crate::k3s::token;
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
    let (folder, entry) = find(&place(desk, &asked.place)?, &asked.id)?;
    let Some(identity) = identity else {
        return print(&words(&folder, &entry));
    };
    let old = open(&folder, &entry, &identity)?;
    if asked.show {
        return print(&format!("{}\n", old.expose()));
    }
    let kind = token::inspect(old.expose()).kind.words();
    let opened = format!("  {} decrypts it: {kind}\n", identity.path());
    print(&(words(&folder, &entry) + &opened))
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
        let all = good.iter().map(|(folder, entry)| words(folder, entry));
        print(&all.collect::<String>())?;
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

/// What a folder holds, without any secret. What stands in its files cannot move the cursor.
fn words(folder: &Utf8Path, entry: &Entry) -> String {
    let servers: Vec<&str> = entry
        .servers
        .iter()
        .map(crate::model::HostName::as_str)
        .collect();
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
    lines.extend(snapshots.map(|(host, path)| format!("  snapshot {host}: {path}")));
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
