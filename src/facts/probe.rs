//! The hand with which steps look: it takes only queries, so there is no way to change a host through it.

mod fleet;
mod options;
mod overlay;
mod shared;
mod tuple;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use tokio::sync::Semaphore;

use super::{Fact, FactError, HostClock};
use crate::clock::Clock;
use crate::model::HostName;
use crate::op::custody::{Custody, Nowhere};
use crate::secret::Secret;
use crate::template::Vars;
use crate::wire::{Batch, Become, Query, Request, Response, Transport, TransportError};

pub use fleet::{Fleet, Member};
pub use options::{NewAgentToken, RunOptions, Words};
pub use overlay::Overlay;
pub use shared::Settled;
pub use tuple::Tried;

/// How long an answer about *another* host may be used again.
const FRESH: jiff::SignedDuration = jiff::SignedDuration::from_secs(30);

/// No variables and no predictions: what a look outside any task has.
static NOTHING: LazyLock<(Vars, Overlay)> = LazyLock::new(Default::default);

/// A host, and what it was asked.
type Asked = (HostName, Vec<Query>);

/// The last answer to a question.
#[derive(Clone)]
struct Answered {
    /// How often the host was changed before.
    changes: u64,
    at: Timestamp,
    responses: Arc<[Response]>,
}

/// What all looks of a run share: the transport, the fleet, and answers that are still fresh.
pub struct Scope {
    /// Carries queries.
    pub transport: Arc<dyn Transport>,
    /// Who is who.
    pub fleet: Fleet,
    /// What the operator asked for.
    pub options: RunOptions,
    /// The run's clock.
    pub clock: Clock,
    /// The place off the hosts.
    pub custody: Arc<dyn Custody>,
    seen: quick_cache::sync::Cache<Asked, Answered>,
    shelf: shared::Shelf,
    settled: tokio::sync::OnceCell<Settled>,
    changes: HashMap<HostName, AtomicU64>,
    learned: std::sync::mpsc::Sender<Secret>,
}

impl Scope {
    /// Begins a run's looks. Secrets that facts find are sent to `learned` before the fact is returned.
    #[must_use]
    pub fn new(
        transport: Arc<dyn Transport>,
        fleet: Fleet,
        options: RunOptions,
        clock: Clock,
        learned: std::sync::mpsc::Sender<Secret>,
    ) -> Self {
        let changes = fleet
            .servers
            .iter()
            .chain(&fleet.agents)
            .map(|m| (m.name.clone(), AtomicU64::new(0)))
            .collect();
        Self {
            transport,
            fleet,
            options,
            clock,
            custody: Arc::new(Nowhere),
            seen: quick_cache::sync::Cache::new(4096),
            shelf: shared::Shelf::new(8),
            settled: tokio::sync::OnceCell::new(),
            changes,
            learned,
        }
    }

    /// The same, with a place off the hosts.
    #[must_use]
    pub fn with_custody(mut self, custody: Arc<dyn Custody>) -> Self {
        self.custody = custody;
        self
    }

    /// Forgets what was seen of a host, since something was changed there.
    pub fn changed(&self, host: &HostName) {
        if let Some(count) = self.changes.get(host) {
            count.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Looks outside any task, with the first server's eyes; `None` when there is no server.
    #[must_use]
    pub fn first_server(&self) -> Option<Probe<'_>> {
        let (vars, overlay) = &*NOTHING;
        let first = self.fleet.servers.first()?;
        Some(Probe::new(&first.name, &Become::Root, vars, self, overlay))
    }

    async fn ask(
        &self,
        host: &HostName,
        queries: Vec<Query>,
        r#become: &Become,
    ) -> Result<Vec<Response>, FactError> {
        let requests = queries.into_iter().map(Request::Query).collect();
        let batch = Batch {
            r#become: r#become.clone(),
            requests,
        };
        let mut pause = Duration::from_millis(500);
        for _ in 0..2 {
            match self.transport.exec(host, &batch).await {
                Err(TransportError::NotStarted { .. } | TransportError::Unknown { .. }) => {
                    self.clock.sleep(pause).await;
                }
                answer => return Ok(answer?),
            }
            pause *= 4;
        }
        Ok(self.transport.exec(host, &batch).await?)
    }

    async fn ask_lately(
        &self,
        host: &HostName,
        queries: Vec<Query>,
    ) -> Result<Arc<[Response]>, FactError> {
        let changes = self
            .changes
            .get(host)
            .map_or(0, |count| count.load(Ordering::Acquire));
        let key = (host.clone(), queries);
        let is_stale = |answered: &Answered| {
            answered.changes < changes || self.clock.now().duration_since(answered.at) > FRESH
        };
        loop {
            if self.seen.get(&key).is_some_and(|last| is_stale(&last)) {
                self.seen.remove(&key);
            }
            let look = async {
                let at = self.clock.now();
                let responses = self.ask(host, key.1.clone(), &Become::Root).await?;
                Ok::<_, FactError>(Answered {
                    changes,
                    at,
                    responses: Arc::from(responses),
                })
            };
            let answered = self.seen.get_or_insert_async(&key, look).await?;
            // Another task may have asked before the last change.
            if answered.changes >= changes {
                return Ok(answered.responses);
            }
        }
    }

    /// Looks at a host, outside any task.
    ///
    /// # Errors
    /// When the host cannot be asked or answers oddly.
    pub async fn look<F: Fact>(&self, host: &HostName, fact: F) -> Result<F::Value, FactError> {
        let answers = self.ask(host, fact.queries(), &Become::Root).await?;
        self.read::<F>(&fact, &answers)
    }

    fn read<F: Fact>(&self, fact: &F, answers: &[Response]) -> Result<F::Value, FactError> {
        let value = fact.parse(answers)?;
        for secret in F::secrets(&value) {
            // Nobody listens any more only when the run is over.
            self.learned.send(secret).ok();
        }
        Ok(value)
    }
}

/// One task's looks at one host and, where a step needs it, at others.
pub struct Probe<'a> {
    host: &'a HostName,
    r#become: &'a Become,
    vars: &'a Vars,
    scope: &'a Scope,
    overlay: &'a Overlay,
}

impl<'a> Probe<'a> {
    /// A probe for one task on one host. `become` is the play's, for generic steps; facts look as root.
    #[must_use]
    pub fn new(
        host: &'a HostName,
        r#become: &'a Become,
        vars: &'a Vars,
        scope: &'a Scope,
        overlay: &'a Overlay,
    ) -> Self {
        Self {
            host,
            r#become,
            vars,
            scope,
            overlay,
        }
    }

    /// The task's host.
    #[must_use]
    pub fn host(&self) -> &'a HostName {
        self.host
    }

    /// As whom the play wants generic steps to run.
    #[must_use]
    pub fn r#become(&self) -> &'a Become {
        self.r#become
    }

    /// The host's variables.
    #[must_use]
    pub fn vars(&self) -> &'a Vars {
        self.vars
    }

    /// Who is who.
    #[must_use]
    pub fn fleet(&self) -> &'a Fleet {
        &self.scope.fleet
    }

    /// Whether the task's host speaks for the fleet: the first server says what can only be said of all hosts together.
    #[must_use]
    pub fn speaks_for_fleet(&self) -> bool {
        self.fleet()
            .servers
            .first()
            .is_some_and(|first| first.name == *self.host)
    }

    /// What the operator asked for.
    #[must_use]
    pub fn options(&self) -> &'a RunOptions {
        &self.scope.options
    }

    /// The place off the hosts.
    #[must_use]
    pub fn custody(&self) -> &'a dyn Custody {
        &*self.scope.custody
    }

    /// Makes a secret known that was found while looking, so that it is redacted from now on.
    pub fn learn(&self, secret: &Secret) {
        self.scope.learned.send(secret.clone()).ok();
    }

    /// Looks at the task's own host, now.
    ///
    /// # Errors
    /// When the host cannot be asked or answers oddly.
    pub async fn get<F: Fact>(&self, fact: F) -> Result<F::Value, FactError> {
        self.get_now(self.host, fact).await
    }

    /// Looks at any host, now.
    ///
    /// # Errors
    /// As for [`Probe::get`].
    pub async fn get_now<F: Fact>(&self, host: &HostName, fact: F) -> Result<F::Value, FactError> {
        self.get_as(host, fact, &Become::Root).await
    }

    /// Lets time pass before a look that is to be a later one.
    pub async fn pause(&self, time: Duration) {
        self.scope.clock.sleep(time).await;
    }

    /// How far a host's clock is ahead of the run's, in microseconds: at least and at most, since an answer takes time.
    ///
    /// # Errors
    /// As for [`Probe::get`].
    pub async fn ahead(&self, host: &HostName) -> Result<(i64, i64), FactError> {
        let before = self.scope.clock.now().as_microsecond();
        let theirs = self.get_now(host, HostClock).await?.0;
        let after = self.scope.clock.now().as_microsecond();
        Ok((theirs - after, theirs - before))
    }

    /// Looks at any host; an answer of the last 30 s serves again if nothing was changed there since.
    ///
    /// # Errors
    /// As for [`Probe::get`].
    pub async fn get_on<F: Fact>(&self, host: &HostName, fact: F) -> Result<F::Value, FactError> {
        let queries = fact.queries();
        if self.overlay.is_empty() {
            let answers = self.scope.ask_lately(host, queries).await?;
            return self.scope.read(&fact, &answers);
        }
        let asked = self.overlay.ask(host, &queries);
        let answers = if asked.is_empty() {
            Vec::new()
        } else {
            self.scope.ask_lately(host, asked).await?.to_vec()
        };
        self.scope
            .read(&fact, &self.overlay.lay_over(host, &queries, answers))
    }

    /// Looks at many hosts, as many at once as `--forks` allows; answers in their order. What a look keeps should be
    /// small: the answers of a whole fleet are held together.
    pub fn each<F: Future>(
        &self,
        looks: impl Iterator<Item = F>,
    ) -> impl Future<Output = Vec<F::Output>> {
        let free = Arc::new(Semaphore::new(self.scope.options.forks.get()));
        join_all(looks.map(move |look| {
            let free = Arc::clone(&free);
            async move {
                // The semaphore is never closed.
                let _permit = free.acquire().await;
                look.await
            }
        }))
    }

    /// Looks as the play's user instead of root, for generic steps.
    ///
    /// # Errors
    /// As for [`Probe::get`].
    pub async fn get_as_play<F: Fact>(&self, fact: F) -> Result<F::Value, FactError> {
        self.get_as(self.host, fact, self.r#become).await
    }

    async fn get_as<F: Fact>(
        &self,
        host: &HostName,
        fact: F,
        r#become: &Become,
    ) -> Result<F::Value, FactError> {
        let queries = fact.queries();
        if self.overlay.is_empty() {
            let answers = self.scope.ask(host, queries, r#become).await?;
            return self.scope.read(&fact, &answers);
        }
        let asked = self.overlay.ask(host, &queries);
        let answers = if asked.is_empty() {
            Vec::new()
        } else {
            self.scope.ask(host, asked, r#become).await?
        };
        self.scope
            .read(&fact, &self.overlay.lay_over(host, &queries, answers))
    }
}
