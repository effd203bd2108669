//! A scenario as it is written in `tests/e2e/*.yml`; CONTRIBUTING.md says how.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Where a scenario can be played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Stage {
    /// The simulated fleet, in keyroll's own process.
    Sim,
    /// Lab hosts with the stand-in.
    Standin,
    /// Lab hosts with a real `k3s`.
    Real,
}

impl Stage {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sim => "sim",
            Self::Standin => "standin",
            Self::Real => "real",
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scenario {
    /// What it shows, as a sentence; unique.
    #[serde(rename = "scenario")]
    pub(super) name: String,
    #[serde(default)]
    pub(super) cluster: Topology,
    /// Where it cannot be played, and why.
    #[serde(default)]
    pub(super) cannot: BTreeMap<Stage, String>,
    /// On the stand-in only when asked for by name: why that is enough.
    pub(super) spare: Option<String>,
    /// What happens, in order.
    #[serde(rename = "do")]
    pub(super) acts: Vec<Act>,
    /// Its file and line.
    #[serde(skip)]
    pub(super) place: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Datastore {
    Sqlite,
    Etcd,
    External,
}

impl Datastore {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Etcd => "etcd",
            Self::External => "external",
        }
    }
}

/// A cluster; what is absent is as get.k3s.io leaves it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own in the data"
)]
pub(super) struct Topology {
    pub(super) servers: usize,
    pub(super) agents: usize,
    /// One server has sqlite and several have etcd, unless this says otherwise.
    pub(super) datastore: Option<Datastore>,
    /// Where servers have their token: config, drop-in, env, argument, token-file or nothing.
    pub(super) surface: String,
    /// The first server is etcd alone, the others have none.
    pub(super) split: bool,
    /// `server:` names an address that is no host's own.
    pub(super) vip: bool,
    /// Agents have a token of their own.
    pub(super) agent_token: bool,
    /// Servers run no kubelet.
    pub(super) disable_agent: bool,
    pub(super) data_dir: String,
    /// The servers' unit; the agents' ends in `-agent`.
    pub(super) unit: String,
    pub(super) port: u16,
}

impl Default for Topology {
    fn default() -> Self {
        Self {
            servers: 1,
            agents: 1,
            datastore: None,
            surface: "config".to_owned(),
            split: false,
            vip: false,
            agent_token: false,
            disable_agent: false,
            data_dir: "/var/lib/rancher/k3s".to_owned(),
            unit: "k3s".to_owned(),
            port: 6443,
        }
    }
}

impl Topology {
    pub(super) fn datastore(&self) -> Datastore {
        let usual = if self.servers == 1 {
            Datastore::Sqlite
        } else {
            Datastore::Etcd
        };
        self.datastore.unwrap_or(usual)
    }

    pub(super) fn servers(&self) -> Vec<String> {
        (1..=self.servers).map(|n| format!("server-{n}")).collect()
    }

    pub(super) fn agents(&self) -> Vec<String> {
        (1..=self.agents).map(|n| format!("agent-{n}")).collect()
    }

    pub(super) fn hosts(&self) -> Vec<String> {
        [self.servers(), self.agents()].concat()
    }

    /// A host's unit without its suffix.
    pub(super) fn unit_of(&self, host: &str) -> String {
        let suffix = if is_agent(host) { "-agent" } else { "" };
        format!("{}{suffix}", self.unit)
    }

    /// Hosts of a name: one of them, `servers` or `agents`.
    pub(super) fn named(&self, name: &str) -> Vec<String> {
        let found = match name {
            "servers" => self.servers(),
            "agents" => self.agents(),
            _ => vec![name.to_owned()],
        };
        for host in &found {
            assert!(self.hosts().contains(host), "there is no host `{host}`");
        }
        found
    }
}

pub(super) fn is_agent(host: &str) -> bool {
    host.starts_with("agent-")
}

/// One thing that happens: exactly one of these.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Act {
    /// keyroll runs, and ends as is said here.
    pub(super) keyroll: Option<Run>,
    /// Faults by host, from the model's catalogue.
    pub(super) fault: Option<BTreeMap<String, String>>,
    /// Hosts whose faults end.
    pub(super) heal: Option<Vec<String>>,
    /// What becomes of a host: off, on, rebooted, frozen, thawed, unplugged, plugged.
    pub(super) power: Option<BTreeMap<String, String>>,
    /// What a person does at a host's keyboard, in order.
    pub(super) person: Option<BTreeMap<String, Vec<String>>>,
    /// What is true now of hosts.
    pub(super) now: Option<BTreeMap<String, String>>,
    /// What has become of files that hold a token.
    pub(super) files: Option<Files>,
    /// Seconds pass.
    pub(super) wait: Option<u64>,
}

/// Files that hold a token, compared with those when the cluster was raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Files {
    /// Not a byte, mode or group has changed.
    Untouched,
    /// NEW stands where OLD stood, nothing else has changed, and none of these is readable for others.
    Exchanged,
}

/// A run of keyroll.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Run {
    /// Another command than `run PLAYBOOK`, such as `rescue server-1`.
    pub(super) command: Option<String>,
    /// Arguments after it and `-i INVENTORY`; `file:OLD` and `file:NEW` stand for files with the tokens.
    pub(super) args: Vec<String>,
    /// A run that is not told which token is to be the new one.
    pub(super) given_no_token: bool,
    /// The built-in playbook ends before the play of this name.
    pub(super) before: Option<String>,
    /// The exit number, when the run ends by itself.
    pub(super) exit: Option<i32>,
    /// What it says, and what it does not say.
    pub(super) says: Vec<String>,
    pub(super) silent: Vec<String>,
    /// No host is changed in any way.
    pub(super) changes_nothing: bool,
    /// All processes are watched for secrets meanwhile, and files and journals searched afterwards.
    pub(super) watched: bool,
    /// Something happens in the middle.
    pub(super) when: Option<When>,
}

/// Something happens as soon as keyroll has said this: exactly one of the others.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct When {
    pub(super) says: String,
    /// So much later.
    pub(super) after_ms: u64,
    /// keyroll is killed (SIGKILL).
    pub(super) kill: bool,
    pub(super) power: Option<BTreeMap<String, String>>,
    pub(super) person: Option<BTreeMap<String, Vec<String>>>,
}

/// All scenarios, by file and line.
pub(super) fn all() -> Vec<Scenario> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/e2e");
    let entries = std::fs::read_dir(root).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let found: Vec<Scenario> = files.iter().flat_map(|file| of_file(file)).collect();
    for (at, scenario) in found.iter().enumerate() {
        let twins = found.iter().skip(at + 1);
        assert!(
            twins.into_iter().all(|twin| twin.name != scenario.name),
            "{}: `{}` is there twice",
            scenario.place,
            scenario.name
        );
    }
    found
}

fn of_file(file: &Path) -> Vec<Scenario> {
    let text = std::fs::read_to_string(file).unwrap();
    let mut found: Vec<Scenario> =
        serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    for scenario in &mut found {
        let line = text.lines().position(|line| {
            line.strip_prefix("- scenario: ")
                .is_some_and(|name| name.trim_matches('"') == scenario.name)
        });
        let line = line.unwrap_or_else(|| panic!("`{}` stands in no line", scenario.name)) + 1;
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        scenario.place = format!("tests/e2e/{name}:{line}");
        check(scenario);
    }
    found
}

/// Mistakes that would make a scenario show less than it says.
fn check(scenario: &Scenario) {
    let place = &scenario.place;
    for act in &scenario.acts {
        let verbs = [
            act.keyroll.is_some(),
            act.fault.is_some(),
            act.heal.is_some(),
            act.power.is_some(),
            act.person.is_some(),
            act.now.is_some(),
            act.files.is_some(),
            act.wait.is_some(),
        ];
        let count = verbs.iter().filter(|verb| **verb).count();
        assert_eq!(count, 1, "{place}: each entry of `do` is one act: {act:?}");
        let Some(run) = &act.keyroll else { continue };
        assert!(
            run.command.is_none() || run.before.is_none(),
            "{place}: `before` is of `run`"
        );
        let kills = run.when.as_ref().is_some_and(|when| when.kill);
        assert!(
            run.exit.is_some() != kills,
            "{place}: a run has an `exit`, unless it is killed"
        );
        if let Some(when) = &run.when {
            let count = usize::from(when.kill)
                + usize::from(when.power.is_some())
                + usize::from(when.person.is_some());
            assert_eq!(count, 1, "{place}: `when` is one act");
            assert!(!when.says.is_empty(), "{place}: `when` needs `says`");
        }
    }
    let ends = scenario
        .acts
        .last()
        .is_some_and(|act| act.now.is_some() || act.files.is_some() || act.keyroll.is_some());
    assert!(
        ends,
        "{place}: a scenario ends with something that is checked"
    );
}
