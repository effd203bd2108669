//! Playbooks and inventories, good and bad, as files: what a person is told of each stands beside it.
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use keyroll::inventory::{self, Inventory};
use keyroll::plan::{Request, build, draw};
use keyroll::playbook;
use keyroll::secret::Secret;
use keyroll::source::{Look, Problems, Source, tree};
use keyroll::steps::Step;
use proptest::prelude::*;
use serde::Deserialize as _;

const FLEET: &str = "tests/books/fleet.yml";

/// Every case of a folder, by path.
fn cases(folder: &str) -> Vec<PathBuf> {
    let root = Path::new("tests/books").join(folder);
    let entries = std::fs::read_dir(&root).expect("a folder of cases");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.retain(|path| {
        path.is_file() && path.extension().is_some_and(|e| e != "snap" && e != "new")
    });
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
            Path::new(&name).extension().is_none_or(|e| e != "snap") || names.contains(&name),
            "{name} has no case"
        );
    }
    cases.len()
}

fn shown(problems: &Problems) -> String {
    problems.render(Look::default())
}

fn fleet() -> Inventory {
    inventory::read(FLEET, &[]).expect("the fleet of the cases")
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
fn every_doubtful_playbook_is_warned_and_good_ones_are_not() {
    let warned = |book: &playbook::Playbook, fleet: &Inventory| {
        let problems = playbook::lint(book, fleet);
        assert_eq!(problems.errors(), 0, "{}", shown(&problems));
        problems
    };
    let read = |path: &str| playbook::read(path).unwrap_or_else(|p| panic!("{}", shown(&p)));
    let names = std::cell::RefCell::new(BTreeSet::new());
    check("playbooks/doubtful", |path| {
        let problems = warned(&read(path), &fleet());
        names
            .borrow_mut()
            .extend(problems.iter().map(|problem| problem.code));
        shown(&problems)
    });
    let names = names.into_inner();
    assert_eq!(names.len(), 7, "{names:?}");
    for name in names {
        assert!(keyroll::findings::entry(name).is_some(), "{name}");
    }
    let good = cases("playbooks/good");
    let good = good.iter().map(|path| path.to_str().expect("a path"));
    for path in good.chain(["@rotate-token"]) {
        let problems = warned(&read(path), &fleet());
        let habits = problems
            .iter()
            .filter(|it| keyroll::findings::entry(it.code).is_some());
        assert_eq!(habits.count(), 0, "{path}: {}", shown(&problems));
    }
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
        let problems = inventory::read(path, &[]).expect_err(path);
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
            inventory::read(path, &[]).unwrap_or_else(|problems| panic!("{}", shown(&problems)));
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
    for folder in [
        "playbooks/bad",
        "playbooks/doubtful",
        "inventories/bad",
        "inventories/good",
    ] {
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

#[test]
fn variables_beside_the_inventory_are_stronger_than_those_in_it() {
    let inventory =
        inventory::read("tests/books/inventories/beside/hosts.yml", &[]).expect("an inventory");
    let told = |host: &str, name: &str| {
        let host = keyroll::model::HostName::new(host).expect("a name");
        inventory.hosts[&host]
            .vars
            .get(name)
            .map(ToString::to_string)
    };
    assert_eq!(told("s1", "from").as_deref(), Some("host_vars"));
    assert_eq!(told("s2", "from").as_deref(), Some("the host itself"));
    assert_eq!(told("s3", "from").as_deref(), Some("group_vars of server"));
    assert_eq!(told("a1", "from").as_deref(), Some("group_vars of all"));
    assert_eq!(told("a1", "second").as_deref(), Some("b"));
    assert_eq!(told("a1", "third").as_deref(), Some("without an ending"));
    assert_eq!(told("a1", "fourth").as_deref(), Some("further down"));
    assert_eq!(told("a1", "hidden"), None);
    let warned: Vec<String> = inventory.warnings.iter().map(ToString::to_string).collect();
    let beside = "tests/books/inventories/beside/group_vars/agent";
    assert_eq!(
        warned,
        [format!(
            "`{beside}.yml` is not read, since there is `{beside}`"
        )]
    );
    let secrets: Vec<String> = inventory
        .secrets()
        .iter()
        .map(|s| s.expose().to_owned())
        .collect();
    assert_eq!(secrets, ["K10abc::server:swordfish", "marlin", "swordfish"]);
}

#[test]
fn what_an_inventory_states_is_told_by_file_and_line() {
    let told = |path: &str| {
        let folder = "tests/books/inventories/";
        let inventory = inventory::read(&format!("{folder}{path}"), &[]).expect("an inventory");
        let stated = inventory.stated().into_iter();
        let told = stated.map(|it| {
            let place = it.place.strip_prefix(folder).unwrap_or(&it.place);
            let texts = it.texts.map_or("encrypted".to_owned(), |texts| {
                let texts: Vec<&str> = texts.iter().map(Secret::expose).collect();
                texts.join(" ")
            });
            format!("{place} {}: {texts}", it.name)
        });
        told.collect::<Vec<_>>()
    };
    assert_eq!(
        told("beside/hosts.yml"),
        [
            "beside/group_vars/agent/2.yml:1 second: b",
            "beside/group_vars/agent/more/4.yaml:1 fourth: further down",
            "beside/group_vars/agent/vars:1 third: without an ending",
            "beside/group_vars/agent/vars:2 users: deploy marlin",
            "beside/group_vars/all.yml:1 from: group_vars of all",
            "beside/group_vars/server:1 from: group_vars of server",
            "beside/group_vars/server:2 token: K10abc::server:swordfish",
            "beside/host_vars/s1.yaml:1 from: host_vars",
            "beside/hosts.yml:6 from: the host itself",
        ]
    );
    assert_eq!(
        told("good/vault.yml"),
        [
            "good/vault.yml:17 token: encrypted",
            "good/vault.yml:23 k3s: encrypted"
        ]
    );
}

#[test]
fn a_mistake_beside_the_inventory_names_its_own_file() {
    let problems =
        inventory::read("tests/books/inventories/beside-bad/hosts.yml", &[]).expect_err("mistakes");
    let places: Vec<_> = problems
        .iter()
        .filter_map(keyroll::source::Problem::position)
        .collect();
    let file = |name: &str| format!("tests/books/inventories/beside-bad/group_vars/{name}");
    assert_eq!(
        places,
        [
            (file("agent.yml").as_str(), 1, 1),
            (file("server.yml").as_str(), 2, 4)
        ]
    );
}

#[test]
fn what_is_no_file_is_told_by_name() {
    let told = |problems: Problems| problems.to_string();
    assert!(
        told(playbook::read("no/such.yml").expect_err("missing"))
            .contains("`no/such.yml` cannot be read")
    );
    assert!(
        told(playbook::read("tests").expect_err("a directory")).contains("`tests` is a directory")
    );
    assert!(
        told(inventory::read("tests", &[]).expect_err("a directory"))
            .contains("`tests` is a directory")
    );
    assert!(
        told(inventory::read("no-such", &[]).expect_err("missing"))
            .contains("`no-such` cannot be read")
    );
    let problems = playbook::read("@rotate-tokn").expect_err("no such playbook");
    assert!(
        problems
            .render(Look::default())
            .contains("did you mean `@rotate-token`?")
    );
}

#[test]
fn every_text_means_here_what_it_means_to_serde_yaml() {
    for folder in ["playbooks/good", "inventories/good"] {
        for path in cases(folder) {
            if path.extension().is_some_and(|e| e == "ini") {
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("a text");
            let text = text.replace("!vault ", "");
            let source = Source::new("x.yml", text.as_str(), &[]);
            let root = tree(&source, &mut Problems::default()).expect("a tree");
            let ours = serde_json::Value::deserialize(&*root).expect("a value");
            let theirs: serde_json::Value = serde_yaml::from_str(&text).expect("a value");
            assert_eq!(ours, theirs, "{}", path.display());
        }
    }
}

/// A text with some characters replaced, removed or put in.
fn mangled(text: &str, changes: &[(usize, Option<char>, bool)]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for (at, new, insert) in changes {
        let at = at % (chars.len() + 1);
        match (new, insert) {
            (Some(new), true) => chars.insert(at, *new),
            (Some(new), false) if at < chars.len() => chars[at] = *new,
            _ if at < chars.len() => drop(chars.remove(at)),
            _ => {}
        }
    }
    chars.into_iter().collect()
}

fn changes() -> impl Strategy<Value = Vec<(usize, Option<char>, bool)>> {
    let chars = proptest::sample::select(
        " :-[]{}&*!|>?\"'\t\n\r#%@,=<~äx0\u{1b}\u{2028}"
            .chars()
            .collect::<Vec<_>>(),
    );
    proptest::collection::vec(
        (any::<usize>(), proptest::option::of(chars), any::<bool>()),
        1..6,
    )
}

fn every_problem_can_be_drawn(problems: &Problems) {
    for problem in problems.iter() {
        assert!(problem.position().is_some(), "{problem} has no place");
        let drawn = problem.render(Look::default());
        assert!(!drawn.contains("Failed to read"), "{drawn}");
        assert!(!drawn.contains('\u{1b}'), "{drawn}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_mangled_playbook_is_read_or_refused_with_places(changes in changes()) {
        let text = mangled(include_str!("../../playbooks/rotate-token.yml"), &changes);
        match playbook::parse(&Source::new("x.yml", text, Step::NAMES)) {
            Ok(book) => every_problem_can_be_drawn(&playbook::lint(&book, &fleet())),
            Err(problems) => every_problem_can_be_drawn(&problems),
        }
    }

    #[test]
    fn a_mangled_inventory_is_read_or_refused_with_places(changes in changes(), ini in any::<bool>()) {
        let (name, text) = if ini {
            ("x.ini", include_str!("../books/inventories/good/plain.ini"))
        } else {
            ("x.yml", include_str!("../books/inventories/good/precedence.yml"))
        };
        match inventory::parse(&Source::new(name, mangled(text, &changes), &[])) {
            Ok(inventory) => every_problem_can_be_drawn(&inventory.warnings),
            Err(problems) => every_problem_can_be_drawn(&problems),
        }
    }

    #[test]
    fn what_is_shown_is_as_long_as_the_text(changes in changes()) {
        let text = mangled(include_str!("../books/inventories/good/plain.ini"), &changes);
        let source = Source::new("x.ini", text, &[]);
        prop_assert_eq!(source.shown.inner().len(), source.text.len());
    }
}

#[test]
fn a_host_of_two_kinds_is_named_with_both_places() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hosts.yml");
    let text = "\
server:
  hosts: {h1: {}, h2: {}}
agent:
  hosts: {h3: {}}
  children:
    more:
      hosts:
        h2: {}
";
    std::fs::write(&path, text).unwrap();
    let inventory = keyroll::inventory::read(path.to_str().unwrap(), &[]).unwrap();
    let warnings: Vec<_> = inventory.warnings.iter().collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let what = "host `h2` is in `agent` here, and in `server` in line 2";
    assert_eq!(warnings[0].what, what);
    assert_eq!(
        warnings[0]
            .position()
            .map(|(_, line, column)| (line, column)),
        Some((8, 9))
    );
}

#[test]
fn plugins_that_are_named_in_full_are_the_same() {
    let read = |become_method: &str| {
        let text = format!(
            "server:\n  hosts:\n    h1: {{ ansible_connection: ansible.builtin.ssh, ansible_become_method: {become_method} }}\n"
        );
        let inventory = keyroll::inventory::parse(&Source::new("h.yml", text, &[])).unwrap();
        inventory.warnings.iter().count()
    };
    assert_eq!(read("ansible.builtin.sudo"), 0);
    assert_eq!(read("community.general.doas"), 1);
}

#[test]
fn a_user_that_cannot_be_worked_out_can_be_given_on_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hosts.ini");
    let text = "[server]\nh1 ansible_user=\"{{ lookup('env', 'USER') }}\"\n";
    std::fs::write(&path, text).unwrap();
    let read = |extra: &[(String, minijinja::Value)]| {
        keyroll::inventory::read(path.to_str().unwrap(), extra)
    };
    let refused = shown(&read(&[]).unwrap_err());
    let refused = refused.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(refused.contains("`-e ansible_user=NAME`"), "{refused}");
    let given = read(&[("ansible_user".to_owned(), "ops".into())]).unwrap();
    assert_eq!(given.hosts[0].connect.user.as_deref(), Some("ops"));
}

#[test]
fn the_command_line_says_how_hosts_are_reached_before_all_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hosts.ini");
    std::fs::write(&path, "[server]\nh1 ansible_user=own ansible_port=22\n").unwrap();
    let read = |extra: &[(String, minijinja::Value)]| {
        keyroll::inventory::read(path.to_str().unwrap(), extra)
    };
    let extra = [
        ("ansible_user".to_owned(), "ops".into()),
        ("ansible_port".to_owned(), "2222".into()),
    ];
    let inventory = read(&extra).unwrap();
    let connect = &inventory.hosts[0].connect;
    assert_eq!(
        (connect.user.as_deref(), connect.port),
        (Some("ops"), Some(2222))
    );
    let wrong = read(&[("ansible_port".to_owned(), "ssh".into())]).unwrap_err();
    let wrong = shown(&wrong);
    assert!(
        wrong.contains("`ansible_port` is a port, not `ssh`"),
        "{wrong}"
    );
    assert!(wrong.contains("--extra-vars:1:1"), "{wrong}");
}
