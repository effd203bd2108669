//! `where`: from which surface each node takes its token.

use super::glance::glance;
use super::trouble::Trouble;
use super::{Desk, print};
use crate::cli;
use crate::exit::Exit;
use crate::steps::look::{Freshness, Seen};

pub(super) fn place(desk: &Desk, asked: &cli::Glance) -> Result<Exit, Trouble> {
    let (seen, redactor) = glance(desk, asked, async |sight| {
        sight
            .each(|probe| async move { Seen::look(&probe, probe.host(), Freshness::Now).await })
            .await
    })?;
    let mut text = String::new();
    for (host, seen) in &seen {
        let said = match seen {
            Ok(seen) => seen.install.winner().map_or_else(
                || "no token is configured".to_owned(),
                |surface| surface.file.to_string(),
            ),
            Err(blind) => blind.to_string(),
        };
        text.extend([format!("{host}  {said}\n")]);
    }
    redactor.redact(&mut text);
    Ok(print(&text))
}
