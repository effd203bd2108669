//! A simulated fleet that steps look at, and what happens to it before they do.

use std::sync::Arc;
use std::time::Duration;

use keyroll::clock::Clock;
use keyroll::facts::{Fleet, Member, NewAgentToken, Overlay, Probe, RunOptions, Scope};
use keyroll::model::{HostName, RunId};
use keyroll::op::{Act, Op};
use keyroll::secret::{Content, Secret, Stated};
use keyroll::sim::Spec;
use keyroll::sim::version::Version;
use keyroll::sim::world::Files as _;
use keyroll::steps::{Proposal, Step, StepError};
use keyroll::template::Vars;
use keyroll::transport::sim::SimTransport;
use keyroll::wire::{
    Batch, Become, Change, Command, Owner, Query, Request, Response, Transport, WriteFile,
};

use super::case::{Before, Case};
use super::custody::Empty;
use super::step;

/// The token that every case rotates to, unless `given: false`.
const NEW: &str = "0123456789abcdef0123456789abcdef";
const GENERATED: &str = "fedcba9876543210fedcba9876543210";
/// The same for the agent token.
const NEW_AGENT: &str = "89abcdef0123456789abcdef01234567";
const GENERATED_AGENT: &str = "76543210fedcba9876543210fedcba98";
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
            agent: NewAgentToken {
                given: given.then(|| Secret::new(NEW_AGENT)),
                generated: Secret::new(GENERATED_AGENT),
            },
            run: RunId("test".to_owned()),
            forks: std::num::NonZeroUsize::MIN,
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

    pub(super) fn of(case: &Case) -> Self {
        let rig = Self::new(&case.fleet, case.given);
        let Some(asked) = case.custody else {
            return rig;
        };
        let scope = rig.scope.with_custody(Arc::new(Empty { asked }));
        Self { scope, ..rig }
    }

    /// What the case's command line and inventory say; before it, all hosts are in the inventory.
    pub(super) fn ask_as(&mut self, case: &Case) {
        let first = self.sim.with(|fleet| fleet.first_secret());
        let stated = case.stated.iter().map(|(name, place, text)| {
            let text = text.replace("first", first.expose());
            Stated {
                name: name.clone(),
                place: place.clone(),
                texts: (!text.is_empty()).then(|| vec![Secret::new(text)]),
            }
        });
        let words = &mut self.scope.options.words;
        words.stated = stated.collect();
        words.old = case.old.as_ref().map(|old| match old.as_str() {
            "first" => first,
            other => Secret::new(other),
        });
        words.proof_only = case.verify;
        words.ignored.clone_from(&case.ignored);
        words.max_age = case.max_age.map(Duration::from_secs);
        let accepts = |word: &str| case.accepts.iter().any(|said| said == word);
        (words.unmeasured, words.quorum_loss) = (accepts("unmeasured"), accepts("quorum-loss"));
        words.keep_modes = accepts("keep-modes");
        let left_out = case.left_out.iter();
        words.left_out = left_out.map(|name| HostName::new(name).unwrap()).collect();
        words.own_backup = accepts("own-backup");
        self.scope.options.words.expected.clone_from(&case.expected);
        if case.verify {
            self.scope.options.given = None;
            self.scope.options.run = RunId("another".to_owned());
        }
        let fleet = &mut self.scope.fleet;
        let taken = |members: &mut Vec<Member>, names: &[String]| -> Vec<Member> {
            let is_named = |member: &mut Member| names.iter().any(|it| it == member.name.as_str());
            members.extract_if(.., is_named).collect()
        };
        let servers = taken(&mut fleet.agents, &case.as_servers);
        let agents = taken(&mut fleet.servers, &case.as_agents);
        fleet.servers.extend(servers);
        fleet.agents.extend(agents);
        put_in_both(fleet, &case.as_both);
        let away = case.away.iter().map(|name| Member {
            name: HostName::new(name).unwrap(),
            address: name.clone(),
        });
        fleet.agents.extend(away);
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

    pub(super) fn hosts(&self, names: &str) -> Vec<HostName> {
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

    pub(super) async fn before(&self, before: &Before) {
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
            } else if let Some((path, target)) = &before.link {
                self.sim.with(|fleet| {
                    let disk = &mut fleet.host_mut(&host).unwrap().disk;
                    disk.symlink(target, path).unwrap();
                });
            } else if before.leaves_etcd {
                self.sim
                    .with(|fleet| fleet.host_mut(&host).unwrap().is_member = false);
            } else if before.stale_member {
                self.sim
                    .with(|fleet| fleet.host_mut(&host).unwrap().stale_members += 1);
            } else if let Some(name) = &before.program {
                let program = Version::named(name);
                assert!(program.is_some(), "{name} has no model");
                self.sim
                    .with(|fleet| fleet.host_mut(&host).unwrap().program = program);
            } else if let Some(line) = &before.journal {
                for _ in 0..before.times.unwrap_or(1) {
                    self.sim.with(|fleet| fleet.journal_says(&host, line));
                }
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

/// Lets the inventory have these hosts among the servers and among the agents.
fn put_in_both(fleet: &mut Fleet, both: &[String]) {
    for name in both {
        let is_named = |member: &&Member| member.name.as_str() == name;
        let named = fleet.servers.iter().chain(&fleet.agents).find(is_named);
        let named = named.unwrap().clone();
        for members in [&mut fleet.servers, &mut fleet.agents] {
            members.retain(|member| member.name != named.name);
            members.push(named.clone());
        }
    }
}
