//! Inventories in Ansible's YAML: groups of `hosts`, `children` and `vars`.

use super::raw::{Raw, Var, VarMap};
use super::{connect, vault};
use crate::source::{Entry, Node, Problems, Source, SourceSpan, nearest, tree_with_vault};

const GROUP: [&str; 3] = ["hosts", "children", "vars"];

/// Reads the text into `raw`.
pub(super) fn read(raw: &mut Raw<'_>) {
    let mut problems = Problems::default();
    let root = tree_with_vault(raw.source, &mut problems);
    raw.problems.extend(problems);
    let Some(root) = root else { return };
    if root.is_null() {
        return;
    }
    let Some(entries) = root.entries() else {
        let what = format!("an inventory is a map of groups, not {}", root.noun());
        let help = "write `all:` or a group, with `hosts:` below it; is this perhaps the playbook?";
        return raw.problem("inventory::type", what, root.at, help);
    };
    for entry in entries {
        if GROUP.contains(&entry.key.as_str()) {
            let what = format!("`{}` belongs into a group", entry.key);
            raw.problem(
                "inventory::top-level",
                what,
                entry.at,
                "put it below `all:` or below the name of a group",
            );
        } else {
            group(&entry.key, entry.at, &entry.value, raw);
        }
    }
}

fn group(name: &str, at: SourceSpan, node: &Node, raw: &mut Raw<'_>) {
    raw.group(name, at);
    if node.is_null() {
        return;
    }
    let Some(entries) = node.entries() else {
        let what = format!("group `{name}` is a map, not {}", node.noun());
        return raw.problem(
            "inventory::type",
            what,
            node.at,
            "a group has `hosts`, `children` and `vars`",
        );
    };
    for entry in entries {
        match entry.key.as_str() {
            "hosts" => hosts(name, entry, raw),
            "children" => children(name, entry, raw),
            "vars" => {
                let read = vars(&entry.value, "vars", raw);
                raw.group(name, at).vars.extend(read);
            }
            key => unknown(name, key, entry, raw),
        }
    }
}

fn unknown(group: &str, key: &str, entry: &Entry, raw: &mut Raw<'_>) {
    let what = format!("group `{group}` has no key `{key}`");
    let help = match nearest(key, GROUP) {
        Some(near) => format!("did you mean `{near}`?"),
        None if entry.value.entries().is_some() || entry.value.is_null() => {
            format!(
                "a group within a group stands below `children:`, a host below `hosts:`: is `{key}` one of them?"
            )
        }
        None => {
            "a group has `hosts`, `children` and `vars`; variables stand below `vars:`".to_owned()
        }
    };
    raw.problem("inventory::unknown-key", what, entry.at, &help);
}

fn hosts(group: &str, entry: &Entry, raw: &mut Raw<'_>) {
    let node = &entry.value;
    if node.is_null() {
        return;
    }
    let Some(entries) = node.entries() else {
        let what = format!("`hosts` is a map, not {}", node.noun());
        return raw.problem(
            "inventory::type",
            what,
            node.at,
            "write each host as a key: `server-1:`",
        );
    };
    for host in entries {
        let vars = vars(&host.value, &host.key, raw);
        raw.add_hosts(group, &host.key, host.at, vars);
    }
}

fn children(name: &str, entry: &Entry, raw: &mut Raw<'_>) {
    let node = &entry.value;
    if node.is_null() {
        return;
    }
    let Some(entries) = node.entries() else {
        let what = format!("`children` is a map, not {}", node.noun());
        return raw.problem(
            "inventory::type",
            what,
            node.at,
            "write each group as a key: `server:`",
        );
    };
    for child in entries {
        raw.group(name, entry.at)
            .children
            .insert(child.key.clone(), child.at);
        group(&child.key, child.at, &child.value, raw);
    }
}

fn vars(node: &Node, of: &str, raw: &mut Raw<'_>) -> VarMap {
    let source = raw.source;
    read_vars(node, of, source, &mut raw.problems)
}

/// Variables of a map; also used for `group_vars` and `host_vars`.
pub(super) fn read_vars(node: &Node, of: &str, source: &Source, problems: &mut Problems) -> VarMap {
    let entries = node.entries().unwrap_or_default();
    if node.entries().is_none() && !node.is_null() {
        let what = format!("`{of}` holds variables, not {}", node.noun());
        let problem =
            crate::source::Problem::new("inventory::type", what).at(&source.shown, node.at);
        problems.push(problem.help("write `name: value` lines below it"));
    }
    let mut vars = VarMap::new();
    for entry in entries {
        let at = if entry.value.at.is_empty() {
            entry.at
        } else {
            entry.value.at
        };
        let text = source.shown.clone();
        if vault::has_encrypted(&entry.value) {
            let name = &entry.key;
            if !connect::says(name) {
                let what = format!("`{name}` is encrypted by Ansible vault, and is not read");
                problems.push(vault::warning(what, &text, entry.at));
            }
            let value = vault::unread(name);
            vars.insert(name.clone(), Var { value, text, at });
            continue;
        }
        let value: minijinja::Value = match serde::Deserialize::deserialize(&*entry.value) {
            Ok(value) => value,
            Err(crate::source::Misfit { what, .. }) => {
                let problem = crate::source::Problem::new("inventory::type", what);
                problems.push(problem.at(&source.shown, entry.value.at));
                continue;
            }
        };
        vars.insert(entry.key.clone(), Var { value, text, at });
    }
    vars
}
