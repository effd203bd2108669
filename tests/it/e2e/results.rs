//! What became of each scenario, as lines for `tests/run`.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use super::scenario::{Scenario, Stage, all};

/// What became of a scenario.
pub(super) enum Outcome {
    Fine(Duration),
    Failed,
    /// It says itself that this stage cannot play it.
    Cannot(String),
    /// The stage is not there.
    NotRun(String),
}

/// One file a stage, when somebody wants to know.
pub(super) struct Results(Option<PathBuf>);

impl Results {
    pub(super) fn of(stage: Stage) -> Self {
        let folder = wish("KEYROLL_E2E_RESULTS").map(PathBuf::from);
        Self(folder.map(|folder| folder.join(stage.name())))
    }

    pub(super) fn write(&self, scenario: &Scenario, outcome: &Outcome) {
        let word = match outcome {
            Outcome::Fine(took) => format!("ok, {} s", took.as_secs()),
            Outcome::Failed => "FAILED".to_owned(),
            Outcome::Cannot(why) => format!("cannot: {why}"),
            Outcome::NotRun(why) => format!("not run: {why}"),
        };
        let line = format!("{}\t{}\t{word}\n", scenario.place, scenario.name);
        let Some(path) = &self.0 else { return };
        let file = OpenOptions::new().create(true).append(true).open(path);
        file.unwrap().write_all(line.as_bytes()).unwrap();
    }

    pub(super) fn not_run(&self, why: &str) {
        for scenario in all() {
            self.write(&scenario, &Outcome::NotRun(why.to_owned()));
        }
    }
}

/// A variable of whoever runs the tests; an empty one is none.
#[expect(
    clippy::disallowed_methods,
    reason = "tests are started by cargo, not by the command line"
)]
pub(crate) fn wish(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
