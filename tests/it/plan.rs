//! Plans: what waits for what, and how large the graph becomes.
use std::collections::{HashMap, HashSet};

use keyroll::inventory::{self, Inventory};
use keyroll::model::HostName;
use keyroll::plan::{Node, Plan, Request, build, dot, draw};
use keyroll::playbook::{self, Playbook};
use keyroll::source::{Look, Source};
use keyroll::steps::Step;
use petgraph::algo::{has_path_connecting, is_cyclic_directed};
use petgraph::graph::NodeIndex;
use proptest::prelude::*;

fn playbook(text: &str) -> Playbook {
    playbook::parse(&Source::new("test.yml", text, Step::NAMES))
        .unwrap_or_else(|problems| panic!("{}", problems.render(Look::default())))
}

fn fleet(servers: usize, agents: usize) -> Inventory {
    let text =
        format!("server:\n  hosts:\n    s[1:{servers}]:\nagent:\n  hosts:\n    a[1:{agents}]:\n");
    inventory::parse(&Source::new("hosts.yml", text, &[]))
        .unwrap_or_else(|problems| panic!("{}", problems.render(Look::default())))
}

fn plan(book: &Playbook, fleet: &Inventory, request: &Request) -> Plan {
    build(book, fleet, request)
        .unwrap_or_else(|problems| panic!("{}", problems.render(Look::default())))
}

fn keys(plan: &Plan) -> HashMap<String, NodeIndex> {
    let key = |node: NodeIndex| plan.key(&plan.graph[node]).0;
    plan.graph
        .node_indices()
        .map(|node| (key(node), node))
        .collect()
}

fn waits(plan: &Plan, later: &str, earlier: &str) -> bool {
    let keys = keys(plan);
    has_path_connecting(&plan.graph, keys[earlier], keys[later], None)
}

const TWO_TASKS: &str = "
- name: work
  hosts: server
  serial: 2
  tasks:
    - { name: first, debug: { msg: hello } }
    - { name: once, run_once: true, debug: { msg: hello } }
    - { name: last, debug: { msg: hello } }
";

#[test]
fn a_run_once_task_is_a_barrier_for_its_batch() {
    let plan = plan(&playbook(TWO_TASKS), &fleet(3, 1), &Request::default());
    assert!(waits(&plan, "work/once@s1", "work/first@s2"));
    assert!(waits(&plan, "work/last@s2", "work/once@s1"));
    assert!(!waits(&plan, "work/first@s2", "work/first@s1"));
    assert!(!keys(&plan).contains_key("work/once@s2"));
}

#[test]
fn a_batch_waits_for_the_gate_of_the_batch_before_it() {
    let plan = plan(&playbook(TWO_TASKS), &fleet(3, 1), &Request::default());
    assert!(waits(&plan, "gate:work#1", "work/last@s2"));
    assert!(waits(&plan, "work/first@s3", "gate:work#1"));
    assert!(waits(&plan, "gate:work#2", "work/last@s3"));
}

#[test]
fn every_key_is_unique() {
    let plan = plan(
        &playbook::read("@rotate-token").expect("built in"),
        &fleet(3, 8),
        &Request::default(),
    );
    assert_eq!(keys(&plan).len(), plan.graph.node_count());
}

#[test]
fn plays_without_needs_of_each_other_run_side_by_side() {
    let book = playbook(
        "
- { name: one, hosts: server, tasks: [k3s_restart: {}] }
- { name: two, hosts: agent, needs: [], tasks: [k3s_restart: {}] }
- { name: three, hosts: all, needs: [one, two], tasks: [k3s_restart: {}] }
",
    );
    let plan = plan(&book, &fleet(1, 1), &Request::default());
    assert!(!waits(&plan, "two/k3s_restart@a1", "gate:one#1"));
    assert!(waits(&plan, "three/k3s_restart@a1", "gate:one#1"));
    assert!(waits(&plan, "three/k3s_restart@a1", "gate:two#1"));
}

#[test]
fn a_play_without_hosts_passes_its_needs_on() {
    let book = playbook(
        "
- { name: one, hosts: server, tasks: [k3s_restart: {}] }
- { name: none, hosts: 'agent[9]', tasks: [k3s_restart: {}] }
- { name: two, hosts: agent, tasks: [k3s_restart: {}] }
",
    );
    let plan = plan(&book, &fleet(1, 2), &Request::default());
    assert!(waits(&plan, "two/k3s_restart@a1", "gate:one#1"));
    assert!(plan.plays[1].batches.is_empty());
}

#[test]
fn the_join_target_comes_first_when_it_was_looked_up() {
    let book = playbook::read("@rotate-token").expect("built in");
    let fleet = fleet(3, 1);
    let name = |text| HostName::new(text).expect("a name");
    let orders = HashMap::from([(2, vec![name("s3"), name("s1")])]);
    let known = plan(
        &book,
        &fleet,
        &Request {
            limit: None,
            orders,
        },
    );
    assert_eq!(
        known.plays[2].batches.concat(),
        [name("s3"), name("s1"), name("s2")]
    );
    assert!(known.notes.is_empty());
    let guessed = plan(&book, &fleet, &Request::default());
    assert_eq!(
        guessed.plays[2].batches.concat(),
        [name("s1"), name("s2"), name("s3")]
    );
    assert_eq!(guessed.notes.len(), 1);
}

#[test]
fn where_the_limit_leaves_out_the_host_that_would_go_first_it_is_said() {
    let book = playbook(
        "- { name: one, hosts: 'agent[0]', tasks: &t [{ debug: { msg: hello } }] }\n- { name: all, hosts: agent, tasks: *t }\n- { name: end, hosts: 'server[0]', tasks: *t }\n",
    );
    let notes = |pattern: &str| {
        let request = Request {
            limit: Some(pattern.to_owned()),
            ..Request::default()
        };
        plan(&book, &fleet(2, 3), &request).notes
    };
    let told = notes("all:!a1");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("one: `agent[0]` is a1, which --limit leaves out"));
    assert!(told[0].ends_with("run with --limit a2 before"));
    for led in ["all", "agent", "a1", "a3", "server"] {
        assert_eq!(notes(led), [""; 0], "{led}");
    }
}

#[test]
fn a_limit_narrows_every_play() {
    let book = playbook::read("@rotate-token").expect("built in");
    let limit = |pattern: &str| Request {
        limit: Some(pattern.to_owned()),
        ..Request::default()
    };
    let narrowed = plan(&book, &fleet(3, 4), &limit("agent:!a1"));
    assert!(narrowed.plays[1].batches.is_empty());
    assert_eq!(narrowed.plays[4].batches.concat().len(), 3);
    let unknown = build(&book, &fleet(3, 4), &limit("agnet")).expect_err("no such group");
    assert!(unknown.to_string().contains("agnet"), "{unknown}");
    let empty = build(&book, &fleet(3, 4), &limit("s1:!server")).expect_err("nothing left");
    assert!(
        empty.to_string().contains("leaves no play a host"),
        "{empty}"
    );
}

#[test]
fn servers_have_the_new_token_before_any_agent_changes() {
    let plan = plan(
        &playbook::read("@rotate-token").expect("built in"),
        &fleet(3, 4),
        &Request::default(),
    );
    let last_server = "gate:Servers take it, one at a time#3";
    assert!(waits(
        &plan,
        "One agent first/k3s_token: active@a1",
        last_server
    ));
    assert!(waits(
        &plan,
        "Every agent will start with the new token/k3s_token: active@a4",
        last_server
    ));
}

#[test]
fn a_plan_is_drawn_for_people() {
    let plan = plan(
        &playbook::read("@rotate-token").expect("built in"),
        &fleet(3, 11),
        &Request::default(),
    );
    insta::assert_snapshot!(draw(&plan));
}

#[test]
fn a_plan_is_drawn_for_graphviz() {
    let plan = plan(&playbook(TWO_TASKS), &fleet(3, 1), &Request::default());
    insta::assert_snapshot!(dot(&plan));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_host_is_in_one_batch_and_the_graph_is_acyclic_and_linear(servers in 1..7_usize, agents in 1..60_usize) {
        let book = playbook::read("@rotate-token").expect("built in");
        let fleet = fleet(servers, agents);
        let plan = plan(&book, &fleet, &Request::default());
        prop_assert!(!is_cyclic_directed(&plan.graph));
        for (planned, play) in plan.plays.iter().zip(&book.plays) {
            let batched = planned.batches.concat();
            let unique: HashSet<&HostName> = batched.iter().collect();
            prop_assert_eq!(unique.len(), batched.len());
            let chosen = inventory::select(&fleet, &play.hosts).expect("a pattern");
            prop_assert_eq!(unique, chosen.iter().collect::<HashSet<_>>());
        }
        let gates = plan.graph.node_weights().filter(|n| matches!(n, Node::Gate { .. })).count();
        prop_assert!(plan.graph.edge_count() <= 2 * plan.graph.node_count() + gates);
    }
}

fn refusal(text: &str) -> String {
    match build(&playbook(text), &fleet(3, 1), &Request::default()) {
        Ok(_) => "it was planned".to_owned(),
        Err(problems) => problems.render(Look::default()),
    }
}

#[test]
fn no_plan_restarts_two_servers_at_once() {
    let batch = refusal("- name: all\n  hosts: server\n  tasks: [k3s_restart: {}]\n");
    assert!(
        batch.contains("3 servers at once") && batch.contains("serial: 1"),
        "{batch}"
    );
    let mixed = refusal("- { name: all, hosts: all, serial: 2, tasks: [k3s_restart: {}] }\n");
    assert!(mixed.contains("2 servers at once"), "{mixed}");
    let beside = refusal(
        "- { name: one, hosts: s1, tasks: [k3s_restart: {}] }\n- { name: two, hosts: s2, needs: [], tasks: [k3s_restart: {}] }\n",
    );
    assert!(beside.contains("at the same time"), "{beside}");
}

#[test]
fn servers_one_by_one_and_agents_together_may_be_restarted() {
    for good in [
        "- { name: a, hosts: server, serial: 1, tasks: [k3s_restart: {}] }\n",
        "- { name: a, hosts: agent, tasks: [k3s_restart: {}] }\n",
        "- { name: a, hosts: s1, tasks: [k3s_restart: {}] }\n- { name: b, hosts: s2, tasks: [k3s_restart: {}] }\n",
    ] {
        assert_eq!(refusal(good), "it was planned");
    }
}
