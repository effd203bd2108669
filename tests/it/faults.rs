//! Every fault of the catalogue, met by the built-in rotation: how the run ends, and what a person is told.
//!
//! `tests/faults/cases.yml` is a list: `fault` (as in a `sim:` string), `exit`, `says` (parts of what is shown). A run that does not end well names the next command.

use std::collections::BTreeSet;
use std::time::Duration;

use assert_cmd::Command;
use keyroll::sim::fault::Fault;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    fault: String,
    exit: i32,
    says: Vec<String>,
}

fn cases() -> Vec<Case> {
    serde_yaml::from_str(include_str!("../faults/cases.yml")).unwrap()
}

#[test]
fn every_fault_of_the_catalogue_has_a_case() {
    let met: BTreeSet<String> = cases()
        .iter()
        .map(|case| case.fault.split_once(':').unwrap().1.to_owned())
        .collect();
    let known = Fault::CATALOGUE.iter().map(|(_, name, _)| *name);
    let missing: Vec<&str> = known.filter(|name| !met.contains(*name)).collect();
    assert!(missing.is_empty(), "no case meets {missing:?}");
}

#[test]
fn every_fault_ends_with_a_number_and_a_message() {
    let mut wrong = Vec::new();
    for case in cases() {
        let state = tempfile::tempdir().unwrap();
        let fleet = format!("sim:3+2?fault={}", case.fault);
        let output = Command::cargo_bin("keyroll")
            .unwrap()
            .args(["run", "@rotate-token", "-i", &fleet])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("KEYROLL_STATE_DIR", state.path())
            .timeout(Duration::from_mins(2))
            .output()
            .unwrap();
        let told = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
        let told = told.concat();
        if output.status.code() != Some(case.exit) {
            wrong.push(format!("{}: {:?}\n{told}", case.fault, output.status));
        }
        let mut says = case.says;
        if case.exit != 0 {
            says.push("next: ".to_owned());
        }
        for part in says.iter().filter(|part| !told.contains(part.as_str())) {
            wrong.push(format!("{}: `{part}` is not said:\n{told}", case.fault));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn a_fault_that_is_not_known_is_pointed_at() {
    let output = Command::cargo_bin("keyroll")
        .unwrap()
        .args(["run", "@rotate-token", "-i", "sim:3+2?fault=agent-1:moon"])
        .env_clear()
        .timeout(Duration::from_mins(1))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let wanted = "error: there is no fault `moon`\n  sim:3+2?fault=agent-1:moon\n                        ^^^^\n";
    assert!(told.contains(wanted), "{told}");
    assert!(
        told.contains("There are: never-returns, dies-in-settle"),
        "{told}"
    );
    assert_eq!(output.status.code(), Some(2));
}
