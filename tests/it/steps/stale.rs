//! A proven fleet is green, and red under the right name as soon as one host of it is stale in any of many ways:
//! `tests/stale/ways.yml` lists them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use keyroll::model::{HostName, RunId};
use keyroll::template::Vars;
use serde::Deserialize;

use super::case::Before;
use super::{Rig, runtime, step};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Way {
    #[serde(rename = "way")]
    sentence: String,
    #[serde(default = "usual")]
    fleet: String,
    #[serde(default)]
    deeds: Vec<Before>,
    #[serde(default)]
    without: Vec<String>,
    red: BTreeMap<String, BTreeSet<String>>,
    #[serde(default)]
    says: Vec<String>,
}

fn usual() -> String {
    "sim:3+2".to_owned()
}

/// What is said against each host; nothing where nothing is.
type Red = BTreeMap<String, BTreeSet<String>>;

fn hosts(rig: &Rig) -> Vec<HostName> {
    let fleet = &rig.scope.fleet;
    let members = fleet.servers.iter().chain(&fleet.agents);
    members.map(|member| member.name.clone()).collect()
}

/// A fleet whose rotation is over.
async fn proven(fleet: &str) -> Rig {
    let mut rig = Rig::new(fleet, true);
    for (on, words) in [
        ("servers", "k3s_token: { state: staged }"),
        ("server-1", "k3s_token: { state: rotated }"),
        ("servers", "k3s_token: { state: active }"),
        ("servers", "k3s_restart: {}"),
        ("agents", "k3s_token: { state: active }"),
        ("agents", "k3s_restart: {}"),
        ("server-1", "k3s_prove: {}"),
    ] {
        for host in rig.hosts(on) {
            let step = step(&serde_yaml::from_str(words).unwrap());
            rig.bring(&host, &step, usize::MAX).await;
        }
    }
    rig.clock.sleep(Duration::from_mins(2)).await;
    let options = &mut rig.scope.options;
    options.given = None;
    options.run = RunId("another".to_owned());
    options.words.proof_only = true;
    options.words.old = Some(rig.sim.with(|fleet| fleet.first_secret()));
    rig
}

/// What the proof of each host is red with; a doubt is none of it, and there may be none.
async fn red(rig: &Rig) -> (Red, String) {
    let (mut red, mut said) = (Red::new(), String::new());
    for host in hosts(rig) {
        rig.scope.changed(&host);
    }
    for host in hosts(rig) {
        let words = serde_yaml::from_str("k3s_prove: { forget: false }").unwrap();
        let seen = rig.propose(&host, &step(&words), &Vars::default()).await;
        let seen = seen.unwrap_or_else(|error| panic!("{host}: {error}"));
        let odd = seen.unmet.iter().find(|unmet| !unmet.red);
        assert!(odd.is_none(), "{host}: it is not red: {odd:?}");
        for unmet in &seen.unmet {
            for words in [&unmet.what, &unmet.next] {
                said.push_str(words);
                said.push('\n');
            }
        }
        let names: BTreeSet<String> = seen
            .unmet
            .iter()
            .map(|unmet| unmet.name.to_owned())
            .collect();
        // What it still waits for in vain is red as well.
        let waits = seen
            .ops
            .iter()
            .map(|op| format!("waits in vain: {}", op.why));
        let doubts = seen.doubts.iter().map(|doubt| format!("doubts: {doubt}"));
        let names: BTreeSet<String> = names.into_iter().chain(waits).chain(doubts).collect();
        if !names.is_empty() {
            red.insert(host.to_string(), names);
        }
    }
    (red, said)
}

#[test]
fn a_proven_fleet_is_green_and_red_in_each_way_in_which_one_host_is_stale() {
    let text = include_str!("../../stale/ways.yml");
    let ways: Vec<Way> = serde_yaml::from_str(text).unwrap();
    assert!(ways.len() >= 24, "{} ways", ways.len());
    let mut wrong = Vec::new();
    for way in &ways {
        let (seen, words) = runtime().block_on(async {
            let mut rig = proven(&way.fleet).await;
            let before = red(&rig).await;
            assert_eq!(before.0, Red::new(), "before: {}", way.sentence);
            for deed in &way.deeds {
                rig.before(deed).await;
            }
            rig.clock.sleep(Duration::from_mins(2)).await;
            let fleet = &mut rig.scope.fleet;
            for members in [&mut fleet.servers, &mut fleet.agents] {
                members.retain(|member| !way.without.contains(&member.name.to_string()));
            }
            red(&rig).await
        });
        for part in way.says.iter().filter(|part| !words.contains(*part)) {
            wrong.push(format!("{}: nobody says {part:?}: {words}", way.sentence));
        }
        if seen != way.red {
            wrong.push(format!("{}: {seen:?}, not {:?}", way.sentence, way.red));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
