//! One play.

use super::{Reader, health, serial, task};
use crate::playbook::keywords::IN_PLAY;
use crate::playbook::{Order, Places, Play};
use crate::source::{Entry, Node, SourceSpan, nearest};

const ORDERS: [(&str, Order); 5] = [
    ("inventory", Order::Inventory),
    ("reverse_inventory", Order::ReverseInventory),
    ("sorted", Order::Sorted),
    ("reverse_sorted", Order::ReverseSorted),
    ("join_target_first", Order::JoinTargetFirst),
];

/// Reads a play; `None` when nothing of it can be used. `earlier` plays have taken their names.
pub(super) fn read(node: &Node, earlier: &[Play], reader: &mut Reader<'_>) -> Option<Play> {
    let Some(entries) = node.entries() else {
        let what = format!("a play is a map, not {}", node.noun());
        reader.problem(
            "playbook::type",
            what,
            node.at,
            "begin it with `- hosts: …`",
        );
        return None;
    };
    let mut play = blank(node.at);
    let mut named_at = None;
    for entry in entries {
        if entry.key == "name" {
            named_at = Some(entry.value.at);
        }
        take(entry, &mut play, reader);
    }
    if node.get("hosts").is_none() {
        let help = "add `hosts:` with a group, a host or `all`";
        reader.problem(
            "playbook::no-hosts",
            "this play names no `hosts`",
            node.at,
            help,
        );
    }
    name(&mut play, named_at, earlier, reader);
    Some(play)
}

fn blank(at: SourceSpan) -> Play {
    Play {
        name: String::new(),
        hosts: String::new(),
        serial: Vec::new(),
        order: Order::Inventory,
        health: None,
        needs: None,
        vars: Vec::new(),
        r#become: None,
        become_user: None,
        any_errors_fatal: false,
        max_fail_percentage: None,
        tasks: Vec::new(),
        places: Places {
            hosts: at,
            needs: Vec::new(),
        },
    }
}

fn take(entry: &Entry, play: &mut Play, reader: &mut Reader<'_>) {
    let value = &*entry.value;
    match entry.key.as_str() {
        "name" => play.name = reader.text(value, "name").unwrap_or_default(),
        "hosts" => hosts(value, play, reader),
        "serial" => play.serial = serial::read(value, reader),
        "order" => play.order = order(value, reader),
        "health" => play.health = health::read(value, reader),
        "needs" => needs(value, play, reader),
        "tasks" => play.tasks = task::list(entry, task::Below::Tasks, reader),
        "vars" => play.vars = vars(value, reader),
        "become" => play.r#become = reader.boolean(value, "become"),
        "become_user" => play.become_user = reader.text(value, "become_user"),
        "any_errors_fatal" => {
            play.any_errors_fatal = reader
                .boolean(value, "any_errors_fatal")
                .unwrap_or_default();
        }
        "max_fail_percentage" => play.max_fail_percentage = serial::percent(value, reader),
        "gather_facts" => gather_facts(entry, reader),
        key => reader.unknown(key, entry.at, &IN_PLAY),
    }
}

/// A text, or Ansible's list of patterns.
fn hosts(node: &Node, play: &mut Play, reader: &mut Reader<'_>) {
    play.places.hosts = node.at;
    let patterns = reader.texts(node, "hosts");
    if patterns.is_empty() && node.items().is_some() {
        reader.wrong(node, "hosts", "a group, a host or a pattern");
    }
    for (text, at) in &patterns {
        if crate::template::is_template(text) {
            let what = "`hosts` cannot be an expression yet";
            reader.problem(
                "playbook::hosts",
                what,
                *at,
                "write the pattern, and narrow it by `--limit`",
            );
        }
    }
    let texts: Vec<String> = patterns.into_iter().map(|(text, _)| text).collect();
    play.hosts = texts.join(",");
}

fn order(node: &Node, reader: &mut Reader<'_>) -> Order {
    let text = node.text().unwrap_or_default();
    if let Some((_, order)) = ORDERS.iter().find(|(name, _)| *name == text) {
        return *order;
    }
    let names = ORDERS.map(|(name, _)| name);
    let help = match nearest(text, names) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("it can be {}", names.join(", ")),
    };
    let found = if text.is_empty() { node.noun() } else { text };
    reader.problem(
        "playbook::order",
        format!("there is no order `{found}`"),
        node.at,
        help,
    );
    Order::Inventory
}

fn needs(node: &Node, play: &mut Play, reader: &mut Reader<'_>) {
    let names = reader.texts(node, "needs");
    play.places.needs = names.iter().map(|(_, at)| *at).collect();
    play.needs = Some(names.into_iter().map(|(name, _)| name).collect());
}

fn vars(node: &Node, reader: &mut Reader<'_>) -> Vec<(String, minijinja::Value)> {
    let Some(entries) = node.entries() else {
        if !node.is_null() {
            reader.wrong(node, "vars", "a map of names and values");
        }
        return Vec::new();
    };
    reader.templates(node);
    let read = entries.iter().filter_map(|entry| {
        let value = serde::Deserialize::deserialize(&*entry.value);
        let value = value
            .map_err(|misfit| reader.misfit(misfit, entry.value.at, &format!("`{}`", entry.key)))
            .ok()?;
        Some((entry.key.clone(), value))
    });
    read.collect()
}

fn gather_facts(entry: &Entry, reader: &mut Reader<'_>) {
    if reader.boolean(&entry.value, "gather_facts") == Some(true) {
        let what = "`gather_facts: true` is not supported: keyroll looks at what a step needs, when it needs it";
        reader.problem(
            "playbook::not-supported-yet",
            what,
            entry.value.at,
            "remove it, or write `false`",
        );
    }
}

/// A name that a person gave must be unique; one made from the pattern is made so.
fn name(play: &mut Play, named_at: Option<SourceSpan>, earlier: &[Play], reader: &mut Reader<'_>) {
    let taken = |name: &str| earlier.iter().any(|other| other.name == name);
    if let Some(at) = named_at {
        if !play.name.is_empty() && taken(&play.name) {
            let what = format!("another play is called `{}` too", play.name);
            reader.problem(
                "playbook::duplicate-name",
                what,
                at,
                "give each play its own name: `needs`, journals and reports use it",
            );
        }
        return;
    }
    play.name.clone_from(&play.hosts);
    let mut count = 1;
    while taken(&play.name) {
        count += 1;
        play.name = format!("{} ({count})", play.hosts);
    }
}
