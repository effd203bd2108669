//! One performance: lock, journal, screens, transport, engine, and the order in which they are let go.

use std::collections::HashMap;
use std::sync::{Arc, mpsc};

use camino::Utf8PathBuf;
use jiff::Timestamp;
use tokio::sync::watch;

use super::books::{self, Books};
use super::fleet::{self, Way};
use super::run::{finish, pace, request};
use super::trouble::{Trouble, unasked};
use super::{Desk, UNWRITTEN, UNWRITTEN_NEXT, places};
use crate::cli;
use crate::clock::Clock;
use crate::engine::{Ended, Run, StopLevel, Title, raise_on_signals};
use crate::event::{Event, Failure, Sink};
use crate::exit::Exit;
use crate::facts::{Fleet, RunOptions, Scope};
use crate::journal::{self, Journal, Lock};
use crate::model::HostName;
use crate::op::custody::Custody;
use crate::plan::{Plan, Request};
use crate::playbook::{Order, Task};
use crate::report::{Brief, Json, Lines, Verbosity, Writer};
use crate::secret::Secret;
use crate::steps::Step;
use crate::steps::look::restart_order;
use crate::transport::sim::SimTransport;
use crate::transport::ssh::Holds;

/// When virtual time begins: 2026-01-01 00:00 UTC.
const REHEARSAL: Timestamp = Timestamp::constant(1_767_225_600, 0);

/// What a performance is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// To change hosts: under a lock, with a journal.
    Run,
    /// To look only, with one line at the end when short.
    Look {
        /// One line.
        short: bool,
    },
}

/// What a performance needs, read and checked.
pub(super) struct Session<'a> {
    pub(super) desk: &'a Desk,
    pub(super) asked: &'a cli::Run,
    pub(super) books: Books,
    pub(super) options: RunOptions,
    pub(super) state: Utf8PathBuf,
    pub(super) custody: Arc<dyn Custody>,
    pub(super) manner: Manner,
}

impl Session<'_> {
    /// Performs; third signal leaves.
    pub(super) async fn perform(self) -> Result<Ended, Trouble> {
        let (raise, stop) = watch::channel(StopLevel::Run);
        let clock = self.clock();
        // Before a kept fleet is read, and until it is kept again.
        let _lock = self.lock()?;
        let way = self.way(clock)?;
        if self.changes() {
            way.try_keeping()?;
        }
        let ended = tokio::select! {
            biased;
            ended = self.work(&way, clock, stop) => ended,
            heard = raise_on_signals(raise) => Err(left(heard)),
        };
        let closed = way.close(!self.changes()).await;
        let ended = shown(ended?);
        closed.map(|()| ended)
    }

    /// Whether time jumps to the next thing that happens.
    pub(super) fn is_virtual(&self) -> bool {
        self.books.sim.is_some() && self.asked.perform.pace.is_none()
    }

    /// Virtual time always begins at the same moment, so that a rehearsal is the same each time.
    fn clock(&self) -> Clock {
        Clock::starting_at(begin(self.is_virtual()), pace(self.asked.perform.pace))
    }

    fn way(&self, clock: Clock) -> Result<Way, Trouble> {
        let books = &self.books;
        let simulated = books.sim.as_ref().map(|spec| (spec, clock));
        let reach = &self.asked.perform.reach;
        Way::open(self.desk, simulated, reach, &books.inventory, &self.state)
    }

    async fn work(
        &self,
        way: &Way,
        clock: Clock,
        stop: watch::Receiver<StopLevel>,
    ) -> Result<Ended, Trouble> {
        way.warn().await;
        let journal = self.journal()?;
        let (learn, learned) = mpsc::channel();
        self.teach(&learn);
        let who = fleet::who(&self.books.inventory);
        let mut options = self.options.clone();
        options.words.stated = self.books.inventory.stated();
        options.words.left_out = self.left_out(&who)?;
        let scope = Scope::new(way.transport(), who, options, clock, learn)
            .with_custody(Arc::clone(&self.custody));
        let mut holds = if self.changes() {
            way.hold(&scope.fleet.servers, &self.options.run).await?
        } else {
            Holds::default()
        };
        let (mut plan, unseen) = self.plan(&scope).await?;
        let looks_first = unseen.is_some() && self.looks_first();
        if looks_first {
            plan = self.first_look()?;
        }
        let run = Run {
            plan: Arc::new(plan),
            scope: Arc::new(scope),
            learned,
            journal,
            screens: vec![self.screen()],
            title: self.title(),
            check: self.asked.only.check,
            read_only: self.only_looks() || looks_first,
            stop,
        };
        if let Some(why) = unseen {
            return Ok(if looks_first {
                let ended = run.perform().await;
                // Whoever could not be asked in which order servers restart may be back by now.
                if ended.exit == Exit::Fine {
                    Writer::standard()
                        .talk(&format!("error: {}", why.what.join("; ")))
                        .ok();
                }
                let exit = Exit::first_of([ended.exit, why.exit]);
                Ended { exit, ..ended }
            } else {
                run.end_unbegun(why)
            });
        }
        Ok(tokio::select! {
            biased;
            ended = run.perform() => ended,
            never = holds.keep() => match never {},
        })
    }

    /// Whether the first play does nothing but look at its hosts.
    fn looks_first(&self) -> bool {
        let first = self.books.playbook.plays.first();
        let looks = |task: &Task| matches!(task.step, Step::K3sPreflight(_));
        first.is_some_and(|play| !play.tasks.is_empty() && play.tasks.iter().all(looks))
    }

    /// The first play alone: where the servers' order cannot be looked up nothing is begun, and all that stands in the way is told.
    fn first_look(&self) -> Result<Plan, Trouble> {
        let mut books = self.books.clone();
        books.playbook.plays.truncate(1);
        let plan = books.plan(&request(self.asked))?;
        Ok(finish(plan, self.asked))
    }

    /// Hosts of the fleet that `--limit` leaves out.
    fn left_out(&self, who: &Fleet) -> Result<Vec<HostName>, Trouble> {
        let Some(pattern) = &self.asked.books.hosts.limit else {
            return Ok(Vec::new());
        };
        let limit = books::limited(&self.books.inventory, pattern)?;
        let all = who.servers.iter().chain(&who.agents);
        let left = all.filter(|member| !limit.contains(&member.name));
        Ok(left.map(|member| member.name.clone()).collect())
    }

    /// Whether anything may be other afterwards.
    fn changes(&self) -> bool {
        !self.asked.only.check && !self.only_looks()
    }

    fn only_looks(&self) -> bool {
        matches!(self.manner, Manner::Look { .. })
    }

    /// What only looks leaves nothing behind: it may come by each minute.
    fn journal(&self) -> Result<Box<dyn Sink>, Trouble> {
        if self.only_looks() {
            return Ok(Box::new(Nowhere));
        }
        Ok(Box::new(Journal::create(&self.state, &self.options.run)?))
    }

    /// A dry run changes nothing and a fresh simulated fleet is nobody else's: only runs on what lasts lock.
    fn lock(&self) -> Result<Option<Lock>, Trouble> {
        if !self.changes() {
            return Ok(None);
        }
        let names: Vec<String> = if let Some(spec) = &self.books.sim {
            let Some(file) = SimTransport::kept_in(spec).map_err(fleet::unkept)? else {
                return Ok(None);
            };
            vec![file.into_string()]
        } else {
            let servers = fleet::who(&self.books.inventory).servers;
            servers.into_iter().map(|member| member.address).collect()
        };
        let names = names.iter().map(String::as_str);
        Ok(Some(journal::lock(&self.state, names, &self.options.run)?))
    }

    /// Secrets that the inventory holds.
    fn teach(&self, learn: &mpsc::Sender<Secret>) {
        for secret in self.books.inventory.secrets() {
            // The other end is held by the same function.
            learn.send(secret).ok();
        }
    }

    /// The plan, with the servers' own order looked up where a play asks for it, or why that could not be.
    async fn plan(&self, scope: &Scope) -> Result<(Plan, Option<Failure>), Trouble> {
        let plays = self.books.playbook.plays.iter().enumerate();
        let asking: Vec<usize> = plays
            .filter(|(_, play)| play.order == Order::JoinTargetFirst)
            .map(|(index, _)| index)
            .collect();
        let found = if asking.is_empty() {
            Ok(Vec::new())
        } else {
            restart_order(scope).await
        };
        let (orders, unseen) = match found {
            Ok(order) => {
                let orders = asking.into_iter().map(|index| (index, order.clone()));
                (orders.collect(), None)
            }
            Err(error) => (HashMap::new(), Some(unasked(&error))),
        };
        let plan = self.books.plan(&Request {
            orders,
            ..request(self.asked)
        })?;
        for note in &plan.notes {
            Writer::standard().talk(&format!("note: {note}")).ok();
        }
        Ok((finish(plan, self.asked), unseen))
    }

    fn screen(&self) -> Box<dyn Sink> {
        let desk = self.desk;
        if self.asked.perform.json {
            return Box::new(Json(Writer::standard()));
        }
        if self.manner == (Manner::Look { short: true }) {
            return Box::new(Brief(Writer::standard()));
        }
        let moving = desk.out_is_terminal && desk.talk_is_terminal;
        let paint = desk.paint(desk.out_is_terminal);
        Box::new(Lines::new(
            Writer::standard(),
            paint,
            Verbosity::of(self.asked.perform.verbose),
            moving,
        ))
    }

    fn title(&self) -> Title {
        let (again, really) = places::command_lines();
        Title {
            run: self.options.run.clone(),
            playbook: self.asked.books.playbook.clone(),
            inventory: self.asked.books.hosts.inventory.clone(),
            again,
            really,
            hosts: self.asked.same_hosts(),
        }
    }
}

/// The end, which is no good one when what was to be told could not be written.
fn shown(mut ended: Ended) -> Ended {
    if let Some(why) = &ended.unshown {
        ended.exit = Exit::first_of([ended.exit, Exit::Journal]);
        for line in [
            format!("error: {UNWRITTEN}: {why}"),
            format!("next: {UNWRITTEN_NEXT}"),
        ] {
            // When stderr is gone too there is nobody left to tell.
            Writer::standard().talk(&line).ok();
        }
    }
    ended
}

/// Keeps nothing.
struct Nowhere;

impl Sink for Nowhere {
    fn on_events(&mut self, _: &[Event]) -> std::io::Result<()> {
        Ok(())
    }
}

/// When a clock begins.
pub(super) fn begin(is_virtual: bool) -> Timestamp {
    if is_virtual {
        REHEARSAL
    } else {
        Timestamp::now()
    }
}

pub(super) fn left(heard: std::io::Result<()>) -> Trouble {
    match heard {
        Ok(()) => Trouble::said(
            Exit::Stopped,
            "left before the run had ended",
            "run the same command again: keyroll looks first and goes on from where the cluster is",
        ),
        Err(error) => Trouble::said(
            Exit::Internal,
            format!("signals cannot be heard: {error}"),
            "report this",
        ),
    }
}
