//! Hosts with real systemd and sshd, each set up by another installer: seen as they are, rotated to the byte, searched
//! for what was left behind, or refused and left alone.

mod leftovers;
mod rig;

use std::collections::BTreeMap;

use keyroll::sim::dress;
use serde_json::Value;

use crate::dress::Expected;
use crate::ssh_hosts::Lab;
use crate::ssh_rig::cannot;
use rig::{Held, Rig};

const OLD: &str = "01d01d01d01d01d01d01d01d01d01d0f";
const NEW: &str = "0eb0eb0eb0eb0eb0eb0eb0eb0eb0eb0f";
const SERVERS: usize = 3;
const STORE: &str = "/nix/store";

/// The same file after a rotation: other bytes where the token was, and readable for its owner alone.
fn rotated(held: &Held) -> Held {
    let text = String::from_utf8_lossy(&held.text).into_owned();
    if !text.contains(OLD) {
        return held.clone();
    }
    // Plain YAML gets quotes, so that no token is ever read as a number.
    let text = text.replace(&format!("token: {OLD}"), &format!("token: \"{NEW}\""));
    Held {
        owner: held.owner,
        mode: held.mode & !0o177,
        text: text.replace(OLD, NEW).into_bytes(),
    }
}

/// What `where` must say of a host that an installer has set up.
fn expected(host: &str, installer: &str) -> (crate::dress::Surface, Vec<String>) {
    let dress = dress::Dress::named(installer).unwrap();
    let expected: Expected = serde_yaml::from_str(dress.expected).unwrap();
    let surface = match host[1..].parse::<usize>().unwrap() {
        1 => expected.server,
        number if number <= SERVERS => expected.joiner,
        _ => expected.agent,
    };
    (surface, expected.refused)
}

/// `narrowed`: after a rotation nobody else reads a surface.
fn assert_seen(rows: &BTreeMap<String, Value>, dressed: &[(String, &str)], narrowed: bool) {
    for (host, installer) in dressed {
        let (mut surface, refused) = expected(host, installer);
        let (row, mode) = (&rows[host], u32::from_str_radix(&surface.mode, 8).unwrap());
        let announced = row["notes"]
            .as_array()
            .unwrap()
            .iter()
            .any(|note| note["name"] == "others-can-read");
        if narrowed {
            surface.mode = format!("{:04o}", mode & 0o600);
        }
        // A rotation says before what it will narrow.
        let will_narrow = !narrowed && mode & 0o077 != 0 && !surface.file.starts_with(STORE);
        assert_eq!(announced, will_narrow, "{host} {installer}: {row}");
        let token = &row["token"];
        let found = crate::dress::Surface {
            place: token["place"].as_str().unwrap().to_owned(),
            file: token["file"].as_str().unwrap().to_owned(),
            line: usize::try_from(token["line"].as_u64().unwrap()).unwrap(),
            form: token["form"].as_str().unwrap().to_owned(),
            mode: token["mode"].as_str().unwrap().to_owned(),
        };
        assert_eq!(found, surface, "{host} {installer}");
        assert_eq!(
            token["token"], "A",
            "{host} {installer}: all have one token"
        );
        let refusals = row["refusals"].as_array().unwrap().iter();
        let refusals: Vec<&str> = refusals.map(|it| it["name"].as_str().unwrap()).collect();
        assert_eq!(refusals, refused, "{host} {installer}");
    }
}

fn differences(
    expected: &BTreeMap<(String, String), Held>,
    found: &BTreeMap<(String, String), Held>,
) -> Vec<String> {
    let shown = |held: Option<&Held>| {
        held.map(|it| {
            (
                it.owner,
                it.mode,
                String::from_utf8_lossy(&it.text).into_owned(),
            )
        })
    };
    let keys: std::collections::BTreeSet<_> = expected.keys().chain(found.keys()).collect();
    let differs = keys
        .into_iter()
        .filter(|key| expected.get(*key) != found.get(*key));
    differs
        .map(|key| {
            format!(
                "{key:?}: expected {:?}, found {:?}",
                shown(expected.get(key)),
                shown(found.get(key))
            )
        })
        .collect()
}

#[test]
fn hosts_of_every_installer_are_rotated_to_the_byte_or_left_alone() {
    const TEST: &str = "hosts_of_every_installer_are_rotated_to_the_byte_or_left_alone";
    let Some(standin) = option_env!("CARGO_BIN_EXE_k3s-standin") else {
        return cannot(TEST, "it was built without --features standin");
    };
    let all: Vec<&str> = dress::ALL
        .iter()
        .filter(|dress| dress.is_editable)
        .map(|dress| dress.name)
        .collect();
    let hosts = all.len();
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    let lab = match runtime.block_on(Lab::try_raise("keyroll-lab-dress", hosts)) {
        Ok(lab) => lab,
        Err(why) => return cannot(TEST, &why),
    };
    let own = tempfile::Builder::new().prefix("kd").tempdir().unwrap();
    let rig = Rig {
        standin,
        lab,
        own,
        hosts,
    };
    rig.install();
    // The servers are those whose surfaces differ most: their own file, a file that is named, and one of several drop-ins.
    let first = ["techno-tim", "nixos-file", "hand-made"];
    let rest = all.iter().filter(|name| !first.contains(name));
    let names = (1..=hosts).map(|number| format!("h{number}"));
    let dressed: Vec<(String, &str)> = names.zip(first.iter().chain(rest).copied()).collect();
    assert_eq!(dressed.len(), hosts);
    rig.dress(&dressed);
    rotates(&rig, &dressed);
    leftovers::are_found(&rig);
    refuses(&rig, &dressed);
}

fn rotates(rig: &Rig, dressed: &[(String, &str)]) {
    let (exit, rows) = rig.places();
    assert_seen(&rows, dressed, false);
    assert_eq!((exit, rows.len()), (0, rig.hosts));
    let (_, table) = rig.keyroll(&["where"]);
    for (host, row) in &rows {
        let file = row["token"]["file"].as_str().unwrap();
        let line = table
            .lines()
            .find(|line| line.split(' ').next() == Some(host.as_str()));
        let rest = table.split(line.unwrap()).nth(1).unwrap();
        assert!(
            rest.trim_start().starts_with("from") && rest.lines().nth(1).unwrap().contains(file),
            "{table}"
        );
    }
    let counted = format!(
        "{0} hosts: {0} resolved, 0 refused, 0 unreachable",
        rig.hosts
    );
    assert!(table.contains(&counted), "{table}");

    let before = rig.files();
    let (exit, said) = rig.rotate();
    assert_eq!(exit, 0, "{said}");
    let proven = format!(
        "proven: the new token is accepted and the old one refused by each of {SERVERS} servers; {} agents are configured with a token that is accepted",
        rig.hosts - SERVERS
    );
    assert!(
        said.contains(&proven) && said.contains("proof: green"),
        "{said}"
    );
    let expected: BTreeMap<_, _> = before
        .iter()
        .map(|(key, held)| (key.clone(), rotated(held)))
        .collect();
    let held = before
        .iter()
        .filter(|(_, held)| String::from_utf8_lossy(&held.text).contains(OLD));
    // Each host has a surface, each server its own file beside it, and one of those is its surface.
    assert!(held.count() >= rig.hosts + SERVERS - 1);
    let after = rig.files();
    assert_eq!(differences(&expected, &after), [""; 0]);

    let (exit, rows) = rig.places();
    assert_seen(&rows, dressed, true);
    assert_eq!(exit, 0);
}

/// Files that others own are shown with what to do there; nothing is rotated, nothing changes.
fn refuses(rig: &Rig, dressed: &[(String, &str)]) {
    rig.keep(&rig.lab.file("clusters/dress/token"), NEW);
    let mut dressed = dressed.to_vec();
    let owned: Vec<(String, &str)> = [(3, "rancher"), (4, "nixos"), (5, "nixos-store")]
        .map(|(number, name)| (format!("h{number}"), name))
        .to_vec();
    rig.dress(&owned);
    dressed.retain(|(host, _)| owned.iter().all(|(other, _)| other != host));
    rig.keep(&rig.file("new"), OLD);
    let before = rig.files();
    let secrets = || {
        rig.script(
            "lab.sh",
            &[
                "in",
                "h4",
                "sh",
                "-c",
                "stat -c '%a %Y %Z' /run/secrets/k3s-token; cat /run/secrets/k3s-token",
            ],
            "",
        )
    };
    let secret = secrets();
    let (exit, rows) = rig.places();
    assert_eq!(exit, 4);
    assert_seen(&rows, &owned, false);
    assert_seen(&rows, &dressed, true);
    let (exit, said) = rig.rotate();
    assert_eq!(exit, 4, "{said}");
    for name in [
        "owned-by-rancher",
        "not-durable",
        "in-nix-store",
        "services.k3s.tokenFile",
    ] {
        assert!(said.contains(name), "{name}: {said}");
    }
    assert_eq!(differences(&before, &rig.files()), [""; 0]);
    assert_eq!(secrets(), secret);
}
