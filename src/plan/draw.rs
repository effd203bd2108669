//! The plan as people read it: plays, batches, tasks, barriers and gates, and what waits for what.

use std::fmt::Write as _;
use std::time::Duration;

use super::{Plan, PlannedPlay};
use crate::model::{HostName, count};
use crate::playbook::{Etcd, Health, Task};

const MOST_BATCHES: usize = 12;
const MOST_HOSTS: usize = 8;

/// The plan as text.
#[must_use]
pub fn draw(plan: &Plan) -> String {
    let mut text = String::new();
    for (index, play) in plan.plays.iter().enumerate() {
        line(&mut text, 0, &heading(plan, play, index));
        if play.batches.is_empty() {
            continue;
        }
        for task in play.tasks.iter() {
            draw_task(&mut text, task);
        }
        draw_batches(&mut text, play);
    }
    for note in &plan.notes {
        line(&mut text, 0, &format!("note: {note}"));
    }
    text
}

// Writing to a String cannot fail.
fn line(text: &mut String, depth: usize, content: &str) {
    let _written = writeln!(text, "{:1$}{content}", "", depth * 2);
}

fn heading(whole: &Plan, play: &PlannedPlay, index: usize) -> String {
    let hosts: usize = play.batches.iter().map(Vec::len).sum();
    let size = match (hosts, play.batches.len()) {
        (0, _) => "no hosts, left out".to_owned(),
        (hosts, 1) => count(hosts, "host", "hosts"),
        (hosts, batches) => format!("{} in {batches} batches", count(hosts, "host", "hosts")),
    };
    let waits = match play.needs.as_slice() {
        [] if index == 0 => String::new(),
        [] => ", waits for nothing".to_owned(),
        [before] if before + 1 == index => String::new(),
        needs => {
            let names = needs
                .iter()
                .filter_map(|need| whole.plays.get(*need))
                .map(|needed| needed.name.as_str());
            format!(", waits for {}", names.collect::<Vec<_>>().join(" and "))
        }
    };
    format!("{} ({size}{waits})", play.name)
}

fn draw_task(text: &mut String, task: &Task) {
    let name = if task.name.starts_with(task.step.name()) {
        task.name.clone()
    } else {
        format!("{} [{}]", task.name, task.step.name())
    };
    let when = match task.when.as_slice() {
        [] => String::new(),
        when => format!(", when {}", when.join(" and ")),
    };
    if task.run_once {
        line(
            text,
            1,
            &format!("= {name}: once a batch, all wait for it{when}"),
        );
    } else {
        line(text, 1, &format!("- {name}{when}"));
    }
    for undo in &task.undo {
        line(text, 3, &format!("undone by {}", undo.name));
    }
}

fn draw_batches(text: &mut String, play: &PlannedPlay) {
    let shown = play.batches.iter().take(MOST_BATCHES).enumerate();
    for (index, hosts) in shown {
        line(text, 1, &format!("batch {}: {}", index + 1, list(hosts)));
    }
    let hidden = play.batches.get(MOST_BATCHES..).unwrap_or_default();
    if !hidden.is_empty() {
        let hosts: usize = hidden.iter().map(Vec::len).sum();
        line(
            text,
            1,
            &format!(
                "and {} of {}",
                count(hidden.len(), "more batch", "more batches"),
                count(hosts, "host", "hosts")
            ),
        );
    }
    let each = if play.batches.len() > 1 {
        " after each batch"
    } else {
        ""
    };
    match &play.health {
        Some(health) => line(text, 1, &format!("gate{each}: {}", conditions(health))),
        None => line(text, 1, &format!("gate{each}: opens at once")),
    }
}

fn list(hosts: &[HostName]) -> String {
    let mut names: Vec<&str> = hosts
        .iter()
        .take(MOST_HOSTS)
        .map(HostName::as_str)
        .collect();
    let more = hosts.len().saturating_sub(MOST_HOSTS);
    let more = format!("{more} more");
    if hosts.len() > MOST_HOSTS {
        names.push(&more);
    }
    names.join(", ")
}

fn conditions(health: &Health) -> String {
    let mut parts = Vec::new();
    if health.nodes_ready {
        parts.push("nodes ready".to_owned());
    }
    match health.etcd {
        Etcd::Nobody => {}
        Etcd::Voters => parts.push("etcd members healthy".to_owned()),
        Etcd::Visited => parts.push("their etcd members healthy".to_owned()),
    }
    parts.push(format!("steady for {}", spoken(health.settle)));
    parts.push(format!("within {}", spoken(health.timeout)));
    parts.join(", ")
}

fn spoken(duration: Duration) -> String {
    match duration.as_secs() {
        seconds if seconds > 0 && seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}
