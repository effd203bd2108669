//! A simulated fleet behind a wire that breaks on purpose and watches every change.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, mpsc};

use futures::future::BoxFuture;
use keyroll::clock::Clock;
use keyroll::engine::{Run, StopLevel, Title};
use keyroll::escrow::{self, Recipients, Vault};
use keyroll::event::{Event, EventKind, Failure, Sink, TaskOutcome};
use keyroll::exit::Exit;
use keyroll::facts::{Fleet, Member, RunOptions, Scope};
use keyroll::inventory::Inventory;
use keyroll::model::{HostName, RunId};
use keyroll::plan::{self, Request as Ask};
use keyroll::playbook;
use keyroll::secret::Secret;
use keyroll::sim::fleet::Life;
use keyroll::sim::{self, Spec};
use keyroll::steps::look::restart_order;
use keyroll::transport::sim::SimTransport;
use keyroll::wire::{Batch, Change, Request, Response, Transport, TransportError};
use tokio::sync::watch;

/// What is said of a server whose config file was changed after the proof.
const DIFFERS: &str = "is not the one that the cluster runs with";

const CONFIG: &str = "/etc/rancher/k3s/config.yaml";

/// How the wire breaks at the n-th change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    Never,
    /// No host can be reached from then on; the change is not done.
    AllGone(usize),
    /// The change is done, then no host can be reached.
    AllGoneAfter(usize),
    /// The host of the change cannot be reached from then on.
    HostGone(usize),
    UnknownDone(usize),
    UnknownUndone(usize),
    /// The host of the change reboots just after it.
    Reboot(usize),
    /// Just after the change the user asks to stop after the operation under way.
    Stop(usize),
    /// Just before the change somebody else puts the host's config file back as it was before all this.
    PutBack(usize),
}

impl Cut {
    fn at(self) -> usize {
        match self {
            Self::Never => usize::MAX,
            Self::AllGone(at)
            | Self::AllGoneAfter(at)
            | Self::HostGone(at)
            | Self::UnknownDone(at)
            | Self::UnknownUndone(at)
            | Self::Reboot(at)
            | Self::Stop(at)
            | Self::PutBack(at) => at,
        }
    }
}

/// Which hosts cannot be reached any more.
#[derive(Debug, PartialEq, Eq)]
enum Gone {
    Nobody,
    Everybody,
    One(HostName),
}

#[derive(Debug)]
struct State {
    cut: Cut,
    seen: usize,
    gone: Gone,
    rebooted: bool,
    dangers: Vec<String>,
    log: Vec<String>,
    /// The config files as they were before all this.
    configs: HashMap<HostName, String>,
    raise: Option<watch::Sender<StopLevel>>,
}

/// The wire.
#[derive(Clone)]
struct Wire {
    sim: SimTransport,
    state: Arc<Mutex<State>>,
}

fn token_in(text: &str) -> Option<String> {
    let text = text.trim();
    let full = text
        .rsplit_once("::server:")
        .map_or(text, |(_, secret)| secret);
    (!full.is_empty()).then(|| full.to_owned())
}

impl Wire {
    fn gone(&self, host: &HostName) -> bool {
        match &self.state.lock().unwrap().gone {
            Gone::Nobody => false,
            Gone::Everybody => true,
            Gone::One(gone) => gone == host,
        }
    }

    /// Counts a change, and whether the wire breaks at it.
    fn cut_now(&self, host: &HostName) -> Cut {
        let mut state = self.state.lock().unwrap();
        let now = state.seen;
        state.seen += 1;
        if state.cut.at() != now {
            return Cut::Never;
        }
        match state.cut {
            Cut::AllGone(_) | Cut::AllGoneAfter(_) => state.gone = Gone::Everybody,
            Cut::HostGone(_) => state.gone = Gone::One(host.clone()),
            _ => {}
        }
        state.cut
    }

    fn put_back(&self, host: &HostName) {
        use keyroll::sim::world::Files as _;
        let first = self.state.lock().unwrap().configs.get(host).cloned();
        let Some(first) = first else { return };
        self.sim.with(|fleet| {
            let disk = &mut fleet.host_mut(host).unwrap().disk;
            disk.write(CONFIG, first.as_bytes(), 0o600).unwrap();
        });
    }

    /// Whether the host itself will let the batch come to its change.
    async fn guards_hold(&self, host: &HostName, batch: &Batch) -> bool {
        let is_guard = |request: &&Request| matches!(request, Request::Guard(_));
        let guards = Batch {
            r#become: batch.r#become.clone(),
            requests: batch.requests.iter().filter(is_guard).cloned().collect(),
        };
        let answers = self.sim.exec(host, &guards).await;
        !matches!(
            answers.as_deref().map(<[Response]>::last),
            Ok(Some(Response::Moved(_)))
        )
    }

    /// What no change may do: restart a server whose surface is not the datastore's token, or a second one.
    fn watch(&self, host: &HostName, change: &Change) {
        let mut state = self.state.lock().unwrap();
        state.log.push(match change {
            Change::Run(command) => format!("{host}: {}", command.argv.join(" ")),
            Change::WriteFile(file) => format!("{host}: write {}", file.path),
            Change::Rename { to, .. } => format!("{host}: rename to {to}"),
            Change::Remove { path } => format!("{host}: remove {path}"),
        });
        let is_restart = matches!(change, Change::Run(command) if command.argv.iter().any(|word| word == "restart"));
        self.sim.with(|fleet| {
            let of = fleet.host(host).unwrap();
            if !is_restart || !of.is_server {
                return;
            }
            let down: Vec<String> = fleet
                .hosts()
                .iter()
                .filter(|other| other.is_server && other.name != *host && other.serving().is_none())
                .map(|other| other.name.to_string())
                .collect();
            if !down.is_empty() {
                state
                    .dangers
                    .push(format!("{host} is restarted while {down:?} are down"));
            }
            let surface = surface(of);
            if surface
                .as_ref()
                .is_none_or(|token| !fleet.is_encrypted_with(&Secret::new(token.as_str())))
            {
                state.dangers.push(format!(
                    "{host} is restarted with {surface:?} on its surface"
                ));
            }
        });
    }
}

/// The secret that a server would start with.
fn surface(host: &keyroll::sim::fleet::Host) -> Option<String> {
    let launch = host.unit.loaded.launch(&host.disk);
    let settings = sim::settings::Settings::resolve(&host.disk, &launch).ok()?;
    let path = settings.path("server/token");
    let kept = || host.disk_text(&path);
    settings
        .token
        .clone()
        .or_else(kept)
        .and_then(|text| token_in(&text))
}

trait DiskText {
    fn disk_text(&self, path: &str) -> Option<String>;
}

impl DiskText for keyroll::sim::fleet::Host {
    fn disk_text(&self, path: &str) -> Option<String> {
        use keyroll::sim::world::Files as _;
        self.disk.text(path)
    }
}

impl Transport for Wire {
    fn exec<'a>(
        &'a self,
        host: &'a HostName,
        batch: &'a Batch,
    ) -> BoxFuture<'a, Result<Vec<Response>, TransportError>> {
        Box::pin(async move {
            let lost = || TransportError::Unreachable {
                host: host.clone(),
                why: "the wire was cut".to_owned(),
                hint: "see that sshd runs there".to_owned(),
            };
            let unknown = || TransportError::Unknown {
                host: host.clone(),
                done: Vec::new(),
                why: "the wire was cut".to_owned(),
            };
            if self.gone(host) {
                return Err(lost());
            }
            let change = batch.requests.iter().find_map(|request| match request {
                Request::Change(change) => Some(change),
                _ => None,
            });
            let Some(change) = change else {
                return self.sim.exec(host, batch).await;
            };
            let cut = self.cut_now(host);
            if matches!(cut, Cut::AllGone(_) | Cut::HostGone(_)) {
                return Err(lost());
            }
            if matches!(cut, Cut::UnknownUndone(_)) {
                return Err(unknown());
            }
            if matches!(cut, Cut::PutBack(_)) {
                self.put_back(host);
            }
            if self.guards_hold(host, batch).await {
                self.watch(host, change);
            }
            let answer = self.sim.exec(host, batch).await;
            match cut {
                Cut::AllGoneAfter(_) | Cut::UnknownDone(_) => Err(unknown()),
                Cut::Reboot(_) => {
                    self.sim.with(|fleet| fleet.reboot_now(host));
                    self.state.lock().unwrap().rebooted = true;
                    answer
                }
                Cut::Stop(_) => {
                    let raise = self.state.lock().unwrap().raise.clone();
                    raise.unwrap().send_replace(StopLevel::FinishOps);
                    answer
                }
                _ => answer,
            }
        })
    }
}

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
    wire: Wire,
    inventory: Inventory,
    clock: Clock,
    old: String,
    before: Option<String>,
    staged: bool,
    is_over: bool,
    put_back: bool,
    /// What the next run performs, and on which host alone.
    pub(super) book: (&'static str, Option<&'static str>),
    /// What was said of the time between a rotate and its flip.
    pub(super) windows: Vec<String>,
    seen: usize,
    escrow: Option<Escrow>,
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
        let old = sim.with(|fleet| fleet.first_secret().expose().to_owned());
        let state = State {
            cut: Cut::Never,
            seen: 0,
            gone: Gone::Nobody,
            rebooted: false,
            dangers: Vec::new(),
            log: Vec::new(),
            raise: None,
            configs: sim.with(|fleet| {
                let text =
                    |host: &sim::fleet::Host| Some((host.name.clone(), host.disk_text(CONFIG)?));
                fleet.hosts().iter().filter_map(text).collect()
            }),
        };
        let wire = Wire {
            sim,
            state: Arc::new(Mutex::new(state)),
        };
        let inventory = spec.inventory();
        let inner = Inner {
            wire,
            inventory,
            clock,
            old,
            before: None,
            staged: false,
            is_over: false,
            put_back: false,
            book: ("@rotate-token", None),
            windows: Vec::new(),
            seen: 0,
            escrow: None,
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
        self.inner.seen
    }
}

/// A place off the hosts, and the key to it.
pub(super) struct Escrow {
    _folder: tempfile::TempDir,
    vault: Vault,
}

impl Escrow {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = camino::Utf8PathBuf::from_path_buf(folder.path().to_owned()).unwrap();
        let (key, recipient) = crate::escrow::key(&path.join("key"));
        let vault = Vault {
            run: RunId(String::new()),
            place: path.join("escrow"),
            recipients: Recipients::read(&[recipient]).unwrap(),
            identity: Some(key),
            snapshots: None,
            declined: false,
        };
        Self {
            _folder: folder,
            vault,
        }
    }
}

impl Inner {
    /// What is wrong with what is kept: once a rotate was asked for, OLD must be there.
    pub(super) fn not_kept(&self) -> Option<String> {
        let escrow = self.escrow.as_ref()?;
        let asked = self
            .wire
            .state
            .lock()
            .unwrap()
            .log
            .iter()
            .any(|line| line.contains("replace --raw"));
        let kept = escrow::list(&escrow.vault.place).unwrap();
        let key = escrow.vault.identity.as_ref()?;
        // A second run after the first has ended well is a second rotation, whose OLD is the first one's NEW.
        let is_old = |kept: &escrow::Kept| {
            let name = kept.folder.file_name().unwrap();
            let (folder, entry) = escrow::find(&escrow.vault.place, name).unwrap();
            let old = escrow::open(&folder, &entry, key).unwrap();
            old.expose() == self.old || name.starts_with("run-2") && old.expose() == made(1)
        };
        if kept.iter().all(is_old) && (!asked || !kept.is_empty()) {
            return None;
        }
        Some(format!("a rotate was asked for: {asked}; kept: {kept:?}"))
    }

    fn fleet(&self) -> Fleet {
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

    /// One run, as a new process.
    #[expect(clippy::too_many_lines, reason = "one run, from its parts to its end")]
    pub(super) async fn run(&mut self, number: usize, cut: Cut, check: bool) -> Ended {
        {
            let mut state = self.wire.state.lock().unwrap();
            (state.cut, state.seen, state.gone) = (cut, 0, Gone::Nobody);
        }
        let (learn, learned) = mpsc::channel();
        let run = RunId(format!("run-{number}"));
        let options = RunOptions {
            given: None,
            generated: Secret::new(made(number)),
            run: run.clone(),
            expect_unmanaged: Vec::new(),
            words: keyroll::facts::Words {
                quorum_loss: true,
                ..keyroll::facts::Words::default()
            },
        };
        let mut scope = Scope::new(
            Arc::new(self.wire.clone()),
            self.fleet(),
            options,
            self.clock,
            learn,
        );
        if let Some(escrow) = &self.escrow {
            let run = run.clone();
            scope = scope.with_custody(Arc::new(Vault {
                run,
                ..escrow.vault.clone()
            }));
        }
        let book = playbook::read(self.book.0).unwrap_or_else(|_| panic!("it is built in"));
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
        let asking = book.plays.iter().enumerate();
        let asking = asking.filter(|(_, play)| play.order == playbook::Order::JoinTargetFirst);
        let ask = Ask {
            orders: asking.map(|(index, _)| (index, order.clone())).collect(),
            limit: self.book.1.map(str::to_owned),
        };
        let plan = plan::build(&book, &self.inventory, &ask).unwrap_or_else(|_| panic!("it plans"));
        let events = Arc::new(Mutex::new(Vec::new()));
        let (raise, stop) = watch::channel(StopLevel::Run);
        self.wire.state.lock().unwrap().raise = Some(raise);
        let ended = Run {
            plan: Arc::new(plan),
            scope: Arc::new(scope),
            learned,
            journal: Box::new(Keep(Arc::clone(&events))),
            screens: Vec::new(),
            title: Title {
                run,
                playbook: "@rotate-token".into(),
                inventory: "sim".into(),
                again: "keyroll run @rotate-token".into(),
                really: "keyroll run @rotate-token".into(),
            },
            check,
            read_only: false,
            forks: std::num::NonZeroUsize::new(50).unwrap(),
            stop,
        }
        .perform()
        .await;
        let next = ended.summary.next.clone();
        if number == 1 {
            self.put_back = matches!(cut, Cut::PutBack(_));
            self.seen = self.wire.state.lock().unwrap().seen;
            self.before = self.datastore();
            self.staged = self.is_staged();
            self.is_over = self.before == Some(made(1)) && !self.is_kept();
        }
        self.windows = ended.summary.notes;
        self.windows
            .retain(|note| note.starts_with("wrong-token window"));
        let roots = ended.summary.roots.iter();
        let roots = roots
            .map(|(key, failure)| {
                let (what, next) = (failure.what.join(" / "), failure.next.join(" / "));
                format!("{key}: {what}; next: {next}")
            })
            .chain(undone(&events.lock().unwrap()));
        Ended {
            exit: ended.exit,
            roots: roots.collect(),
            next,
        }
    }

    /// Which of the known tokens the datastore is encrypted with.
    pub(super) fn datastore(&self) -> Option<String> {
        let known = [self.old.clone(), made(1), made(2), made(3), made(4)];
        let holds = |token: &String| {
            self.wire
                .sim
                .with(|fleet| fleet.is_encrypted_with(&Secret::new(token.as_str())))
        };
        known.into_iter().find(holds)
    }

    /// Servers that would start with another token than the datastore's.
    pub(super) fn between(&self) -> Vec<String> {
        let token = self.datastore();
        self.wire.sim.with(|fleet| {
            let servers = fleet.hosts().iter().filter(|host| host.is_server);
            let wrong = servers.filter(|host| surface(host) != token);
            wrong.map(|host| host.name.to_string()).collect()
        })
    }

    /// Whether OLD is kept on any server.
    fn is_kept(&self) -> bool {
        let path = "/var/lib/rancher/k3s/server/.keyroll/old";
        self.wire.sim.with(|fleet| {
            fleet
                .hosts()
                .iter()
                .any(|host| host.disk_text(path).is_some())
        })
    }

    /// Whether the first run's token waits beside a surface.
    fn is_staged(&self) -> bool {
        self.wire.sim.with(|fleet| {
            let text = fleet.to_json().unwrap();
            let bare = made(1);
            let coded = made(1)
                .bytes()
                .map(|byte| byte.to_string())
                .collect::<Vec<_>>()
                .join(",");
            text.contains(&bare) || text.contains(&coded)
        })
    }

    /// Runs again a minute later, uncut, unless the first run ended well; what is wrong afterwards.
    #[expect(
        clippy::too_many_lines,
        reason = "what must hold after a cut, point by point"
    )]
    pub(super) async fn go_on(&mut self, first: &Ended) -> Vec<String> {
        let number = if first.exit == Exit::Fine { 1 } else { 2 };
        let mut wrong = Vec::new();
        self.clock.sleep(std::time::Duration::from_mins(1)).await;
        let trapped = self.trapped();
        let before = self.wire.sim.with(|fleet| fleet.changes());
        let look = self.run(3, Cut::Never, true).await;
        if self.wire.sim.with(|fleet| fleet.changes()) != before {
            wrong.push("a dry run changed something".to_owned());
        }
        let put_back = self.put_back;
        let is_said = move |ended: &Ended| put_back && ended.roots.join("; ").contains(DIFFERS);
        if !trapped && !matches!(look.exit, Exit::Fine | Exit::WorkFound) && !is_said(&look) {
            wrong.push(format!("a dry run says: {look:?}"));
        }
        let again = if number == 1 {
            Ended {
                exit: Exit::Fine,
                roots: Vec::new(),
                next: String::new(),
            }
        } else {
            self.run(number, Cut::Never, false).await
        };
        let state = self.wire.state.lock().unwrap();
        wrong.extend(state.dangers.clone());
        let log = || {
            state
                .log
                .iter()
                .rev()
                .take(6)
                .rev()
                .cloned()
                .collect::<Vec<_>>()
                .join("; ")
        };
        if trapped {
            let roots = again.roots.join("; ");
            let is_named = roots.contains("its configured token is not the one")
                || roots.contains("does not accept its token");
            if again.exit == Exit::Fine || !is_named {
                wrong.push(format!("the trap was not said: {again:?}"));
            }
            return wrong;
        }
        if is_said(&again) {
            // Its own token is forgotten on that server, so nobody but a person knows which one is right.
            return wrong;
        }
        if again.exit != Exit::Fine {
            wrong.push(format!("ended {again:?}\n   last changes: {}", log()));
        }
        let token = self.datastore();
        let expected = if self.is_over {
            // OLD was forgotten everywhere: that rotation is over, whatever became of the run.
            token.clone().unwrap_or_default()
        } else if self.before == Some(made(1))
            || self.staged && self.before.as_ref() == Some(&self.old)
        {
            made(1)
        } else {
            made(number)
        };
        if token.as_ref() != Some(&expected) {
            wrong.push(format!("the datastore has {token:?}, not {expected}"));
        }
        let token = token.unwrap_or_default();
        wrong.extend(self.wire.sim.with(|fleet| {
            fleet
                .hosts()
                .iter()
                .filter_map(|host| unlike(host, &token))
                .collect::<Vec<_>>()
        }));
        wrong
    }

    /// The token that the fleet was raised with.
    pub(super) fn old(&self) -> String {
        self.old.clone()
    }

    /// The number of the change that re-encrypts the datastore, among all of the last run.
    pub(super) fn put(&self) -> usize {
        let state = self.wire.state.lock().unwrap();
        let is_put = |line: &String| line.contains("replace --raw /v1-k3s/token");
        state.log.iter().position(is_put).unwrap()
    }

    /// How many changes the last run tried.
    pub(super) fn tried(&self) -> usize {
        self.wire.state.lock().unwrap().seen
    }

    pub(super) async fn sleep(&self, minutes: u64) {
        let time = std::time::Duration::from_mins(minutes);
        self.clock.sleep(time).await;
    }

    /// A host reboots, and three minutes pass.
    pub(super) async fn reboot(&self, host: &str) {
        let host = HostName::new(host).unwrap();
        self.wire.sim.with(|fleet| fleet.reboot_now(&host));
        self.sleep(3).await;
    }

    /// What is wrong with hosts that should all run with this token, and what no change should have done.
    pub(super) fn wrong(&self, token: &str) -> Vec<String> {
        let mut wrong = self.wire.state.lock().unwrap().dangers.clone();
        if self.datastore().as_deref() != Some(token) {
            wrong.push(format!("the datastore has {:?}", self.datastore()));
        }
        wrong.extend(self.wire.sim.with(|fleet| {
            let hosts = fleet.hosts().iter();
            hosts
                .filter_map(|host| unlike(host, token))
                .collect::<Vec<_>>()
        }));
        wrong
    }

    /// Whether a server is down in a way that only a rescue mends.
    pub(super) fn trapped(&self) -> bool {
        self.wire.sim.with(|fleet| {
            fleet.hosts().iter().any(|host| {
                let dead = !matches!(host.life, Life::Up(_) | Life::Starting(..));
                host.is_server
                    && dead
                    && host.journal.iter().rev().take(8).any(|line| {
                        line.contains("encrypted with different token")
                            || line.contains("newer than datastore")
                            || line.contains("datastore: not authorized")
                    })
            })
        })
    }
}

/// What is wrong with a host that should run with this token.
fn unlike(host: &keyroll::sim::fleet::Host, token: &str) -> Option<String> {
    let name = &host.name;
    if host.is_server {
        let Life::Up(server) = &host.life else {
            return Some(format!("{name} does not serve"));
        };
        let memory = serde_json::to_value(server).unwrap()["secret"]
            .as_str()
            .unwrap()
            .to_owned();
        if memory != token {
            return Some(format!("{name} accepts {memory}"));
        }
        let surface = surface(host);
        return (surface.as_deref() != Some(token))
            .then(|| format!("{name} is configured with {surface:?}"));
    }
    (!matches!(host.life, Life::Joined(_))).then(|| format!("{name} has not joined"))
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
