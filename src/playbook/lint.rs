//! Mistakes of meaning: what a playbook and an inventory say together.

mod habits;
mod words;

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use super::{Play, Playbook};
use crate::inventory::{Inventory, select};
use crate::source::{Problem, Problems, SourceSpan, nearest};

/// All mistakes of meaning in a playbook for this inventory. Plays without hosts are warnings, unless all are.
#[must_use]
pub fn lint(playbook: &Playbook, inventory: &Inventory) -> Problems {
    let mut problems = Problems::default();
    let mut filled = 0;
    let mut empty = Vec::new();
    for play in &playbook.plays {
        match select(inventory, &play.hosts) {
            Ok(hosts) if hosts.is_empty() => empty.push(play),
            Ok(_) => filled += 1,
            Err(misfit) => {
                let problem = Problem::new("playbook::hosts", misfit.what)
                    .at(&playbook.text, play.places.hosts);
                problems.push(problem.help(misfit.help));
            }
        }
    }
    let all_empty = filled == 0 && problems.is_empty();
    for play in empty {
        problems.push(without_hosts(playbook, play, all_empty));
    }
    problems.extend(needs(playbook));
    problems.extend(habits::habits(playbook, inventory));
    problems
}

fn without_hosts(playbook: &Playbook, play: &Play, all_empty: bool) -> Problem {
    let problem = Problem::new(
        "playbook::no-hosts-matched",
        format!("no host matches `{}`", play.hosts),
    )
    .at(&playbook.text, play.places.hosts);
    if all_empty {
        problem.help("no play has a host, so there is nothing to do: check the inventory")
    } else {
        problem.warning().help("the play is left out")
    }
}

/// Mistakes in `needs`: names that no play has, and circles.
fn needs(playbook: &Playbook) -> Problems {
    let mut problems = Problems::default();
    let names: Vec<&str> = playbook
        .plays
        .iter()
        .map(|play| play.name.as_str())
        .collect();
    for play in &playbook.plays {
        for (need, at) in play.needs.iter().flatten().zip(&play.places.needs) {
            if !names.contains(&need.as_str()) {
                problems.push(unknown_need(playbook, play, need, *at));
            }
        }
    }
    if problems.is_empty()
        && let Some((circle, at)) = circle(playbook)
    {
        let what = format!(
            "plays wait for each other in a circle: {}",
            circle.join(" → ")
        );
        let problem = Problem::new("playbook::circle", what).at(&playbook.text, at);
        problems.push(problem.help("remove one of these `needs`"));
    }
    problems
}

fn unknown_need(playbook: &Playbook, play: &Play, need: &str, at: SourceSpan) -> Problem {
    let what = format!(
        "play `{}` needs `{need}`, which no play is called",
        play.name
    );
    let names = playbook.plays.iter().map(|play| play.name.as_str());
    let problem = Problem::new("playbook::unknown-need", what).at(&playbook.text, at);
    match nearest(need, names.clone()) {
        Some(near) => problem.help(format!("did you mean `{near}`?")),
        None => problem.help(format!(
            "plays are {}",
            names.collect::<Vec<_>>().join(", ")
        )),
    }
}

/// The plays that each play waits for, as indices; unknown names are left out.
pub(crate) fn needed(playbook: &Playbook, index: usize) -> Vec<usize> {
    let Some(play) = playbook.plays.get(index) else {
        return Vec::new();
    };
    match &play.needs {
        None => index.checked_sub(1).into_iter().collect(),
        Some(names) => names
            .iter()
            .filter_map(|name| playbook.plays.iter().position(|other| other.name == *name))
            .collect(),
    }
}

/// A circle of `needs` by name, and where one of its edges is written.
fn circle(playbook: &Playbook) -> Option<(Vec<String>, SourceSpan)> {
    let mut graph: DiGraph<usize, ()> = DiGraph::new();
    let nodes: Vec<NodeIndex> = (0..playbook.plays.len())
        .map(|index| graph.add_node(index))
        .collect();
    for (index, node) in nodes.iter().enumerate() {
        for need in needed(playbook, index)
            .iter()
            .filter_map(|need| nodes.get(*need))
        {
            graph.add_edge(*node, *need, ());
        }
    }
    let knots = kosaraju_scc(&graph);
    let knot = knots
        .iter()
        .find(|knot| knot.len() > 1 || knot.iter().any(|node| graph.contains_edge(*node, *node)))?;
    let mut path = vec![*knot.iter().min()?];
    while let Some(next) = graph
        .neighbors(*path.last()?)
        .find(|next| knot.contains(next))
    {
        let start = path.iter().position(|seen| *seen == next);
        path.push(next);
        if let Some(start) = start {
            path.drain(..start);
            break;
        }
    }
    let plays: Vec<&Play> = path
        .iter()
        .filter_map(|node| playbook.plays.get(node.index()))
        .collect();
    // Some play of a circle says its needs itself: those left out point backwards only.
    let written = plays.iter().find_map(|play| play.places.needs.first());
    let at = written
        .copied()
        .or_else(|| plays.first().map(|play| play.places.hosts))?;
    Some((plays.iter().map(|play| play.name.clone()).collect(), at))
}
