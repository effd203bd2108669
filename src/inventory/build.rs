//! What each host inherits: from `all`, from groups by depth and then by name, from itself.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use indexmap::{IndexMap, IndexSet};
use minijinja::Value;

use super::raw::{Raw, RawGroup, RawHost, VarMap};
use super::stated::Places;
use super::{Host, Inventory, connect};
use crate::model::{GroupName, HostName};
use crate::source::{Problem, Problems, SourceSpan};
use crate::template::{LazyVars, Vars};

/// Builds the inventory, or says all that is wrong with it.
pub(super) fn build(mut raw: Raw<'_>) -> Result<Inventory, Problems> {
    // Below a mistake of syntax nothing was read, and all else would be its echo.
    if raw.problems.errors() > 0 && raw.hosts.is_empty() {
        return Err(raw.problems);
    }
    adopt(&mut raw);
    let depths = depths(&mut raw)?;
    let members = members(&raw, &depths);
    let mut places = Places::default();
    let hosts = hosts(&mut raw, &depths, &members, &mut places);
    if raw.hosts.is_empty() {
        let help = "add a host below `hosts:` of a group";
        raw.problem(
            "inventory::empty",
            "the inventory has no hosts",
            (0, 0).into(),
            help,
        );
    }
    if raw.problems.errors() == 0 {
        warn(&mut raw, &members);
    }
    let groups = members
        .into_iter()
        .filter_map(|(name, hosts)| Some((GroupName::new(&name).ok()?, hosts)))
        .collect();
    if raw.problems.errors() > 0 {
        return Err(raw.problems);
    }
    Ok(Inventory {
        hosts,
        groups,
        places,
        warnings: raw.problems,
    })
}

/// Hosts in no group but `all` belong to `ungrouped`; groups without a parent to `all`.
fn adopt(raw: &mut Raw<'_>) {
    let grouped: IndexSet<HostName> = raw
        .groups
        .iter()
        .filter(|(name, _)| *name != "all" && *name != "ungrouped")
        .flat_map(|(_, group)| group.hosts.keys().cloned())
        .collect();
    let lonely: Vec<_> = raw
        .hosts
        .iter()
        .filter(|(host, _)| !grouped.contains(*host))
        .map(|(name, host)| (name.clone(), host.at.unwrap_or((0, 0).into())))
        .collect();
    if let Some(ungrouped) = raw.groups.get_mut("ungrouped") {
        ungrouped.hosts.retain(|host, _| !grouped.contains(host));
        ungrouped.hosts.extend(lonely);
    }
}

type Depths = HashMap<String, usize>;

/// How far each group is from `all`, by the longest way. A circle is an error.
fn depths(raw: &mut Raw<'_>) -> Result<Depths, Problems> {
    let mut depths: Depths = raw.groups.keys().map(|name| (name.clone(), 1)).collect();
    depths.insert("all".to_owned(), 0);
    for _ in 0..=raw.groups.len() {
        if !deepen(raw, &mut depths) {
            return Ok(depths);
        }
    }
    let deepest = raw
        .groups
        .iter()
        .max_by_key(|(name, _)| depths.get(*name).copied());
    let (name, at) = deepest.map_or(("all", (0, 0).into()), |(name, group)| {
        (name.as_str(), group.at.unwrap_or((0, 0).into()))
    });
    let what = format!("group `{name}` is among its own children");
    raw.problem(
        "inventory::circle",
        what,
        at,
        "remove one of the `children` entries",
    );
    Err(std::mem::take(&mut raw.problems))
}

/// One round; whether anything moved.
fn deepen(raw: &Raw<'_>, depths: &mut Depths) -> bool {
    let mut moved = false;
    for (name, group) in &raw.groups {
        let depth = depths.get(name).copied().unwrap_or(1);
        for child in group.children.keys() {
            let below = depths.entry(child.clone()).or_insert(1);
            if *below < depth + 1 {
                *below = depth + 1;
                moved = true;
            }
        }
    }
    moved
}

type Members = IndexMap<String, IndexSet<HostName>>;

/// Every group with all hosts below it, in the order of the file. Deepest first, so that children are known.
fn members(raw: &Raw<'_>, depths: &Depths) -> Members {
    let mut order: Vec<(&String, &RawGroup)> = raw.groups.iter().collect();
    order.sort_by_key(|(name, _)| std::cmp::Reverse(depths.get(*name).copied()));
    let mut found: HashMap<&String, IndexSet<usize>> = HashMap::new();
    for (name, group) in order {
        let own = group
            .hosts
            .keys()
            .filter_map(|host| raw.hosts.get_index_of(host));
        let mut all: IndexSet<usize> = own.collect();
        for child in group.children.keys() {
            all.extend(found.get(child).into_iter().flatten());
        }
        if name == "all" {
            all = (0..raw.hosts.len()).collect();
        }
        all.sort_unstable();
        found.insert(name, all);
    }
    let host = |index: &usize| raw.hosts.get_index(*index).map(|(name, _)| name.clone());
    raw.groups
        .keys()
        .map(|name| {
            (
                name.clone(),
                found
                    .get(name)
                    .into_iter()
                    .flatten()
                    .filter_map(host)
                    .collect(),
            )
        })
        .collect()
}

fn warn(raw: &mut Raw<'_>, members: &Members) {
    let empty: Vec<_> = raw
        .groups
        .iter()
        .filter(|(name, group)| {
            group.at.is_some() && members.get(*name).is_none_or(IndexSet::is_empty)
        })
        .filter_map(|(name, group)| Some((name.clone(), group.at?)))
        .collect();
    for (name, at) in empty {
        if name != "all" && name != "ungrouped" {
            warning(
                raw,
                format!("group `{name}` has no hosts"),
                at,
                "add hosts, or remove the group",
            );
        }
    }
    let lonely: Vec<_> = members
        .get("ungrouped")
        .into_iter()
        .flatten()
        .filter_map(|host| Some((host.clone(), raw.hosts.get(host)?.at?)))
        .collect();
    for (host, at) in lonely {
        let help = "put it into `server` or `agent`, or it is only part of `all`";
        warning(raw, format!("host `{host}` is in no group"), at, help);
    }
    of_two_kinds(raw, members);
}

/// A node is a server or an agent: what stands in both groups would be visited as both.
fn of_two_kinds(raw: &mut Raw<'_>, members: &Members) {
    let servers = members.get("server").into_iter().flatten();
    let agents = members.get("agent");
    let both: Vec<HostName> = servers
        .filter(|host| agents.is_some_and(|agents| agents.contains(*host)))
        .cloned()
        .collect();
    for host in both {
        let place = |group: &str| place(raw, group, &host, 0).unwrap_or((0, 0).into());
        let (first, second) = (place("server"), place("agent"));
        let line = Problem::new("inventory::odd", "").at(&raw.source.shown, first);
        let line = line.position().map_or(0, |(_, line, _)| line);
        let what = format!("host `{host}` is in `agent` here, and in `server` in line {line}");
        let help = "a node is one or the other: take it out of the group that it is not of";
        warning(raw, what, second, help);
    }
}

/// Where a host stands in a group, or in a group below it.
fn place(raw: &Raw<'_>, group: &str, host: &HostName, depth: usize) -> Option<SourceSpan> {
    let written = raw
        .groups
        .get(group)
        .filter(|_| depth <= raw.groups.len())?;
    let below = || {
        let mut children = written.children.keys();
        children.find_map(|child| place(raw, child, host, depth + 1))
    };
    written.hosts.get(host).copied().or_else(below)
}

fn warning(raw: &mut Raw<'_>, what: String, at: SourceSpan, help: &str) {
    let problem = Problem::new("inventory::odd", what).at(&raw.source.shown, at);
    raw.problems.push(problem.help(help).warning());
}

fn hosts(
    raw: &mut Raw<'_>,
    depths: &Depths,
    members: &Members,
    stated: &mut Places,
) -> IndexMap<HostName, Host> {
    let groups = groups_of_hosts(raw, depths, members);
    let every_group: Value = members
        .iter()
        .map(|(name, hosts)| {
            let hosts: Value = hosts
                .iter()
                .map(|host| Value::from(host.as_str()))
                .collect();
            (name.as_str(), hosts)
        })
        .collect();
    let mut places: Vec<VarMap> = Vec::with_capacity(raw.hosts.len());
    let mut base: HashMap<String, Vars> = HashMap::with_capacity(raw.hosts.len());
    for ((name, host), groups) in raw.hosts.iter().zip(&groups) {
        let merged = merged(raw, host, groups);
        let mut vars: BTreeMap<String, Value> = merged
            .iter()
            .map(|(k, v)| (k.clone(), v.value.clone()))
            .collect();
        identify(&mut vars, name, groups);
        vars.insert("groups".to_owned(), every_group.clone());
        base.insert(name.to_string(), Arc::new(vars));
        places.push(merged);
    }
    let hostvars = Value::from_object(LazyVars(base.clone()));
    let mut hosts = IndexMap::with_capacity(raw.hosts.len());
    let of_k3s = |groups: &[&str]| {
        groups
            .iter()
            .any(|name| matches!(*name, "server" | "agent"))
    };
    for ((name, places), groups) in raw.hosts.keys().zip(&places).zip(&groups) {
        let mut vars = base
            .get(name.as_str())
            .map(|vars| BTreeMap::clone(vars))
            .unwrap_or_default();
        vars.insert("hostvars".to_owned(), hostvars.clone());
        let vars = Arc::new(vars);
        let is_visited = of_k3s(groups);
        if is_visited {
            stated.take(places, &vars);
        }
        let connect = connect::read(places, &vars, is_visited, &mut raw.problems);
        hosts.insert(name.clone(), Host { vars, connect });
    }
    hosts
}

fn identify(vars: &mut BTreeMap<String, Value>, name: &HostName, groups: &[&str]) {
    let short = name.as_str().split('.').next().unwrap_or_default();
    let mut names: Vec<&str> = groups
        .iter()
        .copied()
        .filter(|group| *group != "all")
        .collect();
    names.sort_unstable();
    vars.insert("inventory_hostname".to_owned(), name.as_str().into());
    vars.insert("inventory_hostname_short".to_owned(), short.into());
    vars.insert(
        "group_names".to_owned(),
        names.into_iter().map(Value::from).collect(),
    );
}

/// The groups of each host, weakest first, hosts by index.
fn groups_of_hosts<'m>(raw: &Raw<'_>, depths: &Depths, members: &'m Members) -> Vec<Vec<&'m str>> {
    let mut order: Vec<(&'m String, &'m IndexSet<HostName>)> = members.iter().collect();
    order.sort_by_key(|(name, _)| (depths.get(*name).copied(), *name));
    let mut groups: Vec<Vec<&str>> = vec![Vec::new(); raw.hosts.len()];
    for (name, hosts) in order {
        for host in hosts {
            if let Some(list) = raw
                .hosts
                .get_index_of(host)
                .and_then(|index| groups.get_mut(index))
            {
                list.push(name);
            }
        }
    }
    groups
}

/// The variables of a host: inventory groups, `group_vars`, the host's own, `host_vars`, the
/// command line; later ones win.
fn merged(raw: &Raw<'_>, host: &RawHost, groups: &[&str]) -> VarMap {
    let groups: Vec<&RawGroup> = groups
        .iter()
        .filter_map(|name| raw.groups.get(*name))
        .collect();
    let layers = groups.iter().map(|group| &group.vars);
    let layers = layers.chain(groups.iter().map(|group| &group.file_vars));
    let mut vars = VarMap::new();
    for layer in layers.chain([&host.vars, &host.file_vars, &raw.extra]) {
        vars.extend(layer.iter().map(|(name, var)| (name.clone(), var.clone())));
    }
    vars
}
