//! Findings as people and as machines read them.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Found;
use crate::exit::Exit;
use crate::findings::Weight;
use crate::steps::findings::Finding;

pub(super) fn text(found: &Found) -> String {
    let mut text = String::new();
    // A String takes all.
    write(&mut text, found).ok();
    text
}

fn write(to: &mut String, found: &Found) -> std::fmt::Result {
    for place in &found.looked_at {
        let here: Vec<&Finding> = found
            .findings
            .iter()
            .filter(|(on, _)| on == place)
            .map(|(_, finding)| finding)
            .collect();
        if here.is_empty() {
            continue;
        }
        writeln!(to, "{place}")?;
        for finding in here {
            let word = finding.weight().word();
            writeln!(to, "  {word:<6}  {}: {}", finding.name, finding.what)?;
            writeln!(to, "  next    {}", finding.next)?;
        }
    }
    for (host, why) in &found.unreachable {
        writeln!(to, "{host}\n  unseen  {why}")?;
    }
    let places = found.looked_at.len();
    let plural = if places == 1 {
        "place was"
    } else {
        "places were"
    };
    let count = |weight| {
        found
            .findings
            .iter()
            .filter(|(_, it)| it.weight() == weight)
            .count()
    };
    writeln!(
        to,
        "{places} {plural} looked at: {} stand in the way, {} are warnings, {} hosts were not seen",
        count(Weight::Refuse),
        count(Weight::Warn),
        found.unreachable.len()
    )?;
    if found.exit() == Exit::Fine && found.findings.is_empty() {
        return Ok(());
    }
    writeln!(to, "more: keyroll doctor --explain NAME")
}

pub(super) fn json(found: &Found) -> String {
    let finding = |(place, finding): &(String, Finding)| {
        json!({
            "place": place, "name": finding.name, "severity": finding.weight(),
            "what": finding.what, "next": finding.next,
        })
    };
    let unseen = |(host, why): &(String, String)| json!({ "host": host, "why": why });
    let value = json!({
        "looked_at": found.looked_at,
        "findings": found.findings.iter().map(finding).collect::<Vec<Value>>(),
        "unreachable": found.unreachable.iter().map(unseen).collect::<Vec<Value>>(),
        "exit": found.exit().number(),
    });
    format!("{value:#}\n")
}
