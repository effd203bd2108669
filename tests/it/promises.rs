//! docs/promises.md names tests that exist.

use std::fs;

use crate::architecture::root;

/// The tests that a row names: file, and the name of a function or a case.
fn named(row: &str) -> Vec<(String, String)> {
    let (_, tests) = row.trim_end_matches(" |").split_once(" | ").unwrap();
    let test = |text: &str| {
        let (file, name) = text.trim_start_matches('`').split_once("`: ").unwrap();
        (file.to_owned(), name.to_owned())
    };
    tests.split("<br>").map(test).collect()
}

fn is_there(file: &str, name: &str) -> bool {
    let text = fs::read_to_string(root().join(file)).unwrap_or_default();
    let is_it = |line: &str| match line.split_once(": ") {
        Some(("- case" | "- scenario", case)) => case.trim_matches(['"', '\'']) == name,
        _ => line
            .trim()
            .trim_start_matches("async ")
            .strip_prefix("fn ")
            .is_some_and(|rest| {
                let end = rest.find('(').unwrap_or(rest.len());
                &rest[..end] == name
            }),
    };
    text.lines().any(is_it)
}

#[test]
fn every_promise_is_shown_by_tests_that_exist() {
    let page = fs::read_to_string(root().join("docs/promises.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| "));
    let rows: Vec<&str> = rows.filter(|line| !line.starts_with("| promise")).collect();
    assert!(rows.len() > 40, "{} promises", rows.len());
    let tests = rows.iter().flat_map(|row| named(row));
    let missing: Vec<_> = tests.filter(|(file, name)| !is_there(file, name)).collect();
    assert!(missing.is_empty(), "there is no such test: {missing:#?}");
}
