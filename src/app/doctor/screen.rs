//! Findings as people and as machines read them.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Found;
use crate::app::glance;
use crate::exit::Exit;
use crate::findings::Weight;
use crate::model::count;
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
        let next = why.next(host);
        writeln!(to, "{host}\n  unseen  {why}\n  next    {next}")?;
    }
    let places = count(found.looked_at.len(), "place was", "places were");
    let number = |weight| {
        found
            .findings
            .iter()
            .filter(|(_, it)| it.weight() == weight)
            .count()
    };
    writeln!(
        to,
        "{places} looked at: {}, {}, {} not seen",
        count(
            number(Weight::Refuse),
            "stands in the way",
            "stand in the way"
        ),
        count(number(Weight::Warn), "is a warning", "are warnings"),
        count(found.unreachable.len(), "host was", "hosts were")
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
    let value = json!({
        "looked_at": found.looked_at,
        "findings": found.findings.iter().map(finding).collect::<Vec<Value>>(),
        "unreachable": found.unreachable.iter().map(glance::unseen).collect::<Vec<Value>>(),
        "exit": found.exit().number(),
    });
    format!("{value:#}\n")
}
