//! Builds the plan: plays with their hosts and variables first, then the graph.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::order::ordered;
use super::{Plan, PlannedPlay, batches, one_down, wire_up};
use crate::inventory::{Inventory, select};
use crate::model::HostName;
use crate::playbook::{Order, Play, Playbook, lint, needed};
use crate::source::{Problem, Problems};
use crate::template::Vars;
use crate::wire::Become;

/// What is asked for beside playbook and inventory.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// `--limit`: an Ansible host pattern.
    pub limit: Option<String>,
    /// For plays with `order: join_target_first`, by their index: the order that was found on the hosts.
    pub orders: HashMap<usize, Vec<HostName>>,
}

/// Builds the plan.
///
/// # Errors
/// With every mistake of meaning in the playbook for this inventory, and when no host is left by the limit.
pub fn build(
    playbook: &Playbook,
    inventory: &Inventory,
    request: &Request,
) -> Result<Plan, Problems> {
    lint(playbook, inventory).unless_errors(())?;
    let limit = limit(inventory, request)?;
    let mut plays = Vec::with_capacity(playbook.plays.len());
    let mut notes = Vec::new();
    for (index, play) in playbook.plays.iter().enumerate() {
        let mut hosts = select(inventory, &play.hosts).unwrap_or_default();
        if let Some(limit) = &limit {
            hosts.retain(|host| limit.contains(host));
        }
        let looked_up = request.orders.get(&index).map(Vec::as_slice);
        notes.extend(note(play, &hosts, looked_up));
        let hosts = ordered(hosts, play.order, looked_up);
        plays.push(planned(play, needed(playbook, index), &hosts, inventory));
    }
    if let Some(pattern) = request
        .limit
        .as_ref()
        .filter(|_| plays.iter().all(|p| p.batches.is_empty()))
    {
        let problem = Problem::new(
            "plan::limit",
            format!("the limit `{pattern}` leaves no play a host"),
        );
        return Err(problem.help("widen `--limit`").into());
    }
    if let Some(limit) = &limit {
        notes.extend(unled(playbook, inventory, &plays, limit));
    }
    one_down::check(playbook, &plays, inventory).unless_errors(())?;
    let graph = wire_up::graph(&plays);
    Ok(Plan {
        plays,
        graph,
        notes,
    })
}

fn limit(inventory: &Inventory, request: &Request) -> Result<Option<HashSet<HostName>>, Problems> {
    let Some(pattern) = &request.limit else {
        return Ok(None);
    };
    select(inventory, pattern)
        .map(|hosts| Some(hosts.into_iter().collect()))
        .map_err(|error| {
            let problem = Problem::new(
                "plan::limit",
                format!("the limit `{pattern}`: {}", error.what),
            );
            problem.help(error.help).into()
        })
}

fn note(play: &Play, hosts: &[HostName], looked_up: Option<&[HostName]>) -> Option<String> {
    let guessed = play.order == Order::JoinTargetFirst && hosts.len() > 1 && looked_up.is_none();
    guessed.then(|| {
        let name = &play.name;
        format!("{name}: the join target was not looked up; hosts stand in the inventory's order")
    })
}

/// Plays for a place in a group, such as `agent[0]`, that the limit leaves without a host while a later play goes on with
/// others of that group: then none of these goes first. As in Ansible the place is one in the whole group, not in what the
/// limit leaves of it.
fn unled(
    playbook: &Playbook,
    inventory: &Inventory,
    plays: &[PlannedPlay],
    limit: &HashSet<HostName>,
) -> Vec<String> {
    let note = |(index, play): (usize, &Play)| {
        let (group, _) = play.hosts.strip_suffix(']')?.split_once('[')?;
        let group: HashSet<HostName> = select(inventory, group).ok()?.into_iter().collect();
        let first = select(inventory, &play.hosts).ok()?;
        let left = first
            .first()
            .filter(|_| first.iter().all(|host| !limit.contains(host)))?;
        let later = plays.iter().skip(index + 1);
        let later = later.flat_map(|play| play.batches.iter().flatten());
        let mut later = later.filter(|host| group.contains(*host));
        let other = later.next()?;
        // One alone is its own first.
        later.find(|host| *host != other)?;
        let (name, hosts) = (&play.name, &play.hosts);
        Some(format!(
            "{name}: `{hosts}` is {left}, which --limit leaves out, so that no host goes first alone; to let one do so, run with --limit {other} before"
        ))
    };
    let all = playbook.plays.iter().enumerate();
    all.filter_map(note).collect()
}

fn planned(
    play: &Play,
    needs: Vec<usize>,
    hosts: &[HostName],
    inventory: &Inventory,
) -> PlannedPlay {
    let vars = hosts.iter().filter_map(|host| {
        let known = &inventory.hosts.get(host)?.vars;
        Some((host.clone(), laid_over(known, &play.vars)))
    });
    PlannedPlay {
        name: play.name.clone(),
        tasks: Arc::from(play.tasks.as_slice()),
        batches: batches(hosts, &play.serial),
        vars: vars.collect(),
        r#become: become_of(play),
        health: play.health.clone(),
        any_errors_fatal: play.any_errors_fatal,
        max_fail_percentage: play.max_fail_percentage,
        needs,
    }
}

fn laid_over(host: &Vars, play: &[(String, minijinja::Value)]) -> Vars {
    if play.is_empty() {
        return host.clone();
    }
    let mut vars = BTreeMap::clone(host);
    vars.extend(play.iter().cloned());
    Arc::new(vars)
}

fn become_of(play: &Play) -> Become {
    match (&play.r#become, &play.become_user) {
        (Some(true), Some(user)) if user != "root" => Become::User(user.clone()),
        (Some(true), _) => Become::Root,
        _ => Become::Login,
    }
}
