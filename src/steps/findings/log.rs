//! Why a unit does not run: the last line of its journal that gives it away.

use super::Finding;
use crate::facts::{Journal, Probe};
use crate::k3s::journal::{self, Sign};
use crate::steps::look::Seen;

/// Lines that are read: a crash loop writes its reason again and again.
const LINES: u32 = 60;

/// What the journal says of a unit that is not active; nothing when it gives nothing away.
pub async fn why_down(probe: &Probe<'_>, seen: &Seen) -> Option<Finding> {
    if seen.unit.is_active() {
        return None;
    }
    let (_, sign) = last_sign(probe, seen, LINES).await?;
    let (host, unit) = (&seen.host, &seen.unit.text.id);
    Some(Finding::of(
        sign.name,
        format!("{unit} on {host} does not run: {}", sign.meaning),
    ))
}

/// The last line that is understood, and what it means.
pub(in crate::steps) async fn last_sign(
    probe: &Probe<'_>,
    seen: &Seen,
    lines: u32,
) -> Option<(String, &'static Sign)> {
    let unit = seen.unit.text.id.clone();
    // Without its journal a dead unit is still named.
    let lines = probe.get(Journal { unit, lines }).await.ok()?;
    let known = |line: &String| Some((line.clone(), journal::sign(line)?));
    lines.iter().rev().find_map(known)
}
