//! No false alarm: a thousand fleets of every shape, before and after a rotation, have nothing said against them.

use std::fmt::Write as _;

use keyroll::model::HostName;
use keyroll::steps::{Proposal, Step};
use keyroll::template::Vars;
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

use crate::steps::{Rig, step};

/// How many fleets; each quarter is a test of its own, so that they share the machine's cores.
const FLEETS: u64 = 1000;
const QUARTERS: u64 = 4;

/// A small fleet of any shape.
fn fleet(seed: u64) -> String {
    let mut bytes = [0_u8; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut dice = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut one_of = |of: u32| dice.next_u32() % of;
    let servers = if one_of(8) == 0 { 3 } else { 1 };
    let agents = [0, 0, 0, 0, 1, 1, 1, 2][one_of(8) as usize];
    let mut text = format!("sim:{servers}+{agents}?seed={seed}");
    let datastore = match (servers, one_of(4)) {
        (1, 0) => "&datastore=etcd",
        (_, 1) => "&datastore=external",
        (3, 2) => "&topology=split",
        _ => "",
    };
    // The model cannot raise servers without etcd and without a configured token.
    let surfaces = if datastore.contains("split") { 5 } else { 6 };
    let surface = [
        "config",
        "drop-in",
        "env",
        "argument",
        "token-file",
        "nothing",
    ][one_of(surfaces) as usize];
    let versions = ["", "", "", "&k3s=v1.32.4+k3s1", "&k3s=v1.28.8+k3s1"];
    let version = versions[one_of(5) as usize];
    write!(text, "{datastore}&surface={surface}{version}").unwrap();
    for (part, odds) in [
        ("&agent-token=separate", 5),
        ("&disable-agent=yes", 8),
        ("&data-dir=/srv/k3s", 4),
        ("&unit=k3s-blue", 5),
        ("&port=7443", 5),
    ] {
        if one_of(odds) == 0 {
            text.push_str(part);
        }
    }
    text
}

fn parse(text: &str) -> Step {
    step(&serde_yaml::from_str(text).unwrap())
}

/// What is wrong with a healthy fleet, as preflight and proof see it.
async fn alarms(fleet: &str) -> Vec<String> {
    let mut rig = Rig::new(fleet, true);
    let names = |members: &[keyroll::facts::Member]| -> Vec<HostName> {
        members.iter().map(|member| member.name.clone()).collect()
    };
    let servers = names(&rig.scope.fleet.servers);
    let agents = names(&rig.scope.fleet.agents);
    let mut wrong = Vec::new();
    for host in servers.iter().chain(&agents) {
        let seen = ask(&rig, host, "k3s_preflight: {}").await;
        wrong.extend(said(&seen, host));
    }
    for host in &servers {
        bring(&rig, host, "k3s_token: { state: staged }").await;
    }
    bring(&rig, &servers[0], "k3s_token: { state: rotated }").await;
    for host in &servers {
        bring(&rig, host, "k3s_token: { state: active }").await;
    }
    for host in &servers {
        bring(&rig, host, "k3s_restart: {}").await;
    }
    for host in &agents {
        bring(&rig, host, "k3s_token: { state: active }").await;
        bring(&rig, host, "k3s_restart: {}").await;
    }
    rig.scope.options.given = None;
    rig.scope.options.words.proof_only = true;
    let separate = fleet.contains("agent-token");
    for host in servers.iter().chain(&agents) {
        let seen = ask(&rig, host, "k3s_prove: { forget: false }").await;
        wrong.extend(said(&seen, host));
        let own = |doubt: &&String| !(separate && doubt.contains("a token of its own"));
        wrong.extend(seen.doubts.iter().filter(own).cloned());
    }
    wrong
}

async fn bring(rig: &Rig, host: &HostName, words: &str) {
    rig.bring(host, &parse(words), usize::MAX).await;
}

async fn ask(rig: &Rig, host: &HostName, words: &str) -> Proposal {
    rig.propose(host, &parse(words), &Vars::default())
        .await
        .unwrap_or_else(|error| panic!("{host}: {words}: {error}"))
}

fn said(seen: &Proposal, host: &HostName) -> Vec<String> {
    let unmet = seen
        .unmet
        .iter()
        .map(|unmet| format!("{host}: {}: {}", unmet.name, unmet.what));
    let ops = seen.ops.iter().map(|op| format!("{host}: {}", op.why));
    unmet.chain(ops).collect()
}

fn quarter(number: u64) {
    let mut wrong = Vec::new();
    for seed in (1..=FLEETS).filter(|seed| seed % QUARTERS == number) {
        let fleet = fleet(seed);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        let alarms = runtime.block_on(alarms(&fleet));
        wrong.extend(alarms.into_iter().map(|alarm| format!("{fleet}: {alarm}")));
    }
    assert!(
        wrong.is_empty(),
        "{} alarms:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn healthy_fleets_are_not_alarmed_about_1() {
    quarter(0);
}

#[test]
fn healthy_fleets_are_not_alarmed_about_2() {
    quarter(1);
}

#[test]
fn healthy_fleets_are_not_alarmed_about_3() {
    quarter(2);
}

#[test]
fn healthy_fleets_are_not_alarmed_about_4() {
    quarter(3);
}
