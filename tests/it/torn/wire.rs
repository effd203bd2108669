//! A wire to a simulated fleet that breaks on purpose and watches every change.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use futures::future::BoxFuture;
use keyroll::engine::StopLevel;
use keyroll::model::HostName;
use keyroll::secret::Secret;
use keyroll::sim::fleet::{Fleet, Host};
use keyroll::sim::settings::Settings;
use keyroll::sim::world::Files as _;
use keyroll::transport::sim::SimTransport;
use keyroll::wire::{Batch, Change, Request, Response, Transport, TransportError};
use tokio::sync::watch;

use super::{hand, kept};

pub(super) const CONFIG: &str = "/etc/rancher/k3s/config.yaml";

/// How the wire breaks at the n-th change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Cut {
    #[default]
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
    /// The same on every host, as a configuration manager does.
    AllPutBack(usize),
    /// Just after the change a server, or an agent, reboots: the host of the change where it is one.
    ServerReboots(usize),
    AgentReboots(usize),
    /// Just after the change somebody restarts a server's K3s.
    RestartsByHand(usize),
    /// Just after the change somebody rotates on a server, to a token of his own.
    RotatesByHand(usize),
    /// The same while another server is down, which is started again afterwards.
    RotatesWhileOneIsDown(usize),
    /// Just after the change the newcomer starts, with the token of before or with the first run's.
    JoinsWithOld(usize),
    JoinsWithNew(usize),
    /// The same, and the newcomer is a server.
    ServerJoinsWithOld(usize),
    ServerJoinsWithNew(usize),
}

/// One way in which something comes between, at the n-th change.
pub(super) type Way = (&'static str, fn(usize) -> Cut);

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
            | Self::PutBack(at)
            | Self::AllPutBack(at)
            | Self::ServerReboots(at)
            | Self::AgentReboots(at)
            | Self::RestartsByHand(at)
            | Self::RotatesByHand(at)
            | Self::RotatesWhileOneIsDown(at)
            | Self::JoinsWithOld(at)
            | Self::JoinsWithNew(at)
            | Self::ServerJoinsWithOld(at)
            | Self::ServerJoinsWithNew(at) => at,
        }
    }
}

/// Which hosts cannot be reached any more.
#[derive(Debug, Default, PartialEq, Eq)]
enum Gone {
    #[default]
    Nobody,
    Everybody,
    One(HostName),
}

/// What has become of the wire and its hosts.
#[derive(Debug, Default)]
pub(super) struct State {
    cut: Cut,
    /// Changes that were tried.
    pub(super) seen: usize,
    gone: Gone,
    /// What no change should have done.
    pub(super) dangers: Vec<String>,
    /// The changes, in words.
    pub(super) log: Vec<String>,
    /// The config files as they were before all this.
    configs: HashMap<HostName, String>,
    raise: Option<watch::Sender<StopLevel>>,
}

/// The wire.
#[derive(Clone)]
pub(super) struct Wire {
    sim: SimTransport,
    state: Arc<Mutex<State>>,
}

impl Wire {
    pub(super) fn new(sim: SimTransport) -> Self {
        let configs = sim.with(|fleet| {
            let text = |host: &Host| Some((host.name.clone(), host.disk.text(CONFIG)?));
            fleet.hosts().iter().filter_map(text).collect()
        });
        let state = State {
            configs,
            ..State::default()
        };
        Self {
            sim,
            state: Arc::new(Mutex::new(state)),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Works on the fleet behind the wire.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Fleet) -> T) -> T {
        self.sim.with(work)
    }

    /// The wire is whole again, until a change of the next run.
    pub(super) fn mend(&self, cut: Cut, raise: watch::Sender<StopLevel>) {
        let mut state = self.state();
        (state.cut, state.seen, state.gone) = (cut, 0, Gone::Nobody);
        state.raise = Some(raise);
    }

    fn gone(&self, host: &HostName) -> bool {
        match &self.state().gone {
            Gone::Nobody => false,
            Gone::Everybody => true,
            Gone::One(gone) => gone == host,
        }
    }

    /// Counts a change, and whether the wire breaks at it.
    fn cut_now(&self, host: &HostName) -> Cut {
        let mut state = self.state();
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

    /// Puts config files back as they were: one host's, or all.
    fn put_back(&self, only: Option<&HostName>) {
        let configs = self.state().configs.clone();
        self.with(|fleet| {
            for (host, text) in configs {
                if only.is_none_or(|only| *only == host) {
                    let disk = &mut fleet.host_mut(&host).unwrap().disk;
                    if disk.text(CONFIG).as_ref() != Some(&text) {
                        disk.write(CONFIG, text.as_bytes(), 0o600).unwrap();
                    }
                }
            }
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
        let mut state = self.state();
        state.log.push(match change {
            Change::Run(command) => format!("{host}: {}", command.argv.join(" ")),
            Change::WriteFile(file) => format!("{host}: write {}", file.path),
            Change::Rename { to, .. } => format!("{host}: rename to {to}"),
            Change::Remove { path } => format!("{host}: remove {path}"),
        });
        let is_restart = matches!(change, Change::Run(command) if command.argv.iter().any(|word| word == "restart"));
        self.with(|fleet| {
            let of = fleet.host(host).unwrap();
            if !is_restart || !of.is_server {
                return;
            }
            let down: Vec<String> = fleet
                .hosts()
                .iter()
                .filter(|other| other.name != *host && other.serving().is_none())
                .filter(|other| hand::is_server_of_the_cluster(other))
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
pub(super) fn surface(host: &Host) -> Option<String> {
    let launch = host.unit.loaded.launch(&host.disk);
    let settings = Settings::resolve(&host.disk, &launch).ok()?;
    let kept = || host.disk.text(&settings.path("server/token"));
    let text = settings.token.clone().or_else(kept)?;
    token_in(&text)
}

fn token_in(text: &str) -> Option<String> {
    let text = text.trim();
    let full = text
        .rsplit_once("::server:")
        .map_or(text, |(_, secret)| secret);
    (!full.is_empty()).then(|| full.to_owned())
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
            match cut {
                Cut::PutBack(_) if !is_after_the_proof(change) => self.put_back(Some(host)),
                Cut::AllPutBack(_) if !is_after_the_proof(change) => self.put_back(None),
                _ => {}
            }
            if self.guards_hold(host, batch).await {
                self.watch(host, change);
            }
            let answer = self.sim.exec(host, batch).await;
            if let Some(lost) = self.with(|fleet| kept::lost(fleet)) {
                self.state()
                    .dangers
                    .push(format!("after {change:?}: {lost}"));
            }
            match cut {
                Cut::AllGoneAfter(_) | Cut::UnknownDone(_) => Err(unknown()),
                Cut::Reboot(_) => {
                    self.with(|fleet| fleet.reboot_now(host));
                    answer
                }
                Cut::Stop(_) => {
                    let raise = self.state().raise.clone();
                    raise.unwrap().send_replace(StopLevel::FinishOps);
                    answer
                }
                _ => {
                    self.with(|fleet| hand::does(fleet, host, cut));
                    answer
                }
            }
        })
    }
}

/// What somebody puts back then is for the next proof to find.
fn is_after_the_proof(change: &Change) -> bool {
    matches!(change, Change::Run(command) if command.argv.iter().any(|word| word == "annotate"))
}
