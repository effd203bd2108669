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
    let what = format!("{unit} on {host} does not run: {}", sign.meaning);
    Some(Finding::of(sign.name, what).on(seen))
}

/// That K3s does not run, and what its journal gives away. A first start that goes on is a warning.
pub async fn not_running(probe: &Probe<'_>, seen: &Seen) -> Option<Finding> {
    if seen.unit.is_active() {
        return None;
    }
    let unit = &seen.unit;
    let (host, id) = (&seen.host, &unit.text.id);
    let what = format!("{id} on {host} is {}", unit.words());
    if unit.is_first_start() {
        let since = unit
            .started
            .map(|started| unit.now.since(started).as_secs());
        let since = since.map_or_else(String::new, |since| format!(", for {since} s"));
        return Some(Finding::of("start-goes-on", format!("{what}{since}")).on(seen));
    }
    let given_away = match last_sign(probe, seen, LINES).await {
        Some((_, sign)) => Some(sign.meaning.to_owned()),
        None => last_exit(probe, seen).await,
    };
    let why = given_away.map_or_else(String::new, |why| format!(": {why}"));
    let next = format!("see `journalctl -u {id}` on {host}, and get it to run");
    Some(Finding::of("unit-not-active", format!("{what}{why}")).next(next))
}

/// systemd's last word of how the process ended.
async fn last_exit(probe: &Probe<'_>, seen: &Seen) -> Option<String> {
    let lines = lines(probe, seen, LINES).await?;
    let is_exit = |line: &&String| line.contains("Main process exited, code=");
    lines.iter().rev().find(is_exit).cloned()
}

async fn lines(probe: &Probe<'_>, seen: &Seen, lines: u32) -> Option<Vec<String>> {
    let unit = seen.unit.text.id.clone();
    // Without its journal a dead unit is still named.
    probe.get(Journal { unit, lines }).await.ok()
}

/// The last line that is understood, and what it means.
pub(in crate::steps) async fn last_sign(
    probe: &Probe<'_>,
    seen: &Seen,
    most: u32,
) -> Option<(String, &'static Sign)> {
    let lines = lines(probe, seen, most).await?;
    let known = |line: &String| Some((line.clone(), journal::sign(line)?));
    lines.iter().rev().find_map(known)
}
