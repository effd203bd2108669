//! The one edge between the loop and the sinks: numbers, dates, redacts, counts and writes events.

use std::sync::mpsc::Receiver;

use tokio::sync::oneshot;

use super::{Ended, Title};
use crate::clock::Clock;
use crate::engine::bus::Message;
use crate::engine::redact::Redactor;
use crate::engine::stop::StopLevel;
use crate::engine::tally::Tally;
use crate::engine::texts;
use crate::event::{Event, EventKind, Failure, Sink};
use crate::exit::Exit;
use crate::facts::{Fleet, RunOptions};
use crate::model::{SameHosts, TaskKey};
use crate::secret::Secret;

/// Events on their way to the sinks.
pub(super) struct Ledger {
    journal: Box<dyn Sink>,
    screens: Vec<Box<dyn Sink>>,
    learned: Receiver<Secret>,
    clock: Clock,
    hosts: Option<SameHosts>,
    redactor: Redactor,
    tally: Tally,
    seq: u64,
    queued: Vec<Event>,
    waiting: Vec<oneshot::Sender<()>>,
    broken: Option<String>,
    unshown: Option<String>,
}

impl Ledger {
    pub(super) fn new(
        (journal, screens): (Box<dyn Sink>, Vec<Box<dyn Sink>>),
        learned: Receiver<Secret>,
        clock: Clock,
        hosts: Option<SameHosts>,
    ) -> Self {
        Self {
            journal,
            screens,
            learned,
            clock,
            hosts,
            redactor: Redactor::default(),
            tally: Tally::default(),
            seq: 0,
            queued: Vec::new(),
            waiting: Vec::new(),
            broken: None,
            unshown: None,
        }
    }

    /// Learns the secrets that the operator gave or that were made for the run.
    pub(super) fn learn(&mut self, options: &RunOptions) {
        for secret in options
            .given
            .iter()
            .chain(&options.words.old)
            .chain(&options.words.datastore)
            .chain(&options.agent.given)
            .chain([&options.generated, &options.agent.generated])
        {
            self.redactor.learn(secret);
        }
    }

    /// Queues an event.
    pub(super) fn add(&mut self, kind: EventKind) {
        let at = self.clock.now();
        self.queued.push(Event {
            seq: self.seq,
            at,
            kind,
        });
        self.seq += 1;
    }

    /// Whether the journal can no longer be written.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// Queues what tasks said; they go on once it is written.
    pub(super) fn add_all(&mut self, messages: impl Iterator<Item = Message>) {
        for Message { kind, written } in messages {
            self.add(kind);
            self.waiting.push(written);
        }
    }

    /// Writes what has queued up: first the journal, synced, then the screens. Dropped acks end their tasks.
    pub(super) fn write(&mut self) {
        while let Ok(secret) = self.learned.try_recv() {
            self.redactor.learn(&secret);
        }
        let mut events = std::mem::take(&mut self.queued);
        let waiting = std::mem::take(&mut self.waiting);
        if events.is_empty() {
            return;
        }
        for event in &mut events {
            if let Some(hosts) = &self.hosts {
                event.kind.name_hosts(hosts);
            }
            texts::redact(event, &self.redactor);
            self.tally.count(&event.kind);
        }
        if self.broken.is_none() {
            match self.journal.on_events(&events) {
                Ok(()) => waiting.into_iter().for_each(|task| {
                    // A task that was cut at its deadline no longer listens.
                    task.send(()).ok();
                }),
                Err(error) => self.broken = Some(error.to_string()),
            }
        }
        // A screen that is gone, such as a closed pipe, is no reason to stop in the middle of a cluster.
        let unshown = &mut self.unshown;
        self.screens
            .retain_mut(|screen| match screen.on_events(&events) {
                Ok(()) => true,
                Err(error) => {
                    let went = error.kind() == std::io::ErrorKind::BrokenPipe;
                    *unshown = unshown.take().or((!went).then(|| error.to_string()));
                    false
                }
            });
    }

    /// What a task has begun to change and was not answered yet.
    pub(super) fn doing(&self, key: &TaskKey) -> Vec<String> {
        self.tally.doing(key)
    }

    /// Whether a task or a gate has failed so far.
    pub(super) fn has_failed(&self) -> bool {
        self.tally.has_failed()
    }

    /// Counts the hosts of the fleet that the run was not to visit.
    pub(super) fn left_out(&mut self, fleet: &Fleet) {
        self.tally.left_out(fleet);
    }

    /// Only a green proof is well.
    pub(super) fn be_strict(&mut self) {
        self.tally.be_strict();
    }

    /// Counts what kept the run from beginning.
    pub(super) fn not_begun(&mut self, why: Failure) {
        let (key, failure) = (TaskKey("before the first play".to_owned()), Some(why));
        let mut ended = EventKind::GateEnded { key, failure };
        if let Some(hosts) = &self.hosts {
            ended.name_hosts(hosts);
        }
        self.tally.count(&ended);
    }

    /// Writes the last event. `can_go_back`: what the run has left half done can be taken back.
    pub(super) fn end(
        mut self,
        check: bool,
        level: StopLevel,
        title: &Title,
        can_go_back: bool,
    ) -> Ended {
        if let Some(why) = &self.broken {
            let failure = Failure {
                what: vec![format!("the journal could not be written: {why}")],
                next: vec![
                    "make room for the journal or name another place with --state-dir".to_owned(),
                ],
                exit: Exit::Journal,
            };
            let (key, failure) = (TaskKey("journal".to_owned()), Some(failure));
            self.tally.count(&EventKind::GateEnded { key, failure });
        }
        let (exit, mut summary) =
            std::mem::take(&mut self.tally).end(check, level, &title.again, &title.really);
        if can_go_back && self.hosts.is_some() {
            let back = "; or take the rotation back: keyroll rollback -i INVENTORY";
            summary.next.push_str(back);
        }
        if let Some(hosts) = &self.hosts {
            hosts.fill(&mut summary.next);
        }
        self.add(EventKind::RunEnded {
            exit,
            summary: summary.clone(),
        });
        self.write();
        let exit = if self.broken.is_some() {
            Exit::Journal
        } else {
            exit
        };
        Ended {
            exit,
            summary,
            unshown: self.unshown,
        }
    }
}
