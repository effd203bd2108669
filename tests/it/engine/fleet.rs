//! A transport in memory that counts, a journal in memory, and plans built by hand.

use std::collections::{HashMap, HashSet, VecDeque};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, mpsc};

use futures::future::BoxFuture;
use keyroll::clock::Clock;
use keyroll::engine::{Ended, Run, StopLevel, Title};
use keyroll::event::{Event, EventKind, Sink, TaskOutcome};
use keyroll::facts::probe::{Fleet, RunOptions, Scope};
use keyroll::model::{HostName, HostTime, RunId, SameHosts};
use keyroll::plan::{Node, Plan, PlannedPlay};
use keyroll::playbook::Task;
use keyroll::secret::{Content, Secret};
use keyroll::steps::Step;
use keyroll::template::Templated;
use keyroll::wire::{
    Batch, Become, Change, FileKind, FileStat, Query, Ran, Request, Response, Transport,
    TransportError,
};
use petgraph::graph::{DiGraph, NodeIndex};
use tokio::sync::watch;

pub(super) const GIVEN: &str = "canary-given-5f1e";

/// What the next change on a host meets.
pub(super) enum Fate {
    NotStarted,
    Lost { done: bool },
    Unreachable,
    Fails(&'static str),
    Says(&'static str),
    Hangs,
}

#[derive(Default)]
pub(super) struct Model {
    pub(super) files: HashSet<(String, String)>,
    pub(super) changes: Vec<String>,
    pub(super) looks: usize,
    pub(super) fates: HashMap<String, VecDeque<Fate>>,
    /// Lines of operations that were on disk when the change arrived.
    pub(super) unannounced: Vec<String>,
    pub(super) raise: Option<(String, watch::Sender<StopLevel>, StopLevel)>,
}

/// Hosts in memory: `touch PATH` makes a file there.
#[derive(Clone, Default)]
pub(super) struct Hosts {
    pub(super) model: Arc<Mutex<Model>>,
    pub(super) journal: Arc<Mutex<Vec<Event>>>,
}

impl Hosts {
    pub(super) fn fate(&self, host: &str, fate: Fate) {
        self.model
            .lock()
            .unwrap()
            .fates
            .entry(host.into())
            .or_default()
            .push_back(fate);
    }

    pub(super) fn changes(&self) -> Vec<String> {
        self.model.lock().unwrap().changes.clone()
    }

    fn announced(&self, host: &str, words: &str) -> bool {
        let says = |event: &Event| matches!(&event.kind, EventKind::OpStarted { op, .. } if op.on.as_str() == host && op.why.contains(words));
        self.journal.lock().unwrap().iter().any(says)
    }

    fn answer(&self, host: &str, request: &Request) -> Response {
        let mut model = self.model.lock().unwrap();
        match request {
            Request::Query(Query::Stat { path, .. }) => {
                model.looks += 1;
                let there = model.files.contains(&(host.to_owned(), path.to_string()));
                Response::Stat(there.then(stat))
            }
            Request::Query(query) => panic!("not in this model: {query:?}"),
            Request::Change(Change::Run(command)) => {
                model
                    .changes
                    .push(format!("{host}: {}", command.argv.join(" ")));
                if let [program, path] = command.argv.as_slice()
                    && program == "touch"
                {
                    model.files.insert((host.to_owned(), path.clone()));
                }
                Response::Ran(ran(0, "", ""))
            }
            Request::Guard(guard) => panic!("not in this model: {guard:?}"),
            Request::Change(change) => panic!("not in this model: {change:?}"),
        }
    }
}

fn stat() -> FileStat {
    FileStat {
        kind: FileKind::File,
        mode: 0o600,
        uid: 0,
        gid: 0,
        size: 0,
        mtime: HostTime(0),
        ctime: HostTime(0),
    }
}

fn ran(status: i32, stdout: &str, stderr: &str) -> Ran {
    Ran {
        status,
        stdout: Content::from(stdout),
        stderr: Content::from(stderr),
        timed_out: false,
    }
}

impl Transport for Hosts {
    fn exec<'a>(
        &'a self,
        host: &'a HostName,
        batch: &'a Batch,
    ) -> BoxFuture<'a, Result<Vec<Response>, TransportError>> {
        Box::pin(async move {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            let changes = batch
                .requests
                .iter()
                .any(|request| matches!(request, Request::Change(_)));
            if !changes {
                return Ok(batch
                    .requests
                    .iter()
                    .map(|request| self.answer(host.as_str(), request))
                    .collect());
            }
            self.meet(host, batch).await
        })
    }
}

impl Hosts {
    async fn meet(&self, host: &HostName, batch: &Batch) -> Result<Vec<Response>, TransportError> {
        let Some(Request::Change(Change::Run(command))) = batch.requests.first() else {
            panic!("{batch:?}")
        };
        let words = command.argv.join(" ");
        let announced = self.announced(host.as_str(), &words);
        let (fate, raise) = {
            let mut model = self.model.lock().unwrap();
            if !announced {
                model.unannounced.push(words.clone());
            }
            let fate = model
                .fates
                .get_mut(host.as_str())
                .and_then(VecDeque::pop_front);
            (fate, model.raise.take_if(|(on, _, _)| on == host.as_str()))
        };
        if let Some((_, sender, level)) = raise {
            sender.send_replace(level);
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
        let answer = || {
            batch
                .requests
                .iter()
                .map(|request| self.answer(host.as_str(), request))
                .collect()
        };
        let (host, why) = (host.clone(), "the wire was cut".to_owned());
        match fate {
            None => Ok(answer()),
            Some(Fate::NotStarted) => Err(TransportError::NotStarted { host, why }),
            Some(Fate::Lost { done }) => {
                if done {
                    answer();
                }
                Err(TransportError::Unknown {
                    host,
                    done: Vec::new(),
                    why,
                })
            }
            Some(Fate::Unreachable) => Err(TransportError::Unreachable {
                host,
                why,
                hint: "see that sshd runs there".to_owned(),
            }),
            Some(Fate::Fails(said)) => Ok(vec![Response::Ran(ran(1, "", said))]),
            Some(Fate::Says(said)) => {
                answer();
                Ok(vec![Response::Ran(ran(0, said, ""))])
            }
            Some(Fate::Hangs) => std::future::pending().await,
        }
    }
}

/// A sink that keeps events.
pub(super) struct Kept(pub(super) Arc<Mutex<Vec<Event>>>);

impl Sink for Kept {
    fn on_events(&mut self, events: &[Event]) -> std::io::Result<()> {
        self.0.lock().unwrap().extend_from_slice(events);
        Ok(())
    }
}

pub(super) fn host(name: &str) -> HostName {
    HostName::new(name).unwrap()
}

/// `touch PATH`, satisfied when it is there.
pub(super) fn touch(path: &str) -> Task {
    task(&["touch", path], Some(path))
}

pub(super) fn task(argv: &[&str], creates: Option<&str>) -> Task {
    let literal = |text: &str| Templated::Literal(text.to_owned());
    let argv: Vec<_> = argv.iter().map(|word| literal(word)).collect();
    Task {
        name: format!("do {}", creates.unwrap_or("it")),
        step: Step::Command(keyroll::steps::command::Command {
            argv,
            creates: creates.map(literal),
        }),
        at: (0, 0).into(),
        when: Vec::new(),
        run_once: false,
        timeout: None,
        ignore_errors: false,
        undo: Vec::new(),
    }
}

pub(super) fn play(name: &str, batches: &[&[&str]], tasks: Vec<Task>) -> PlannedPlay {
    PlannedPlay {
        name: name.to_owned(),
        tasks: tasks.into(),
        batches: batches
            .iter()
            .map(|hosts| hosts.iter().map(|h| host(h)).collect())
            .collect(),
        vars: HashMap::new(),
        r#become: Become::Root,
        health: None,
        any_errors_fatal: false,
        max_fail_percentage: None,
        needs: Vec::new(),
    }
}

/// Plays one after the other.
pub(super) fn plan(plays: Vec<PlannedPlay>) -> Plan {
    let mut graph = DiGraph::new();
    let mut before: Option<NodeIndex> = None;
    for (p, play) in plays.iter().enumerate() {
        for (b, hosts) in play.batches.iter().enumerate() {
            let mut last: HashMap<&HostName, NodeIndex> = HashMap::new();
            for (t, task) in play.tasks.iter().enumerate() {
                let on = if task.run_once {
                    &hosts[..1]
                } else {
                    &hosts[..]
                };
                let mut now = last.clone();
                for host in on {
                    let node = graph.add_node(Node::Task {
                        play: p,
                        batch: b,
                        task: t,
                        host: host.clone(),
                    });
                    let waits: Vec<NodeIndex> = if task.run_once {
                        last.values().copied().collect()
                    } else {
                        last.get(host).copied().into_iter().collect()
                    };
                    for from in if waits.is_empty() {
                        before.into_iter().collect()
                    } else {
                        waits
                    } {
                        graph.add_edge(from, node, ());
                    }
                    now.insert(host, node);
                    if task.run_once {
                        now = hosts.iter().map(|host| (host, node)).collect();
                    }
                }
                last = now;
            }
            let gate = graph.add_node(Node::Gate { play: p, batch: b });
            let ends: HashSet<NodeIndex> = last.values().copied().collect();
            for end in ends {
                graph.add_edge(end, gate, ());
            }
            before = Some(gate);
        }
    }
    Plan {
        plays,
        graph,
        notes: Vec::new(),
    }
}

pub(super) struct Setup {
    pub(super) hosts: Hosts,
    pub(super) plan: Plan,
    pub(super) check: bool,
    pub(super) read_only: bool,
    pub(super) screens: Vec<Box<dyn Sink>>,
    pub(super) journal: Option<Box<dyn Sink>>,
}

impl Setup {
    pub(super) fn new(hosts: &Hosts, plan: Plan) -> Self {
        Self {
            hosts: hosts.clone(),
            plan,
            check: false,
            read_only: false,
            screens: Vec::new(),
            journal: None,
        }
    }

    pub(super) fn check(mut self) -> Self {
        self.check = true;
        self
    }

    /// Runs on virtual time to the end.
    pub(super) fn run(self) -> Ended {
        let (_sender, stop) = watch::channel(StopLevel::Run);
        self.run_with(stop)
    }

    pub(super) fn run_with(self, stop: watch::Receiver<StopLevel>) -> Ended {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let (learn, learned) = mpsc::channel();
            let options = RunOptions {
                given: Some(Secret::new(GIVEN)),
                generated: Secret::new("canary-made-77aa"),
                agent: keyroll::facts::NewAgentToken {
                    given: None,
                    generated: Secret::new("canary-made-88bb"),
                },
                run: RunId("20261122-041505-3f2a".into()),
                forks: NonZeroUsize::new(50).unwrap(),
                words: keyroll::facts::Words::default(),
            };
            let clock = Clock::starting_at("2026-11-22T04:15:05Z".parse().unwrap(), 1);
            let scope = Scope::new(
                Arc::new(self.hosts.clone()),
                Fleet::default(),
                options,
                clock,
                learn,
            );
            Run {
                plan: Arc::new(self.plan),
                scope: Arc::new(scope),
                learned,
                journal: self
                    .journal
                    .unwrap_or_else(|| Box::new(Kept(Arc::clone(&self.hosts.journal)))),
                screens: self.screens,
                title: Title {
                    run: RunId("20261122-041505-3f2a".into()),
                    playbook: "p.yml".into(),
                    inventory: "i.ini".into(),
                    again: "keyroll run p.yml -i i.ini".into(),
                    really: "keyroll run p.yml -i i.ini".into(),
                    hosts: Some(SameHosts {
                        looking: "-i sim".into(),
                        performing: "-i sim".into(),
                    }),
                },
                check: self.check,
                read_only: self.read_only,
                stop,
            }
            .perform()
            .await
        })
    }
}

/// How each task ended, as `key: outcome`.
pub(super) fn outcomes(hosts: &Hosts) -> Vec<String> {
    let said = |event: &Event| match &event.kind {
        EventKind::TaskEnded { key, outcome, .. } => Some(format!(
            "{key}: {}",
            match outcome {
                TaskOutcome::Satisfied => "satisfied".to_owned(),
                TaskOutcome::Changed => "changed".to_owned(),
                TaskOutcome::NotApplicable => "not applicable".to_owned(),
                TaskOutcome::Failed(_) => "failed".to_owned(),
                TaskOutcome::Ignored(_) => "ignored".to_owned(),
                TaskOutcome::Skipped { because } => format!("skipped because of {because}"),
            }
        )),
        _ => None,
    };
    hosts
        .journal
        .lock()
        .unwrap()
        .iter()
        .filter_map(said)
        .collect()
}
