//! A simulated fleet behind a wire that breaks on purpose, and runs on it.

use std::sync::{Arc, Mutex, mpsc};

use keyroll::clock::Clock;
use keyroll::engine::{Run, StopLevel, Title};
use keyroll::event::{Event, EventKind, Failure, Sink, TaskOutcome};
use keyroll::exit::Exit;
use keyroll::facts::{Fleet, Member, NewAgentToken, RunOptions, Scope, Words};
use keyroll::inventory::Inventory;
use keyroll::model::{HostName, RunId, SameHosts};
use keyroll::plan::{self, Plan, Request as Ask};
use keyroll::playbook;
use keyroll::secret::Secret;
use keyroll::sim::{self, Spec};
use keyroll::steps::look::restart_order;
use keyroll::transport::sim::SimTransport;
use tokio::sync::watch;

use super::escrow::Escrow;
use super::wire::{Cut, Wire};

/// How a run ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) exit: Exit,
    pub(super) roots: Vec<String>,
    /// What to do next, as the summary says it.
    pub(super) next: String,
}

/// A fleet and its books.
pub(super) struct Rig {
    runtime: tokio::runtime::Runtime,
    inner: Inner,
}

pub(super) struct Inner {
    pub(super) wire: Wire,
    pub(super) inventory: Inventory,
    pub(super) clock: Clock,
    pub(super) old: String,
    /// What the next run performs, and on which host alone.
    pub(super) book: (&'static str, Option<&'static str>),
    /// What was said of the time between a rotate and its flip.
    pub(super) windows: Vec<String>,
    /// What the first run left.
    pub(super) left: Left,
    pub(super) escrow: Option<Escrow>,
    /// Whether the operator lets shapes through that nobody has measured.
    pub(super) unmeasured: bool,
    /// What a rescue is told that the datastore has.
    pub(super) token_from: Option<&'static str>,
}

/// What the first run left.
#[derive(Default)]
pub(super) struct Left {
    /// The datastore's token.
    pub(super) datastore: Option<String>,
    /// Whether its own token waits beside a surface.
    pub(super) is_staged: bool,
    /// Whether OLD was forgotten everywhere.
    pub(super) is_over: bool,
    /// Whether somebody has put a config file back.
    pub(super) put_back: bool,
    /// How many changes it tried.
    seen: usize,
}

struct Keep(Arc<Mutex<Vec<Event>>>);

impl Sink for Keep {
    fn on_events(&mut self, events: &[Event]) -> std::io::Result<()> {
        self.0.lock().unwrap().extend_from_slice(events);
        Ok(())
    }
}

/// The token that the n-th run makes.
pub(super) fn made(run: usize) -> String {
    format!("{run:032x}")
}

/// The agent token that it makes.
pub(super) fn made_for_agents(run: usize) -> String {
    format!("a{run:031x}")
}

impl Rig {
    pub(super) fn new(fleet: &str) -> Self {
        let spec: Spec = sim::spec::parse(fleet).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let guard = runtime.enter();
        let clock = Clock::starting_at("2026-11-22T04:00:00Z".parse().unwrap(), 1);
        drop(guard);
        let sim = SimTransport::open(&spec, clock).unwrap();
        let inner = Inner {
            old: sim.with(|fleet| fleet.first_secret().expose().to_owned()),
            wire: Wire::new(sim),
            inventory: spec.inventory(),
            clock,
            book: ("@rotate-token", None),
            windows: Vec::new(),
            left: Left::default(),
            escrow: None,
            unmeasured: false,
            token_from: None,
        };
        Self { runtime, inner }
    }

    /// The same, and OLD is kept off the hosts.
    pub(super) fn escrowing(fleet: &str) -> Self {
        let mut rig = Self::new(fleet);
        rig.inner.escrow = Some(Escrow::new());
        rig
    }

    pub(super) fn block_on<T>(&mut self, work: impl AsyncFnOnce(&mut Inner) -> T) -> T {
        self.runtime.block_on(work(&mut self.inner))
    }

    /// How many changes the first run tried.
    pub(super) fn seen(&self) -> usize {
        self.inner.left.seen
    }
}

impl Inner {
    pub(super) fn fleet(&self) -> Fleet {
        let members = |group: &str| {
            let hosts = self
                .inventory
                .groups
                .iter()
                .find(|(name, _)| name.as_str() == group);
            let member = |host: &HostName| Member {
                name: host.clone(),
                address: self.inventory.hosts[host].connect.address.clone().unwrap(),
            };
            hosts
                .map(|(_, hosts)| hosts.iter().map(member).collect())
                .unwrap_or_default()
        };
        Fleet {
            servers: members("server"),
            agents: members("agent"),
        }
    }

    fn scope(&self, number: usize, learn: mpsc::Sender<Secret>) -> Scope {
        let options = RunOptions {
            given: None,
            generated: Secret::new(made(number)),
            agent: NewAgentToken {
                given: None,
                generated: Secret::new(made_for_agents(number)),
            },
            run: RunId(format!("run-{number}")),
            forks: std::num::NonZeroUsize::new(50).unwrap(),
            words: Words {
                quorum_loss: true,
                unmeasured: self.unmeasured,
                proof_only: self.book.0 == "@verify",
                datastore: self
                    .token_from
                    .filter(|_| self.book.0 == "@rescue")
                    .map(Secret::new),
                ..Words::default()
            },
        };
        let wire = Arc::new(self.wire.clone());
        let scope = Scope::new(wire, self.fleet(), options, self.clock, learn);
        match &self.escrow {
            Some(escrow) => scope.with_custody(escrow.of(number)),
            None => scope,
        }
    }

    /// The book's plan with its servers in this order.
    fn plan(&self, order: &[HostName]) -> Plan {
        let book = playbook::read(self.book.0).unwrap_or_else(|_| panic!("it is built in"));
        let asking = book.plays.iter().enumerate();
        let asking = asking.filter(|(_, play)| play.order == playbook::Order::JoinTargetFirst);
        let ask = Ask {
            orders: asking.map(|(index, _)| (index, order.to_vec())).collect(),
            limit: self.book.1.map(str::to_owned),
        };
        plan::build(&book, &self.inventory, &ask).unwrap_or_else(|_| panic!("it plans"))
    }

    /// One run, as a new process.
    pub(super) async fn run(&mut self, number: usize, cut: Cut, check: bool) -> Ended {
        let (raise, stop) = watch::channel(StopLevel::Run);
        self.wire.mend(cut, raise);
        let (learn, learned) = mpsc::channel();
        let scope = self.scope(number, learn);
        let order = match restart_order(&scope).await {
            Ok(order) => order,
            Err(error) => {
                return Ended {
                    exit: Exit::Unreachable,
                    roots: vec![error.to_string()],
                    next: String::new(),
                };
            }
        };
        let events = Arc::new(Mutex::new(Vec::new()));
        let ended = Run {
            plan: Arc::new(self.plan(&order)),
            scope: Arc::new(scope),
            learned,
            journal: Box::new(Keep(Arc::clone(&events))),
            screens: Vec::new(),
            title: title(number),
            check,
            read_only: false,
            stop,
        }
        .perform()
        .await;
        if number == 1 {
            self.left = self.what_is_left(cut);
        }
        let summary = ended.summary;
        self.windows = summary.notes;
        self.windows
            .retain(|note| note.starts_with("wrong-token window"));
        let roots = summary.roots.iter().map(|(key, failure)| {
            let (what, next) = (failure.what.join(" / "), failure.next.join(" / "));
            format!("{key}: {what}; next: {next}")
        });
        Ended {
            exit: ended.exit,
            roots: roots.chain(undone(&events.lock().unwrap())).collect(),
            next: summary.next,
        }
    }

    fn what_is_left(&self, cut: Cut) -> Left {
        let datastore = self.datastore();
        Left {
            is_staged: self.is_staged(),
            is_over: datastore == Some(made(1)) && !self.is_kept(),
            put_back: matches!(cut, Cut::PutBack(_) | Cut::AllPutBack(_)),
            seen: self.tried(),
            datastore,
        }
    }
}

fn title(number: usize) -> Title {
    Title {
        run: RunId(format!("run-{number}")),
        playbook: "@rotate-token".into(),
        inventory: "sim".into(),
        again: "keyroll run @rotate-token".into(),
        really: "keyroll run @rotate-token".into(),
        hosts: Some(SameHosts {
            looking: "-i sim".into(),
            performing: "-i sim".into(),
        }),
    }
}

fn undone(events: &[Event]) -> Vec<String> {
    let said = |event: &Event| match &event.kind {
        EventKind::TaskEnded {
            key,
            outcome: TaskOutcome::Failed(Failure { what, .. }),
            ..
        } if key.0.starts_with("undo:") => Some(format!("{key}: {}", what.join(" / "))),
        EventKind::TaskEnded { key, .. } if key.0.starts_with("undo:") => {
            Some(format!("{key}: done"))
        }
        _ => None,
    };
    events.iter().filter_map(said).collect()
}
