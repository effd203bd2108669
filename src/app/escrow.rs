//! `escrow list` and `escrow show`.

use std::fmt::Write as _;

use camino::Utf8PathBuf;

use super::trouble::Trouble;
use super::{Desk, places, print};
use crate::cli;
use crate::escrow::{Entry, Identity, Kept, list, show};
use crate::exit::Exit;
use crate::report::Writer;

pub(super) fn escrow(desk: &Desk, asked: &cli::Escrow) -> Result<Exit, Trouble> {
    match asked {
        cli::Escrow::List(asked) => listed(desk, asked),
        cli::Escrow::Show(asked) => {
            let identity = Identity::read(&asked.identity)?;
            let old = show(&place(desk, &asked.place)?, &asked.run, &identity)?;
            Ok(print(&format!("{}\n", old.expose())))
        }
    }
}

fn place(desk: &Desk, place: &cli::EscrowPlace) -> Result<Utf8PathBuf, Trouble> {
    match &place.dir {
        Some(folder) => Ok(folder.clone()),
        None => Ok(places::state(desk, place.state_dir.as_ref())?.join("escrow")),
    }
}

fn listed(desk: &Desk, asked: &cli::EscrowList) -> Result<Exit, Trouble> {
    let place = place(desk, &asked.place)?;
    let kept = list(&place)?;
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for Kept { folder, entry } in kept {
        match entry {
            Ok(entry) => good.push((folder, entry)),
            Err(error) => bad.push(error),
        }
    }
    if asked.json {
        let entries: Vec<&Entry> = good.iter().map(|(_, entry)| entry).collect();
        let text = serde_json::to_string_pretty(&entries).unwrap_or_default();
        print(&format!("{text}\n"));
    } else {
        print(
            &good
                .iter()
                .map(|(folder, entry)| words(folder, entry))
                .collect::<String>(),
        );
    }
    if good.is_empty() && bad.is_empty() {
        Writer::standard()
            .talk(&format!("nothing is kept in {place}"))
            .ok();
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

fn words(folder: &Utf8PathBuf, entry: &Entry) -> String {
    let servers: Vec<&str> = entry
        .servers
        .iter()
        .map(crate::model::HostName::as_str)
        .collect();
    let mut text = format!(
        "{}  kept {}  rotation {}\n  servers: {}\n",
        entry.run,
        entry.kept.strftime("%Y-%m-%d %H:%M UTC"),
        entry.rotation,
        servers.join(", ")
    );
    for recipient in &entry.recipients {
        writeln!(text, "  to {recipient}").ok();
    }
    for (host, path) in &entry.snapshots {
        writeln!(text, "  snapshot {host}: {path}").ok();
    }
    writeln!(text, "  how to restore: {folder}/restore.txt").ok();
    text
}
