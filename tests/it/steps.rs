//! Data tests of steps: a simulated fleet in some state → what a step proposes there.
//!
//! Each file below `tests/steps/<step>/` is a list of cases:
//! `case` (a sentence), `fleet` (as for `-i`), `before` (what happened so far), `on` (host), `step` (as in a playbook),
//! then what is expected: `ops` (`host verb subject`), `unmet` (names), `notes` and `doubts` (parts of sentences) and
//! `silent` (parts that no note has); each empty when absent.

mod case;
mod compare;
mod custody;
mod files;
mod rig;
mod stale;

use std::collections::BTreeMap;
use std::path::PathBuf;

use keyroll::model::HostName;
use keyroll::steps::Step;
use keyroll::template::Vars;

use case::Case;
use compare::compare;

pub(crate) use rig::Rig;

pub(crate) fn step(words: &BTreeMap<String, serde_yaml::Value>) -> Step {
    let (name, arguments) = words.iter().next().unwrap();
    Step::arguments(name, arguments.clone())
        .unwrap_or_else(|| panic!("no step is called {name}"))
        .unwrap()
}

/// Its clock moves when nothing else is to be done.
fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().start_paused(true).build().unwrap()
}

fn run_case(case: &Case) -> Vec<String> {
    runtime().block_on(async {
        let mut rig = Rig::of(case);
        for before in &case.before {
            rig.before(before).await;
        }
        rig.ask_as(case);
        let host = HostName::new(&case.on).unwrap();
        let changes = rig.sim.changes();
        let proposal = match rig
            .propose(&host, &step(&case.step), &Vars::new(case.vars.clone()))
            .await
        {
            Ok(proposal) => proposal,
            Err(error) => {
                let expected = case
                    .error
                    .as_ref()
                    .is_some_and(|part| error.to_string().contains(part));
                return if expected {
                    Vec::new()
                } else {
                    vec![format!("it cannot look: {error}")]
                };
            }
        };
        let wrong = compare(case, &proposal);
        assert_eq!(
            rig.sim.changes(),
            changes,
            "{}: looking changed something",
            case.sentence
        );
        wrong
    })
}

#[test]
fn steps_propose_what_their_cases_say() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/steps");
    let (mut count, mut wrong) = (0, Vec::new());
    for folder in std::fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        for file in std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
        {
            let text = std::fs::read_to_string(&file).unwrap();
            let cases: Vec<Case> = serde_yaml::from_str(&text)
                .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            for case in &cases {
                count += 1;
                let said = run_case(case);
                if !said.is_empty() {
                    wrong.push(format!(
                        "{}: {}\n{}",
                        file.strip_prefix(&root).unwrap().display(),
                        case.sentence,
                        said.join("\n")
                    ));
                }
            }
        }
    }
    assert!(count >= 20, "only {count} cases were found");
    assert!(
        wrong.is_empty(),
        "{} of {count} cases:\n\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
}
