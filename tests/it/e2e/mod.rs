//! The end-to-end suite: scenarios as data (`tests/e2e/*.yml`), played by the same runner on the simulated fleet, on lab
//! hosts with the stand-in, and on lab hosts with a real `k3s` where `K3S_BIN` names its folder.
//!
//! `KEYROLL_E2E` takes only scenarios whose name or file has this part, or one of these parts with `|` between them, and
//! with `all` those too that the lab is spared. `KEYROLL_E2E_RESULTS` names a folder that gets a line for each scenario;
//! `tests/run` makes its table of them. `KEYROLL_E2E_LANES=1` plays on one cluster of four lab hosts at a time, not on four.

mod backend;
mod digest;
mod lab;
mod lab_faults;
mod lab_plan;
mod lab_run;
mod look;
mod person;
mod play;
mod results;
mod scenario;
mod secrets;
mod sim;

use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use backend::Backend;
use lab::Labs;
use play::Play;
use results::{Outcome, Results};
use scenario::{Scenario, Stage};

use crate::ssh_rig::cannot;

pub(crate) use results::wish;

/// Scenarios that a stage can play; what it cannot is written down at once.
fn playable(stage: Stage, results: &Results) -> Vec<Scenario> {
    let only = results::wish("KEYROLL_E2E").unwrap_or_default();
    let all = scenario::all().into_iter();
    let wanted = all.filter(|scenario| {
        let has = |part| scenario.name.contains(part) || scenario.place.contains(part);
        only == "all" || only.split('|').any(has)
    });
    let (cannot, can): (Vec<_>, Vec<_>) =
        wanted.partition(|scenario| scenario.cannot.contains_key(&stage));
    for scenario in cannot {
        let why = scenario.cannot[&stage].clone();
        results.write(&scenario, &Outcome::Cannot(why));
    }
    let (lacking, can): (Vec<_>, Vec<_>) = can
        .into_iter()
        .partition(|scenario| lab::lacks(stage, scenario).is_some());
    for scenario in lacking {
        let why = lab::lacks(stage, &scenario).unwrap();
        results.write(&scenario, &Outcome::NotRun(why));
    }
    can
}

/// Plays on one cluster after another until none is left; what failed.
fn lane<B: Backend>(
    queue: &Mutex<Vec<Scenario>>,
    results: &Results,
    raise: impl Fn(&Scenario) -> B,
) -> Vec<String> {
    let mut failed = Vec::new();
    loop {
        let next = queue.lock().unwrap().pop();
        let Some(scenario) = next else { return failed };
        let began = std::time::Instant::now();
        let report = catch_unwind(AssertUnwindSafe(|| play(&scenario, &raise)));
        let report = report.unwrap_or_else(|panic| Err(words(panic.as_ref())));
        let outcome = match report {
            Ok(()) => Outcome::Fine(began.elapsed()),
            Err(report) => {
                let report = format!("{}\n   {}: {report}\n", scenario.name, scenario.place);
                // At once: the others may take long.
                let said = std::io::stderr().write_all(report.as_bytes());
                said.unwrap();
                failed.push(report);
                Outcome::Failed
            }
        };
        results.write(&scenario, &outcome);
    }
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    text.unwrap_or_else(|| "it panicked".to_owned())
}

fn play<B: Backend>(scenario: &Scenario, raise: &impl Fn(&Scenario) -> B) -> Result<(), String> {
    let backend = raise(scenario);
    let mut play = Play::new(&backend);
    let played = catch_unwind(AssertUnwindSafe(|| play.all(scenario)));
    let played = played.unwrap_or_else(|panic| Err(words(panic.as_ref())));
    let said = std::mem::take(&mut play.said);
    played.map_err(|wrong| {
        let said = said.replace('\n', "\n   | ");
        format!("{wrong}\n   | {said}")
    })
}

fn is_fine(stage: Stage, failed: &[String]) {
    assert!(
        failed.is_empty(),
        "{} scenarios failed on {}:\n\n{}",
        failed.len(),
        stage.name(),
        failed.join("\n\n")
    );
}

#[test]
fn scenarios_on_the_simulated_fleet() {
    let results = Results::of(Stage::Sim);
    let queue = Mutex::new(playable(Stage::Sim, &results));
    let raise = |scenario: &Scenario| sim::Sim::raise(&scenario.cluster);
    is_fine(Stage::Sim, &lane(&queue, &results, raise));
}

#[test]
fn scenarios_on_lab_hosts_with_the_standin() {
    in_the_lab(Stage::Standin, None);
}

#[test]
fn scenarios_on_lab_hosts_with_a_real_k3s() {
    match results::wish("K3S_BIN") {
        Some(folder) => in_the_lab(Stage::Real, Some(folder)),
        None => Results::of(Stage::Real).not_run("K3S_BIN names no folder with a k3s"),
    }
}

fn in_the_lab(stage: Stage, real: Option<String>) {
    let results = Results::of(stage);
    let labs = match Labs::raise(stage, real) {
        Ok(labs) => labs,
        Err(why) => {
            results.not_run(&why);
            return cannot(stage.name(), &why);
        }
    };
    let queue = playable(stage, &results);
    let queue = Mutex::new(queue.into_iter().rev().collect());
    let failed = std::thread::scope(|scope| {
        let lanes: Vec<_> = labs
            .lanes()
            .map(|lane_of| {
                let (queue, results, labs) = (&queue, &results, &labs);
                scope.spawn(move || {
                    lane(queue, results, |scenario| {
                        lab::Cluster::raise(labs, lane_of, scenario)
                    })
                })
            })
            .collect();
        let failed = lanes.into_iter().map(|lane| lane.join().unwrap());
        failed.flatten().collect::<Vec<String>>()
    });
    is_fine(stage, &failed);
}

#[test]
fn every_fault_of_the_catalogue_is_in_a_scenario() {
    let all = scenario::all();
    let faults = all.iter().flat_map(|scenario| &scenario.acts);
    let faults = faults.filter_map(|act| act.fault.as_ref());
    let faults: Vec<&String> = faults.flat_map(|faults| faults.values()).collect();
    let known = keyroll::sim::fault::Fault::CATALOGUE.iter();
    let left: Vec<&str> = known
        .map(|(_, name, _)| *name)
        .filter(|name| !faults.iter().any(|fault| fault == name))
        .collect();
    assert!(left.is_empty(), "in no scenario: {left:?}");
    assert!(all.len() >= 35, "only {} scenarios", all.len());
}
