//! The plan in Graphviz' language: a cluster for each play, boxes for tasks, diamonds for gates.

use std::fmt::Write as _;

use petgraph::visit::EdgeRef;

use super::{Node, Plan};

/// The plan as a DOT graph.
#[must_use]
pub fn dot(plan: &Plan) -> String {
    let mut text = String::from(
        "digraph plan {\n  rankdir=LR;\n  node [shape=box, fontname=\"sans-serif\"];\n",
    );
    for index in 0..plan.plays.len() {
        cluster(&mut text, plan, index);
    }
    for edge in plan.graph.edge_references() {
        push(
            &mut text,
            &format!(
                "  n{} -> n{};",
                edge.source().index(),
                edge.target().index()
            ),
        );
    }
    text.push_str("}\n");
    text
}

// Writing to a String cannot fail.
fn push(text: &mut String, line: &str) {
    let _written = writeln!(text, "{line}");
}

fn cluster(text: &mut String, whole: &Plan, index: usize) {
    let Some(play) = whole.plays.get(index) else {
        return;
    };
    push(
        text,
        &format!(
            "  subgraph cluster_{index} {{\n    label={};",
            quoted(&play.name)
        ),
    );
    for node in whole.graph.node_indices() {
        let Some(weight) = whole.graph.node_weight(node) else {
            continue;
        };
        if play_of(weight) == index {
            push(
                text,
                &format!("    n{} [{}];", node.index(), attributes(whole, weight)),
            );
        }
    }
    push(text, "  }");
}

fn play_of(node: &Node) -> usize {
    match node {
        Node::Task { play, .. } | Node::Gate { play, .. } => *play,
    }
}

fn attributes(plan: &Plan, node: &Node) -> String {
    match node {
        Node::Task {
            play, task, host, ..
        } => {
            let known = plan.plays.get(*play).and_then(|play| play.tasks.get(*task));
            let name = known.map_or("?", |task| task.name.as_str());
            let once = known.is_some_and(|task| task.run_once);
            let style = if once { ", peripheries=2" } else { "" };
            format!("label={}{style}", quoted(&format!("{name}\n{host}")))
        }
        Node::Gate { batch, .. } => {
            let label = quoted(&format!("gate {}", batch + 1));
            format!("label={label}, shape=diamond")
        }
    }
}

fn quoted(text: &str) -> String {
    let escaped = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    format!("\"{escaped}\"")
}
