//! ARCHITECTURE.md is true: its import table holds, and its paths exist.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Modules that all may use.
const GROUND: [&str; 4] = ["model", "secret", "exit", "clock"];

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn page() -> String {
    fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap()
}

/// Rust files below a folder.
pub(crate) fn sources(below: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(below).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

fn ticked(text: &str) -> Vec<String> {
    text.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

fn table() -> BTreeMap<String, BTreeSet<String>> {
    let page = page();
    let section = page
        .split("## Imports")
        .nth(1)
        .unwrap()
        .split("\n## ")
        .next()
        .unwrap();
    let mut table = BTreeMap::new();
    for row in section.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').collect();
        for module in ticked(cells[1]) {
            table.insert(module, ticked(cells[2]).into_iter().collect());
        }
    }
    table
}

/// Modules of this crate that a line names, as `crate::x` or in `use crate::{x, y}`.
fn named(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in line.match_indices("crate::") {
        let rest = &line[at + 7..];
        let parts: Vec<&str> = match rest.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap_or("").split(',').collect(),
            None => vec![rest],
        };
        for part in parts {
            let name: String = part
                .trim()
                .chars()
                .take_while(|c| c.is_ascii_lowercase() || *c == '_' || c.is_ascii_digit())
                .collect();
            if !name.is_empty() {
                found.push(name);
            }
        }
    }
    found
}

#[test]
fn no_module_uses_another_than_the_table_allows() {
    let table = table();
    let src = root().join("src");
    let mut edges = 0;
    let mut wrong = Vec::new();
    for path in sources(&src) {
        let inner = path.strip_prefix(&src).unwrap();
        let first = inner
            .components()
            .next()
            .unwrap()
            .as_os_str()
            .to_str()
            .unwrap();
        let module = first.trim_end_matches(".rs");
        if ["lib", "main", "app", "bin"].contains(&module) || GROUND.contains(&module) {
            continue;
        }
        let allowed = table
            .get(module)
            .unwrap_or_else(|| panic!("ARCHITECTURE.md does not list {module}"));
        let text = fs::read_to_string(&path).unwrap();
        for line in text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
        {
            for used in named(line) {
                edges += 1;
                let fine =
                    used == module || GROUND.contains(&used.as_str()) || allowed.contains(&used);
                if !fine {
                    wrong.push(format!("{}: {module} -> {used}", inner.display()));
                }
            }
        }
    }
    assert!(edges > 100, "the sources were not read: {edges} edges");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_path_that_the_page_names_exists() {
    let paths: Vec<String> = ticked(&page())
        .into_iter()
        .filter(|word| word.contains('/') && !word.contains([' ', '<', ':']))
        .collect();
    assert!(paths.len() > 15, "{paths:?}");
    for path in paths {
        assert!(
            root().join(&path).exists(),
            "ARCHITECTURE.md names {path}, which is not there"
        );
    }
}

#[test]
fn the_readme_lists_every_exit_number_and_every_step() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for (exit, meaning) in keyroll::exit::Exit::TABLE {
        let row = format!("| {} | {meaning} |", exit.number());
        assert!(readme.contains(&row), "README.md has no row {row:?}");
    }
    for step in keyroll::steps::Step::NAMES {
        let named = readme
            .lines()
            .any(|line| line.starts_with("### ") && line.contains(&format!("`{step}`")));
        assert!(named, "README.md has no heading for {step}");
    }
}

/// Names of findings that a source text can print: those of faults, unmet expectations, flaws and lints.
fn printable(text: &str) -> BTreeSet<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let squeezed: String = code.split_whitespace().collect::<Vec<_>>().join(" ");
    let signs = [
        "Unmet::new( \"",
        "Unmet::new(\"",
        "red( \"",
        "red(\"",
        ".fault( \"",
        "flaws.add( \"",
        "flaws.add(\"",
        "add(\"",
        "name: \"",
        "Finding::of(\"",
        "Finding::of( \"",
        "means( \"",
        "said( \"",
        "said(\"",
    ];
    let mut found = BTreeSet::new();
    for sign in signs {
        for (at, _) in squeezed.match_indices(sign) {
            let rest = &squeezed[at + sign.len()..];
            found.insert(rest.split('"').next().unwrap().to_owned());
        }
    }
    found
}

#[test]
fn every_name_that_a_look_or_a_step_can_print_stands_in_the_catalogue() {
    let places = ["k3s", "steps", "app/token", "app/doctor", "app/place"];
    let mut names = BTreeSet::new();
    for place in places {
        let path = root().join("src").join(place);
        let files = if path.is_dir() {
            sources(&path)
        } else {
            vec![path]
        };
        for file in files
            .iter()
            .filter(|file| !file.ends_with("tests.rs") && !file.ends_with("fuzz.rs"))
        {
            names.extend(printable(&fs::read_to_string(file).unwrap()));
        }
    }
    assert!(names.len() > 150, "only {} names were found", names.len());
    let missing: Vec<&String> = names
        .iter()
        .filter(|name| keyroll::findings::entry(name).is_none())
        .collect();
    assert!(
        missing.is_empty(),
        "src/findings does not explain {missing:?}"
    );
}
