//! Data tests of steps: a simulated fleet in some state → what a step proposes there.
//!
//! Each file below `tests/steps/<step>/` is a list of cases:
//! `case` (a sentence), `fleet` (as for `-i`), `before` (what happened so far), `on` (host), `step` (as in a playbook),
//! then what is expected: `ops` (`host verb subject`), `unmet` (names), `notes` and `doubts` (parts of sentences) and
//! `silent` (parts that no note has); each empty when absent.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use keyroll::clock::Clock;
use keyroll::facts::{Fleet, Member, Overlay, Probe, RunOptions, Scope};
use keyroll::model::{HostName, RunId};
use keyroll::op::custody::{Choice, Custody, CustodyError, Deposit, Found, Incoming, Parcel};
use keyroll::op::{Act, Op, Until};
use keyroll::secret::{Content, Secret};
use keyroll::sim::Spec;
use keyroll::steps::{Proposal, Step, StepError};
use keyroll::template::Vars;
use keyroll::transport::sim::SimTransport;
use keyroll::wire::{
    Batch, Become, Change, Command, Owner, Query, Request, Response, Transport, WriteFile,
};
use serde::Deserialize;

/// The token that every case rotates to, unless `given: false`.
pub(crate) const NEW: &str = "0123456789abcdef0123456789abcdef";
const GENERATED: &str = "fedcba9876543210fedcba9876543210";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    #[serde(rename = "case")]
    sentence: String,
    fleet: String,
    #[serde(default = "yes")]
    given: bool,
    /// Whether there is a place off the hosts with nothing in it yet, and whether OLD is to be kept there.
    #[serde(default)]
    custody: Option<bool>,
    /// Hosts of the fleet that the inventory does not have.
    #[serde(default)]
    without: Vec<String>,
    /// Whether nothing is to be rotated, as in `keyroll verify`.
    #[serde(default)]
    verify: bool,
    /// What the operator names as the old token; `first` stands for the one that the fleet had at first.
    #[serde(default)]
    old: Option<String>,
    /// Patterns of `--expect-unmanaged` and names of `--ignore-node`.
    #[serde(default)]
    expected: Vec<String>,
    #[serde(default)]
    ignored: Vec<String>,
    /// `unmeasured` and `quorum-loss`, where the operator says so.
    #[serde(default)]
    accepts: Vec<String>,
    /// Agents that the inventory calls servers.
    #[serde(default)]
    as_servers: Vec<String>,
    #[serde(default)]
    before: Vec<Before>,
    on: String,
    #[serde(default)]
    vars: BTreeMap<String, minijinja::Value>,
    step: BTreeMap<String, serde_yaml::Value>,
    #[serde(default)]
    ops: Vec<String>,
    #[serde(default)]
    unmet: Vec<String>,
    #[serde(default)]
    notes: Vec<String>,
    /// Parts of sentences that no note may have.
    #[serde(default)]
    silent: Vec<String>,
    /// Parts of what keeps a proof from being green: all of them, and no other doubt.
    #[serde(default)]
    doubts: Vec<String>,
    /// Part of the error's text, when the step cannot look.
    #[serde(default)]
    error: Option<String>,
}

fn yes() -> bool {
    true
}

/// One thing that happened before: exactly one key beside `on`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Before {
    /// Hosts, separated by commas; `servers` and `agents` stand for all.
    #[serde(default)]
    on: String,
    /// A step is proposed and performed.
    step: Option<BTreeMap<String, serde_yaml::Value>>,
    /// So many of the step's operations, and then it is cut.
    cut: Option<usize>,
    /// A command is run.
    run: Option<Vec<String>>,
    /// A file's text is changed.
    replace: Option<(String, String, String)>,
    /// A file is written.
    write: Option<(String, String)>,
    /// A file's bytes are copied to another path.
    copy: Option<(String, String)>,
    /// With these permission bits; 0600 when absent.
    mode: Option<String>,
    /// A file of another host is brought to the same place: `[host, path]`.
    fetch: Option<(String, String)>,
    /// A file is removed.
    remove: Option<String>,
    /// A line turns up in the journal of its unit.
    journal: Option<String>,
    /// Virtual seconds pass.
    sleep: Option<u64>,
}

pub(crate) struct Rig {
    pub(crate) sim: SimTransport,
    pub(crate) scope: Scope,
    pub(crate) clock: Clock,
    _learned: std::sync::mpsc::Receiver<Secret>,
}

impl Rig {
    pub(crate) fn new(fleet: &str, given: bool) -> Self {
        let spec: Spec = keyroll::sim::spec::parse(fleet).unwrap();
        let clock = Clock::starting_at("2026-11-22T04:00:00Z".parse().unwrap(), 1);
        let sim = SimTransport::open(&spec, clock).unwrap();
        let inventory = spec.inventory();
        let members = |group: &str| {
            let hosts = inventory
                .groups
                .iter()
                .find(|(name, _)| name.as_str() == group)
                .unwrap()
                .1;
            let address = |host: &HostName| inventory.hosts[host].connect.address.clone().unwrap();
            hosts
                .iter()
                .map(|host| Member {
                    name: host.clone(),
                    address: address(host),
                })
                .collect()
        };
        let fleet = Fleet {
            servers: members("server"),
            agents: members("agent"),
        };
        let options = RunOptions {
            given: given.then(|| Secret::new(NEW)),
            generated: Secret::new(GENERATED),
            run: RunId("test".to_owned()),
            expect_unmanaged: Vec::new(),
            words: keyroll::facts::Words::default(),
        };
        let (learn, learned) = std::sync::mpsc::channel();
        let scope = Scope::new(Arc::new(sim.clone()), fleet, options, clock, learn);
        Self {
            sim,
            scope,
            clock,
            _learned: learned,
        }
    }

    fn of(case: &Case) -> Self {
        let rig = Self::new(&case.fleet, case.given);
        let Some(asked) = case.custody else {
            return rig;
        };
        let scope = rig.scope.with_custody(Arc::new(Empty { asked }));
        Self { scope, ..rig }
    }

    /// What the case's command line and inventory say; before it, all hosts are in the inventory.
    fn ask_as(&mut self, case: &Case) {
        let first = self.sim.with(|fleet| fleet.first_secret());
        let words = &mut self.scope.options.words;
        words.old = case.old.as_ref().map(|old| match old.as_str() {
            "first" => first,
            other => Secret::new(other),
        });
        words.proof_only = case.verify;
        words.ignored.clone_from(&case.ignored);
        let accepts = |word: &str| case.accepts.iter().any(|said| said == word);
        (words.unmeasured, words.quorum_loss) = (accepts("unmeasured"), accepts("quorum-loss"));
        self.scope
            .options
            .expect_unmanaged
            .clone_from(&case.expected);
        if case.verify {
            self.scope.options.given = None;
            self.scope.options.run = RunId("another".to_owned());
        }
        let fleet = &mut self.scope.fleet;
        let is_moved = |member: &Member| {
            case.as_servers
                .iter()
                .any(|name| *name == member.name.as_str())
        };
        let moved: Vec<Member> = fleet
            .agents
            .extract_if(.., |member| is_moved(member))
            .collect();
        fleet.servers.extend(moved);
        for members in [&mut fleet.servers, &mut fleet.agents] {
            members.retain(|member| {
                !case
                    .without
                    .iter()
                    .any(|name| *name == member.name.as_str())
            });
        }
    }

    pub(crate) async fn propose(
        &self,
        host: &HostName,
        step: &Step,
        vars: &Vars,
    ) -> Result<Proposal, StepError> {
        let overlay = Overlay::default();
        let probe = Probe::new(host, &Become::Root, vars, &self.scope, &overlay);
        step.propose(&probe).await
    }

    pub(crate) async fn perform(&self, op: &Op) {
        if matches!(op.act, Act::Wait(_)) {
            return self.clock.sleep(Duration::from_mins(1)).await;
        }
        self.send(&op.on, op.sent()).await;
    }

    async fn change(&self, host: &HostName, change: Change) {
        self.send(host, vec![Request::Change(change)]).await;
    }

    async fn send(&self, host: &HostName, requests: Vec<Request>) {
        let batch = Batch {
            r#become: Become::Root,
            requests,
        };
        let answers = self.sim.exec(host, &batch).await.unwrap();
        assert!(
            !matches!(
                answers.last(),
                Some(Response::Failed(_) | Response::Moved(_))
            ),
            "{host}: {answers:?}"
        );
        self.scope.changed(host);
    }

    pub(crate) async fn read(&self, host: &HostName, path: &str) -> String {
        let batch = Batch {
            r#become: Become::Root,
            requests: vec![Request::Query(Query::read(path))],
        };
        match self.sim.exec(host, &batch).await.unwrap().remove(0) {
            Response::Content(Some(content)) => content.text().into_owned(),
            other => panic!("{host} has no {path}: {other:?}"),
        }
    }

    pub(crate) async fn bring(&self, host: &HostName, step: &Step, cut: usize) {
        let proposal = self.propose(host, step, &Vars::default()).await.unwrap();
        assert!(proposal.unmet.is_empty(), "{host}: {:?}", proposal.unmet);
        for op in proposal.ops.iter().take(cut) {
            self.perform(op).await;
        }
    }

    fn hosts(&self, names: &str) -> Vec<HostName> {
        let all = |members: &[Member]| members.iter().map(|member| member.name.clone()).collect();
        match names {
            "servers" => all(&self.scope.fleet.servers),
            "agents" => all(&self.scope.fleet.agents),
            _ => names
                .split(',')
                .map(|name| HostName::new(name.trim()).unwrap())
                .collect(),
        }
    }

    async fn before(&self, before: &Before) {
        if let Some(seconds) = before.sleep {
            return self.clock.sleep(Duration::from_secs(seconds)).await;
        }
        for host in self.hosts(&before.on) {
            if let Some(words) = &before.step {
                self.bring(&host, &step(words), before.cut.unwrap_or(usize::MAX))
                    .await;
            } else if let Some(argv) = &before.run {
                let command = Command::new(argv.clone()).within(Duration::from_mins(5));
                self.change(&host, Change::Run(command)).await;
            } else if let Some(path) = &before.remove {
                self.change(&host, Change::Remove { path: path.into() })
                    .await;
            } else if let Some((path, from, to)) = &before.replace {
                let text = self.read(&host, path).await;
                assert!(
                    text.contains(from.as_str()),
                    "{path} has no {from:?}: {text}"
                );
                self.write(&host, path, &text.replace(from, to)).await;
            } else if let Some((from, path)) = &before.fetch {
                let text = self.read(&HostName::new(from).unwrap(), path).await;
                self.write(&host, path, &text).await;
            } else if let Some((from, to)) = &before.copy {
                let text = self.read(&host, from).await;
                self.write(&host, to, &text).await;
                self.set_mode(&host, to, before.mode.as_deref());
            } else if let Some(line) = &before.journal {
                self.sim.with(|fleet| fleet.journal_says(&host, line));
            } else if let Some((path, text)) = &before.write {
                self.write(&host, path, text).await;
                self.set_mode(&host, path, before.mode.as_deref());
            } else {
                panic!("nothing happened");
            }
        }
    }

    fn set_mode(&self, host: &HostName, path: &str, mode: Option<&str>) {
        if let Some(mode) = mode.map(|text| u32::from_str_radix(text, 8).unwrap()) {
            self.sim
                .with(|fleet| fleet.host_mut(host).unwrap().disk.set_mode(path, mode));
        }
    }

    pub(crate) async fn write(&self, host: &HostName, path: &str, text: &str) {
        let file = WriteFile {
            path: path.into(),
            content: Content::from(text),
            mode: 0o600,
            owner: Owner::Runner,
            make_parent: true,
        };
        self.change(host, Change::WriteFile(file)).await;
    }
}

pub(crate) fn step(words: &BTreeMap<String, serde_yaml::Value>) -> Step {
    let (name, arguments) = words.iter().next().unwrap();
    Step::arguments(name, arguments.clone())
        .unwrap_or_else(|| panic!("no step is called {name}"))
        .unwrap()
}

fn spell(op: &Op) -> String {
    let act = match &op.act {
        Act::Run { command, .. } => format!(
            "run {}",
            command.argv.join(" ").replace("/usr/local/bin/", "")
        ),
        Act::WriteFile(file) => format!("write {} {:o}", file.path, file.mode),
        Act::Rename { from, to } => format!("rename {from} to {}", to.file_name().unwrap()),
        Act::Remove { path } => format!("remove {path}"),
        Act::Keep(deposit) => format!("keep {}", deposit.rotation.tag),
        Act::Fetch(parcel) => format!("fetch {}", parcel.begins),
        Act::Wait(wait) => match &wait.until {
            Until::Restarted { unit, .. } => format!("wait restarted {unit}"),
            Until::Accepts(knock) => format!("wait accepted as {}", knock.role.user()),
            Until::CaughtUp { with } => format!("wait caught up with {with}"),
        },
    };
    format!("{} {act}", op.on)
}

/// Notes that are missing, and those that should not be there.
fn misspoken(case: &Case, notes: &[String]) -> Vec<String> {
    let has = |part: &&String| notes.iter().any(|said| said.contains(part.as_str()));
    let missing = case.notes.iter().filter(|part| !has(part));
    let missing = missing.map(|part| format!("no note has {part:?}: {notes:#?}"));
    let odd = case.silent.iter().filter(has);
    let odd = odd.map(|part| format!("a note has {part:?}: {notes:#?}"));
    missing.chain(odd).collect()
}

/// A place off the hosts that has nothing yet.
struct Empty {
    asked: bool,
}

impl Custody for Empty {
    fn choice(&self) -> Choice {
        if self.asked {
            Choice::Keep
        } else {
            Choice::Unsaid
        }
    }

    fn holds(&self, _: &Deposit) -> Result<bool, CustodyError> {
        Ok(false)
    }

    fn keep(&self, _: &Deposit) -> Result<String, CustodyError> {
        unreachable!("nothing is performed")
    }

    fn fetches(&self) -> bool {
        true
    }

    fn has(&self, _: &Parcel) -> Result<bool, CustodyError> {
        Ok(false)
    }

    fn receive(&self, _: &Parcel, _: &Found) -> Result<Box<dyn Incoming>, CustodyError> {
        unreachable!("nothing is performed")
    }
}

/// What differs from what the case says.
fn compare(case: &Case, proposal: &Proposal) -> Vec<String> {
    let mut wrong = Vec::new();
    if case.error.is_some() {
        wrong.push("it could look".to_owned());
    }
    let ops: Vec<String> = proposal.ops.iter().map(spell).collect();
    if ops != case.ops {
        wrong.push(format!("ops: {ops:#?}"));
    }
    let mut unmet: Vec<&str> = proposal.unmet.iter().map(|unmet| unmet.name).collect();
    unmet.dedup();
    if unmet != case.unmet {
        wrong.push(format!("unmet: {:#?}", proposal.unmet));
    }
    let expected = |said: &&String| case.doubts.iter().any(|part| said.contains(part.as_str()));
    if proposal.doubts.iter().filter(expected).count() != proposal.doubts.len()
        || proposal.doubts.len() < case.doubts.len()
    {
        wrong.push(format!("doubts: {:#?}", proposal.doubts));
    }
    wrong.extend(misspoken(case, &proposal.notes));
    wrong
}

fn run_case(case: &Case) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
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

/// What is proposed to let NEW wait on a server whose files are as somebody left them.
fn staged(mode: &str, alter: impl FnOnce(&mut keyroll::sim::fleet::Host)) -> Proposal {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let rig = Rig::new("sim:3+0", true);
        let host = HostName::new("server-2").unwrap();
        rig.sim.with(|fleet| alter(fleet.host_mut(&host).unwrap()));
        let words = serde_yaml::from_str(&format!("k3s_token: {{ state: staged{mode} }}")).unwrap();
        rig.propose(&host, &step(&words), &Vars::default())
            .await
            .unwrap()
    })
}

const CONFIG: &str = "/etc/rancher/k3s/config.yaml";

#[test]
fn a_mode_that_is_too_wide_is_repaired_and_said_or_kept_on_request() {
    let widen = |host: &mut keyroll::sim::fleet::Host| host.disk.set_mode(CONFIG, 0o644);
    let last = |proposal: Proposal| {
        let op = proposal.ops.last().unwrap().clone();
        (spell(&op), op.why)
    };
    let (op, why) = last(staged("", widen));
    assert!(op.ends_with("/.config.yaml.keyroll-new 600"), "{op}");
    assert!(why.ends_with("with mode 0600 instead of 0644"), "{why}");
    let (op, why) = last(staged(", mode: keep", widen));
    assert!(op.ends_with("/.config.yaml.keyroll-new 644"), "{op}");
    assert!(!why.contains("mode"), "{why}");
}

#[test]
fn a_read_only_file_system_is_found_before_anything_is_changed() {
    let proposal = staged("", |host| host.disk.etc_read_only = true);
    assert!(
        proposal
            .unmet
            .iter()
            .any(|unmet| unmet.name == "not-writable"),
        "{:?}",
        proposal.unmet
    );
}

#[test]
fn a_config_file_behind_links_is_edited_where_they_lead() {
    use keyroll::sim::world::Files as _;
    let proposal = staged("", |host| {
        let text = host.disk.read(CONFIG).unwrap();
        host.disk
            .write("/etc/site/real.yaml", &text, 0o600)
            .unwrap();
        host.disk
            .symlink("../site/second", "/etc/rancher/first")
            .unwrap();
        host.disk.symlink("real.yaml", "/etc/site/second").unwrap();
        host.disk.remove(CONFIG).unwrap();
        host.disk.symlink("/etc/site/second", CONFIG).unwrap();
    });
    let ops: Vec<String> = proposal.ops.iter().map(spell).collect();
    assert!(
        ops.last()
            .unwrap()
            .contains("write /etc/site/.real.yaml.keyroll-new"),
        "{ops:?}"
    );
}

#[test]
fn a_token_file_that_is_the_node_token_link_is_refused() {
    use keyroll::sim::world::Files as _;
    let proposal = staged("", |host| {
        let text = "token-file: /var/lib/rancher/k3s/server/node-token\n";
        host.disk.write(CONFIG, text.as_bytes(), 0o600).unwrap();
    });
    let names: Vec<&str> = proposal.unmet.iter().map(|unmet| unmet.name).collect();
    assert_eq!(names, ["token-file-is-node-token"]);
}
