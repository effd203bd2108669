//! Playbooks and inventories, good and bad, as files: what a person is told of each stands beside it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use keyroll::inventory::{self, Inventory};
use keyroll::plan::{Request, build, draw};
use keyroll::playbook;
use keyroll::source::{Look, Problems};

const FLEET: &str = "tests/books/fleet.yml";

/// Every case of a folder, by path.
fn cases(folder: &str) -> Vec<PathBuf> {
    let root = Path::new("tests/books").join(folder);
    let entries = std::fs::read_dir(&root).expect("a folder of cases");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.retain(|path| path.is_file() && path.extension().is_some_and(|e| e != "snap"));
    paths.sort();
    paths
}

/// Compares what is told of each case with what stands beside it, and finds expectations without a case.
fn check(folder: &str, told: impl Fn(&str) -> String) -> usize {
    let cases = cases(folder);
    let mut names = BTreeSet::new();
    for path in &cases {
        let name = path
            .file_name()
            .and_then(|n| n.to_str())
            .expect("a name")
            .to_owned();
        let text = told(path.to_str().expect("a path"));
        insta::with_settings!({
            snapshot_path => Path::new("../books").join(folder),
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, { insta::assert_snapshot!(name.as_str(), text); });
        names.insert(format!("{name}.snap"));
    }
    let root = Path::new("tests/books").join(folder);
    for entry in std::fs::read_dir(root).expect("a folder of cases") {
        let name = entry
            .expect("an entry")
            .file_name()
            .into_string()
            .expect("a name");
        assert!(
            !name.ends_with(".snap") || names.contains(&name),
            "{name} has no case"
        );
    }
    cases.len()
}

fn shown(problems: &Problems) -> String {
    problems.render(Look::default())
}

fn fleet() -> Inventory {
    inventory::read(FLEET).expect("the fleet of the cases")
}

fn mistakes_of_playbook(path: &str) -> Problems {
    match playbook::read(path) {
        Ok(book) => playbook::lint(&book, &fleet()),
        Err(problems) => problems,
    }
}

#[test]
fn every_bad_playbook_is_told_what_is_wrong_and_where() {
    let count = check("playbooks/bad", |path| {
        let problems = mistakes_of_playbook(path);
        assert!(problems.errors() > 0, "{path} has no mistake");
        for problem in problems.iter() {
            assert!(
                problem.position().is_some(),
                "{path}: {problem} has no place"
            );
            assert!(problem.help.is_some(), "{path}: {problem} has no help");
        }
        shown(&problems)
    });
    assert!(count >= 40, "{count} cases");
}

#[test]
fn every_good_playbook_becomes_a_plan() {
    check("playbooks/good", |path| {
        let book = playbook::read(path).unwrap_or_else(|problems| panic!("{}", shown(&problems)));
        let plan = build(&book, &fleet(), &Request::default())
            .unwrap_or_else(|problems| panic!("{}", shown(&problems)));
        draw(&plan)
    });
}

#[test]
fn every_bad_inventory_is_told_what_is_wrong_and_where() {
    check("inventories/bad", |path| {
        let problems = inventory::read(path).expect_err(path);
        for problem in problems.iter() {
            assert!(
                problem.position().is_some(),
                "{path}: {problem} has no place"
            );
            assert!(problem.help.is_some(), "{path}: {problem} has no help");
        }
        shown(&problems)
    });
}

#[test]
fn every_good_inventory_is_understood() {
    check("inventories/good", |path| {
        let inventory =
            inventory::read(path).unwrap_or_else(|problems| panic!("{}", shown(&problems)));
        let mut text = String::new();
        for (group, hosts) in &inventory.groups {
            let hosts: Vec<&str> = hosts.iter().map(keyroll::model::HostName::as_str).collect();
            writeln!(text, "{group}: {}", hosts.join(" ")).expect("a String takes all");
        }
        for (name, host) in &inventory.hosts {
            writeln!(text, "\n{name} {:?}", host.connect).expect("a String takes all");
            for (key, value) in host
                .vars
                .iter()
                .filter(|(k, _)| *k != "groups" && *k != "hostvars")
            {
                let hidden = keyroll::source::is_secret_name(key);
                let value = if hidden {
                    "***".to_owned()
                } else {
                    value.to_string()
                };
                writeln!(text, "  {key}: {value}").expect("a String takes all");
            }
        }
        writeln!(text, "\nsecrets: {}", inventory.secrets().len()).expect("a String takes all");
        text + &inventory.warnings.render(Look::default())
    });
}

#[test]
fn no_expectation_shows_a_secret() {
    for folder in ["playbooks/bad", "inventories/bad", "inventories/good"] {
        for case in cases(folder) {
            let snapshot = PathBuf::from(format!("{}.snap", case.display()));
            let text = std::fs::read_to_string(&snapshot).expect("an expectation");
            assert!(
                !text.contains("hunter"),
                "{} shows a secret",
                snapshot.display()
            );
        }
    }
}
