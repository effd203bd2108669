//! docs/measured.md and the tests of the model stand for each other, row by row.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use crate::architecture::{root, sources};

const PAGE: &str = "docs/measured.md";
const MARK: &str = "/// measured: ";

/// The rows: id, and K3s's own words when the row has any.
fn rows() -> BTreeMap<String, Option<String>> {
    let page = fs::read_to_string(root().join(PAGE)).unwrap();
    let mut rows = BTreeMap::new();
    for line in page.lines().filter(|line| line.starts_with("| `M")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
        let [id, what, words] = cells.as_slice() else {
            panic!("a row has three cells: {line}");
        };
        let bare = |cell: &str| cell.trim_matches([' ', '|']).trim_matches('`').to_owned();
        assert!(!what.trim().is_empty(), "{line}");
        let words = Some(bare(words)).filter(|words| !words.is_empty());
        let again = rows.insert(bare(id), words);
        assert!(again.is_none(), "{line} is there twice");
    }
    rows
}

/// The ids above tests, and the files that name each.
fn named() -> BTreeMap<String, Vec<PathBuf>> {
    let mut named: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for path in ["src", "tests"]
        .iter()
        .flat_map(|top| sources(&root().join(top)))
    {
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for (at, line) in lines.iter().enumerate() {
            let Some(ids) = line.strip_prefix(MARK) else {
                continue;
            };
            let next = lines[at + 1..].iter().find(|line| !line.starts_with("///"));
            let is_test =
                next.is_some_and(|l| l.starts_with("#[test]") || l.starts_with("#[tokio::test"));
            assert!(is_test, "{}: no test stands below `{line}`", path.display());
            for id in ids.split(", ") {
                named.entry(id.to_owned()).or_default().push(path.clone());
            }
        }
    }
    named
}

#[test]
fn every_row_has_a_test_and_every_name_is_a_row() {
    let rows: BTreeSet<String> = rows().into_keys().collect();
    let named: BTreeSet<String> = named().into_keys().collect();
    assert!(rows.len() > 70, "{} rows", rows.len());
    let untested: Vec<&String> = rows.difference(&named).collect();
    assert!(untested.is_empty(), "no test names {untested:?}");
    let unknown: Vec<&String> = named.difference(&rows).collect();
    assert!(unknown.is_empty(), "{PAGE} has no row {unknown:?}");
}

/// A text as it is in a source, without the marks of quoting and of lines that go on.
fn unquoted(text: &str) -> String {
    text.replace("\\\n", "").replace('\\', "")
}

#[test]
fn the_words_of_a_row_stand_in_the_file_of_its_test() {
    let named = named();
    let mut looked = 0;
    for (id, words) in rows() {
        let (Some(words), Some(files)) = (words, named.get(&id)) else {
            continue;
        };
        looked += 1;
        let quotes = |path: &PathBuf| {
            let text = fs::read_to_string(path).unwrap();
            let asserted = text.lines().filter(|line| !line.trim().starts_with("//"));
            let text: String = asserted.flat_map(|line| [line, "\n"]).collect();
            unquoted(&text).contains(&words)
        };
        assert!(files.iter().any(quotes), "no test of {id} quotes `{words}`");
    }
    assert!(looked > 30, "{looked} rows have words");
}
