//! The catalogue's findings over whole fleets: none on healthy ones, each through the program under its own name.

use std::collections::BTreeSet;
use std::process::Output;
use std::time::Duration;

use assert_cmd::Command;
use keyroll::facts::{Overlay, Probe};
use keyroll::model::HostName;
use keyroll::sim::world::Files as _;
use keyroll::steps::findings::{leftovers, why_down};
use keyroll::steps::k3s_preflight::{Aim, Sight, look};
use keyroll::template::Vars;
use keyroll::wire::Become;

use crate::steps::Rig;

const SURFACES: [&str; 6] = [
    "config",
    "drop-in",
    "env",
    "argument",
    "token-file",
    "nothing",
];

const TOPOLOGIES: [&str; 10] = [
    "1+1?",
    "1+0?datastore=etcd&",
    "2+1?datastore=external&",
    "3+1?",
    "3+1?topology=split&",
    "3+1?joins=vip&",
    "2+1?agent-token=separate&",
    "2+1?disable-agent=yes&",
    "1+1?data-dir=/opt/k3s&",
    "1+1?unit=k3s-lab&port=7443&",
];

const SEEDS: u64 = 200;

/// On the model's own time.
fn without_time<T>(work: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build();
    runtime.unwrap().block_on(work)
}

/// Names of everything that is found on any host of a fleet.
fn found(fleet: &str) -> BTreeSet<String> {
    without_time(async {
        let rig = Rig::new(fleet, false);
        let members = rig
            .scope
            .fleet
            .servers
            .iter()
            .chain(&rig.scope.fleet.agents);
        let mut names = BTreeSet::new();
        for member in members {
            names.extend(on_host(&rig, &member.name).await);
        }
        names
    })
}

async fn on_host(rig: &Rig, host: &HostName) -> Vec<String> {
    let (overlay, vars) = (Overlay::default(), Vars::default());
    let probe = Probe::new(host, &Become::Root, &vars, &rig.scope, &overlay);
    let (seen, cluster) = look(&probe).await;
    let (seen, standing) = (seen.unwrap(), cluster.standing.as_ref().unwrap());
    let sight = Sight::take(&probe, &seen, &cluster, Aim::Server)
        .await
        .unwrap();
    let (proposal, mut all) = sight.judge(&probe).await.unwrap();
    all.extend(sight.findings());
    all.extend(why_down(&probe, &seen).await);
    all.extend(leftovers(&probe, &seen, std::slice::from_ref(&standing.datastore)).await);
    let refused = proposal
        .unmet
        .into_iter()
        .map(|unmet| unmet.name.to_owned());
    all.iter()
        .map(|finding| finding.name.to_owned())
        .chain(refused)
        .collect()
}

#[test]
fn healthy_fleets_of_every_shape_give_no_finding() {
    let mut looked_at = 0;
    for (place, topology) in TOPOLOGIES.iter().enumerate() {
        for (number, surface) in SURFACES.iter().enumerate() {
            if topology.contains("split") && *surface == "nothing" {
                // Never up to begin with: who has neither data nor a token does not come back from its second start.
                continue;
            }
            // A token in unit text is what this surface is.
            let mut expected: BTreeSet<String> = match *surface {
                "argument" => ["token-in-unit-file".to_owned()].into(),
                _ => BTreeSet::new(),
            };
            // Two members of etcd want a word of their own.
            if topology.starts_with("2+") && !topology.contains("datastore=external") {
                expected.insert("two-etcd-members".to_owned());
            }
            let shapes = TOPOLOGIES.len() * SURFACES.len();
            let first = (place * SURFACES.len() + number) as u64;
            for seed in (first..SEEDS).step_by(shapes) {
                let fleet = format!("sim:{topology}surface={surface}&seed={seed}");
                assert_eq!(found(&fleet), expected, "{fleet}");
                looked_at += 1;
            }
        }
    }
    assert!(looked_at >= SEEDS - 4, "{looked_at} fleets");
}

/// K3s reads it, whatever keyroll makes of it: it is no copy that was left behind.
#[test]
fn a_token_that_cannot_be_edited_is_named_as_that_alone() {
    const CONFIG: &str = "/etc/rancher/k3s/config.yaml";
    const ENV: &str = "/etc/systemd/system/k3s-agent.service.env";
    let found = without_time(async {
        let rig = Rig::new("sim:1+1", false);
        let agent = HostName::new("agent-1").unwrap();
        rig.sim.with(|fleet| {
            let disk = &mut fleet.host_mut(&agent).unwrap().disk;
            let text = disk.text(ENV).unwrap();
            let (tokens, others): (Vec<&str>, Vec<&str>) = text
                .lines()
                .partition(|line| line.starts_with("K3S_TOKEN="));
            let token = tokens[0]
                .trim_start_matches("K3S_TOKEN=")
                .trim_matches('\'');
            let block = format!("token: &t >-\n  {token}\n");
            disk.write(CONFIG, block.as_bytes(), 0o600).unwrap();
            disk.write(ENV, others.join("\n").as_bytes(), 0o600)
                .unwrap();
        });
        on_host(&rig, &agent).await
    });
    // It was written while K3s runs.
    assert_eq!(found, ["configuration-untried", "token-not-editable"]);
}

fn doctor(args: &[&str]) -> Output {
    let state = tempfile::tempdir().unwrap();
    Command::cargo_bin("keyroll")
        .unwrap()
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("KEYROLL_STATE_DIR", state.path().join("keyroll"))
        .timeout(Duration::from_mins(1))
        .arg("doctor")
        .args(args)
        .output()
        .unwrap()
}

fn names_of(args: &[&str]) -> (i32, BTreeSet<String>) {
    let output = doctor(&[args, &["--json"]].concat());
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let value: serde_json::Value = serde_json::from_str(&said)
        .unwrap_or_else(|_| panic!("{said}{}", String::from_utf8_lossy(&output.stderr)));
    let findings = value["findings"].as_array().unwrap().iter();
    let names = findings
        .map(|it| it["name"].as_str().unwrap().to_owned())
        .collect();
    (output.status.code().unwrap(), names)
}

#[test]
fn doctor_ends_with_the_number_of_what_it_found() {
    let table: &[(&[&str], i32, &[&str])] = &[
        (&[], 0, &[]),
        (&["-i", "sim:1+1"], 0, &[]),
        (&["--hosts", "-i", "sim:3+2"], 0, &[]),
        (
            &["--hosts", "-i", "sim:1+0?surface=argument"],
            0,
            &["token-in-unit-file"],
        ),
        (
            &["--hosts", "-i", "sim:3+1?fault=agent-1:unreachable"],
            7,
            &[],
        ),
        (
            &["--hosts", "-i", "sim:3+1?fault=server-1:disk-full"],
            4,
            &["disk-full", "no-room-for-snapshot"],
        ),
    ];
    for (args, exit, names) in table {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(names_of(args), (*exit, names), "{args:?}");
    }
}

#[test]
fn doctor_says_what_to_do_about_a_host_that_it_has_not_seen() {
    let output = doctor(&["--hosts", "-i", "sim:3+1?fault=agent-1:unreachable"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut lines = said.lines().skip_while(|line| *line != "agent-1").skip(1);
    for begins in ["  unseen  agent-1 cannot be reached", "  next    "] {
        let line = lines.next().unwrap_or_default();
        assert!(
            line.starts_with(begins) && line.len() > begins.len(),
            "{said}"
        );
    }
    assert!(said.contains(", 1 host was not seen\n"), "{said}");
}

/// Each is what is said of a text in `pasted.yml`; that it is, the unit test shows.
#[test]
fn each_flaw_of_what_people_paste_is_in_the_catalogue() {
    #[derive(serde::Deserialize)]
    struct Pasted {
        #[serde(default)]
        flaws: std::collections::BTreeMap<String, String>,
    }
    let text = include_str!("../../src/k3s/token/inspect/tests/pasted.yml");
    let all: Vec<Pasted> = serde_yaml::from_str(text).unwrap();
    let names: std::collections::BTreeSet<&String> =
        all.iter().flat_map(|it| it.flaws.keys()).collect();
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        assert!(keyroll::findings::entry(name).is_some(), "{name}");
    }
}

#[test]
fn each_name_is_explained_and_another_is_not() {
    for entry in keyroll::findings::all() {
        let output = doctor(&["--explain", entry.name]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(0));
        for text in [entry.name, entry.what, entry.why, entry.next] {
            assert!(said.contains(text), "{}: {said}", entry.name);
        }
        if entry.name == "no-unit" {
            break;
        }
    }
    let all = doctor(&["--explain"]);
    let lines = String::from_utf8_lossy(&all.stdout).lines().count();
    assert_eq!(lines, keyroll::findings::all().count());
    let unknown = doctor(&["--explain", "node-token-no-lin"]);
    let said = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert_eq!(unknown.status.code(), Some(2));
    assert!(
        said.contains("did you mean `node-token-no-link`?"),
        "{said}"
    );
}

#[test]
fn the_search_finds_values_on_a_real_host_and_never_prints_them() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    let secret = "canary0123456789abcdef";
    for folder in ["home/op", "data", "etc"] {
        std::fs::create_dir_all(at(folder)).unwrap();
    }
    std::fs::write(at("home/op/a b:3:c"), format!("x\nexport T={secret}\n")).unwrap();
    std::fs::write(at("etc/binary"), format!("\0\u{1}{secret}\0\n")).unwrap();
    std::fs::write(at("etc/clean"), "nothing\n").unwrap();
    std::fs::write(at("data/own"), secret).unwrap();
    std::fs::write(at("etc/huge"), secret.repeat(100_000)).unwrap();
    let places = ["home", "etc", "data", "missing"].map(|name| at(name).display().to_string());
    let search = |most: &str| {
        let output = Command::new("sh")
            .args(["-c", keyroll::k3s::leftovers::SCRIPT, "sh"])
            .args([&at("data").display().to_string(), most, "1024"])
            .args(&places)
            .write_stdin(format!("{secret}\n"))
            .timeout(Duration::from_secs(30))
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!text.contains(secret), "{text}");
        keyroll::k3s::leftovers::Found::parse(&text)
    };
    let found = search("100");
    let mut places: Vec<_> = found
        .copies
        .iter()
        .map(|copy| (copy.path.file_name().unwrap(), copy.line))
        .collect();
    places.sort_unstable();
    assert_eq!(places, [("a b:3:c", 2), ("binary", 0), ("huge", 1)]);
    assert!(found.complete);
    assert!(!search("1").complete);
}
