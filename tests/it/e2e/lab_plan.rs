//! A topology as `tests/lab/k3s.sh` wants it: a line for each host.

use super::scenario::{Topology, is_agent};

/// The plan of a cluster whose first host is h`first`.
pub(super) fn plan(topology: &Topology, first: usize) -> String {
    let hosts = topology.hosts().into_iter().enumerate();
    let line = |(at, host): (usize, String)| {
        let words = words(topology, &host, first).join(" ");
        let role = if is_agent(&host) { "agent" } else { "server" };
        format!("h{} {host} {role} {words}\n", first + at)
    };
    hosts.map(line).collect()
}

/// What differs on a host from what the installer leaves.
fn words(topology: &Topology, host: &str, first: usize) -> Vec<String> {
    let number: usize = host.rsplit('-').next().unwrap().parse().unwrap();
    let mut words = vec![
        format!("unit={}", topology.unit),
        format!("port={}", topology.port),
        format!("data-dir={}", topology.data_dir),
    ];
    let mut add = |wanted: bool, word: &str| {
        if wanted {
            words.push(word.to_owned());
        }
    };
    add(topology.vip, &format!("joins=10.77.200.{first}"));
    add(topology.agent_token, "agent-token");
    // As people leave it: some have a token in full form, and one agent a file of its own.
    add(number.is_multiple_of(2), "form=full");
    if is_agent(host) {
        add(number > 1 && number == topology.agents, "surface=config");
        return words;
    }
    add(true, &format!("store={}", topology.datastore().name()));
    add(true, &format!("surface={}", topology.surface));
    add(topology.disable_agent, "disable-agent");
    let only = if number == 1 { "etcd" } else { "control-plane" };
    add(topology.split, &format!("only={only}"));
    words
}
