//! States of the schedule, each built directly.

use std::collections::HashMap;

use petgraph::graph::DiGraph;

use super::*;
use crate::plan::PlannedPlay;
use crate::playbook::{Health, Task};
use crate::steps::Step;
use crate::steps::assert::Assert;

fn task(run_once: bool) -> Task {
    let step = Step::Assert(Assert {
        that: Vec::new(),
        fail_msg: None,
    });
    Task {
        name: "t".into(),
        step,
        at: (0, 0).into(),
        when: vec![],
        run_once,
        timeout: None,
        ignore_errors: false,
        undo: vec![],
    }
}

fn health() -> Health {
    let time = std::time::Duration::from_secs(1);
    Health {
        nodes_ready: true,
        etcd: crate::playbook::Etcd::Nobody,
        settle: time,
        timeout: time,
        interval: time,
    }
}

/// One play: each host does `tasks` tasks, then the batch's gate.
fn plan(batches: &[usize], tasks: usize) -> Plan {
    let mut graph = DiGraph::new();
    let mut before = None;
    let mut all = Vec::new();
    for (batch, size) in batches.iter().enumerate() {
        let hosts: Vec<HostName> = (0..*size)
            .map(|n| HostName::new(&format!("h{batch}-{n}")).unwrap())
            .collect();
        let mut ends = Vec::new();
        for host in &hosts {
            let mut last = before;
            for task in 0..tasks {
                let node = graph.add_node(Node::Task {
                    play: 0,
                    batch,
                    task,
                    host: host.clone(),
                });
                if let Some(last) = last {
                    graph.add_edge(last, node, ());
                }
                last = Some(node);
            }
            ends.extend(last);
        }
        let gate = graph.add_node(Node::Gate { play: 0, batch });
        for end in ends {
            graph.add_edge(end, gate, ());
        }
        before = Some(gate);
        all.push(hosts);
    }
    let play = PlannedPlay {
        name: "p".into(),
        tasks: vec![task(false); tasks].into(),
        batches: all,
        vars: HashMap::new(),
        r#become: crate::wire::Become::Root,
        health: Some(health()),
        any_errors_fatal: false,
        max_fail_percentage: None,
        needs: vec![],
    };
    Plan {
        plays: vec![play],
        graph,
        notes: vec![],
    }
}

fn schedule(batches: &[usize], tasks: usize, forks: usize) -> Schedule {
    Schedule::new(
        Arc::new(plan(batches, tasks)),
        NonZeroUsize::new(forks).unwrap(),
        false,
    )
}

fn ready(schedule: &mut Schedule) -> Vec<Work> {
    std::iter::from_fn(|| schedule.next()).collect()
}

fn tasks(work: &[Work]) -> Vec<usize> {
    work.iter()
        .filter_map(|work| {
            if let Work::Task(node) = work {
                Some(node.index())
            } else {
                None
            }
        })
        .collect()
}

#[test]
fn no_more_hosts_are_at_work_than_forks_and_begun_visits_go_first() {
    let mut schedule = schedule(&[3], 2, 2);
    assert_eq!(tasks(&ready(&mut schedule)), [0, 2]);
    schedule.ended(NodeIndex::new(0), true);
    assert_eq!(tasks(&ready(&mut schedule)), [1]);
    schedule.ended(NodeIndex::new(1), true);
    assert_eq!(tasks(&ready(&mut schedule)), [4]);
}

#[test]
fn the_gate_comes_after_the_batch_and_watches_the_hosts_visited_so_far() {
    let mut schedule = schedule(&[1, 1], 1, 9);
    assert_eq!(tasks(&ready(&mut schedule)), [0]);
    schedule.ended(NodeIndex::new(0), true);
    let [Work::Gate(gate, hosts)] = &ready(&mut schedule)[..] else {
        panic!()
    };
    assert_eq!(hosts.len(), 1);
    schedule.ended(*gate, true);
    assert_eq!(tasks(&ready(&mut schedule)), [2]);
    schedule.ended(NodeIndex::new(2), true);
    let [Work::Gate(_, hosts)] = &ready(&mut schedule)[..] else {
        panic!()
    };
    assert_eq!(hosts.len(), 2);
}

#[test]
fn a_closed_gate_skips_all_that_comes_later_with_itself_as_root() {
    let mut schedule = schedule(&[1, 1], 1, 9);
    ready(&mut schedule);
    schedule.ended(NodeIndex::new(0), true);
    ready(&mut schedule);
    schedule.ended(NodeIndex::new(1), false);
    let root = Root::Node(NodeIndex::new(1));
    assert_eq!(
        ready(&mut schedule),
        [Work::Skipped(NodeIndex::new(2), root)]
    );
    assert_eq!(schedule.key(root), TaskKey("gate:p#1".into()));
}

#[test]
fn a_closed_gate_holds_a_barrier_of_a_later_play_too() {
    let mut both = plan(&[1], 1);
    let mut later = both.plays[0].clone();
    later.tasks = vec![task(false), task(true)].into();
    both.plays.push(later);
    let mut last = NodeIndex::new(1);
    for task in 0..2 {
        let host = both.plays[0].batches[0][0].clone();
        let (play, batch) = (1, 0);
        let node = both.graph.add_node(Node::Task {
            play,
            batch,
            task,
            host,
        });
        both.graph.add_edge(last, node, ());
        last = node;
    }
    let mut schedule = Schedule::new(Arc::new(both), NonZeroUsize::new(9).unwrap(), false);
    ready(&mut schedule);
    schedule.ended(NodeIndex::new(0), true);
    ready(&mut schedule);
    schedule.ended(NodeIndex::new(1), false);
    let root = Root::Node(NodeIndex::new(1));
    let skipped = [2, 3].map(|node| Work::Skipped(NodeIndex::new(node), root));
    assert_eq!(ready(&mut schedule), skipped);
}

#[test]
fn after_a_stop_visits_that_have_begun_go_on_and_no_gate_is_watched() {
    let mut schedule = schedule(&[2], 2, 1);
    assert_eq!(tasks(&ready(&mut schedule)), [0]);
    schedule.stop(StopLevel::FinishVisits);
    schedule.ended(NodeIndex::new(0), true);
    assert_eq!(tasks(&ready(&mut schedule)), [1]);
    schedule.ended(NodeIndex::new(1), true);
    let skipped = [2, 3].map(|node| Work::Skipped(NodeIndex::new(node), Root::Stopped));
    assert_eq!(ready(&mut schedule), skipped);
}

#[test]
fn a_batch_that_lost_all_its_hosts_closes_the_play() {
    let mut schedule = schedule(&[1, 1], 1, 9);
    ready(&mut schedule);
    schedule.ended(NodeIndex::new(0), false);
    let root = Root::Node(NodeIndex::new(0));
    assert_eq!(
        ready(&mut schedule),
        [Work::Skipped(NodeIndex::new(2), root)]
    );
}

#[test]
fn a_host_that_is_at_work_in_one_play_is_waited_for_by_another() {
    let mut both = plan(&[1], 1);
    both.plays.push(both.plays[0].clone());
    let host = both.plays[0].batches[0][0].clone();
    let other = both.graph.add_node(Node::Task {
        play: 1,
        batch: 0,
        task: 0,
        host,
    });
    let mut schedule = Schedule::new(Arc::new(both), NonZeroUsize::new(9).unwrap(), false);
    assert_eq!(tasks(&ready(&mut schedule)), [0]);
    schedule.ended(NodeIndex::new(0), true);
    assert_eq!(tasks(&ready(&mut schedule)), [other.index()]);
}

#[test]
fn ten_thousand_hosts_are_scheduled_to_the_end() {
    let mut schedule = schedule(&[5_000, 5_000], 3, 50);
    let mut ended = 0;
    while let Some(work) = schedule.next() {
        if let Work::Task(node) | Work::Gate(node, _) = work {
            ended += 1;
            schedule.ended(node, true);
        }
    }
    assert_eq!(ended, 30_002);
}
