//! Servers that run and would not start again are told from all others, by times alone.

use std::time::Duration;

use keyroll::facts::{Overlay, Probe};
use keyroll::k3s::token::TokenKind;
use keyroll::model::HostName;
use keyroll::steps::look::Cluster;
use keyroll::template::Vars;
use keyroll::wire::Become;

use crate::steps::{Rig, step};

/// Every kind of fleet that the simulated one can be.
const SHAPES: [&str; 12] = [
    "sim:1+1",
    "sim:3+1",
    "sim:1+1?datastore=etcd",
    "sim:2+1?datastore=external",
    "sim:3+0?topology=split",
    "sim:3+1?agent-token=separate",
    "sim:1+1?agent-token=separate",
    "sim:3+0?surface=nothing",
    "sim:3+0?surface=token-file",
    "sim:1+1?surface=argument",
    "sim:3+0?fault=server-1:clock-skew",
    "sim:3+0?fault=server-3:clock-skew",
];

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(work)
}

fn servers(rig: &Rig) -> Vec<HostName> {
    let servers = rig.scope.fleet.servers.iter();
    servers.map(|member| member.name.clone()).collect()
}

/// The servers that are named, the latest passwd first.
async fn named(rig: &Rig) -> Vec<String> {
    rig.scope
        .fleet
        .servers
        .iter()
        .for_each(|server| rig.scope.changed(&server.name));
    let (vars, overlay) = (Vars::default(), Overlay::default());
    let host = &rig.scope.fleet.servers[0].name;
    let probe = Probe::new(host, &Become::Root, &vars, &rig.scope, &overlay);
    let cluster = Cluster::now(&probe, TokenKind::Server).await;
    let running = cluster.servers.iter();
    let running = running.filter(|server| server.seen.passwd_times().is_some());
    assert_eq!(running.count(), rig.scope.fleet.servers.len(), "all run");
    let found = cluster.unsaved().into_iter();
    found
        .map(|(server, _)| server.seen.host.to_string())
        .collect()
}

async fn bring(rig: &Rig, host: &HostName, words: &str) {
    rig.bring(
        host,
        &step(&serde_yaml::from_str(words).unwrap()),
        usize::MAX,
    )
    .await;
}

async fn rotate(rig: &Rig) {
    for host in &servers(rig) {
        bring(rig, host, "k3s_token: { state: staged }").await;
    }
    bring(rig, &servers(rig)[0], "k3s_token: { state: rotated }").await;
}

#[test]
fn no_healthy_fleet_is_named_before_in_and_after_a_rotation() {
    for fleet in SHAPES {
        block_on(async {
            let rig = Rig::new(fleet, true);
            assert!(named(&rig).await.is_empty(), "{fleet}: fresh");
            rotate(&rig).await;
            assert!(named(&rig).await.is_empty(), "{fleet}: rotated");
            for host in &servers(&rig) {
                bring(&rig, host, "k3s_restart: {}").await;
                assert!(named(&rig).await.is_empty(), "{fleet}: {host} restarted");
            }
            for host in &servers(&rig) {
                rig.sim.with(|fleet| fleet.reboot_now(host));
                rig.clock.sleep(Duration::from_mins(3)).await;
                assert!(named(&rig).await.is_empty(), "{fleet}: {host} rebooted");
            }
        });
    }
}

#[test]
fn a_fleet_that_was_rolled_back_is_not_named() {
    for fleet in SHAPES {
        block_on(async {
            let rig = Rig::new(fleet, true);
            rotate(&rig).await;
            let first = &servers(&rig)[0];
            bring(&rig, first, "k3s_token: { state: rolled_back }").await;
            assert!(named(&rig).await.is_empty(), "{fleet}");
        });
    }
}

/// Gives a server an agent token and restarts it, as people do.
async fn agent_token(rig: &Rig, host: &HostName) {
    let path = "/etc/rancher/k3s/config.yaml";
    let text = rig.read(host, path).await + "agent-token: agentsecret1agentsecret1agentsec\n";
    rig.write(host, path, &text).await;
    restart(rig, host).await;
}

async fn restart(rig: &Rig, host: &HostName) {
    rig.sim.with(|fleet| fleet.reboot_now(host));
    rig.clock.sleep(Duration::from_mins(3)).await;
}

#[test]
fn a_new_agent_token_is_named_until_a_rotate_saves_it() {
    block_on(async {
        let rig = Rig::new("sim:3+1", true);
        for host in &servers(&rig) {
            agent_token(&rig, host).await;
        }
        assert_eq!(named(&rig).await, ["server-3", "server-2", "server-1"]);
        rotate(&rig).await;
        assert!(named(&rig).await.is_empty());
    });
}

#[test]
fn what_was_saved_after_the_first_server_took_it_is_not_named() {
    block_on(async {
        let rig = Rig::new("sim:3+1", true);
        let hosts = servers(&rig);
        agent_token(&rig, &hosts[0]).await;
        assert_eq!(named(&rig).await, ["server-1"]);
        rotate(&rig).await;
        for host in &hosts[1..] {
            agent_token(&rig, host).await;
        }
        assert!(named(&rig).await.is_empty());
    });
}
