//! How long it takes to read an inventory and to plan ten tasks on a thousand and on ten thousand hosts.

#![expect(clippy::print_stdout, reason = "a benchmark's result is its output")]
#![expect(
    clippy::expect_used,
    reason = "a benchmark has no one to report an error to"
)]

use std::time::Instant;

use keyroll::inventory;
use keyroll::plan::{Request, build};
use keyroll::playbook;
use keyroll::source::Source;
use keyroll::steps::Step;

const TASKS: usize = 10;

fn main() {
    for hosts in [1_000, 10_000] {
        for serial in ["100%", "1"] {
            measure(hosts, serial);
        }
    }
}

fn measure(hosts: usize, serial: &str) {
    let fleet = format!(
        "agent:\n  hosts:\n    a[1:{hosts}]:\n  vars: {{ ansible_user: admin, ansible_port: 22 }}\n"
    );
    let tasks = "    - k3s_restart: {}\n".repeat(TASKS);
    let book = format!("- hosts: agent\n  serial: {serial}\n  tasks:\n{tasks}");

    let started = Instant::now();
    let fleet = inventory::parse(&Source::new("hosts.yml", fleet, &[])).expect("an inventory");
    let read = started.elapsed();

    let book = playbook::parse(&Source::new("book.yml", book, Step::NAMES)).expect("a playbook");
    let started = Instant::now();
    let plan = build(&book, &fleet, &Request::default()).expect("a plan");
    let planned = started.elapsed();

    let (nodes, edges) = (plan.graph.node_count(), plan.graph.edge_count());
    println!(
        "{hosts} hosts x {TASKS} tasks, serial {serial}: inventory {read:.1?}, plan {planned:.1?} ({nodes} nodes, {edges} edges)"
    );
}
