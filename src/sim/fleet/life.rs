//! What happens to a host's process: launch, ready, failure, crash loop, stop, reboot.

use std::time::Duration;

use super::{Event, Fleet, Host, Life, State};
use crate::model::HostTime;
use crate::sim::agent::{self, Agent, Joining};
use crate::sim::bootstrap::Replica;
use crate::sim::fault::Fault;
use crate::sim::kube::{Node, endpoints};
use crate::sim::pki::PaperPki;
use crate::sim::server::{Backend, Failure, Starting, join_of};
use crate::sim::settings::{Kind, Settings, Unsettled};
use crate::sim::unpack;
use crate::sim::version::Version;
use crate::sim::world::{Files as _, Level, Line, after};

const RESTART_SEC: Duration = Duration::from_secs(5);
const STOP_TIMEOUT: Duration = Duration::from_secs(90);
/// How soon after its start a kubelet renews its lease.
const FIRST_RENEWAL: Duration = Duration::from_secs(2);

impl Fleet {
    pub(super) fn happen(&mut self, at: usize, event: Event) {
        let time = self
            .hosts
            .get(at)
            .map_or(self.now, |host| host.time(self.now));
        let Some(host) = self.hosts.get_mut(at) else {
            return;
        };
        host.disk.now = time;
        match event {
            Event::Launch => self.launch(at),
            Event::Ready => self.ready(at),
            Event::Fail | Event::Crash => self.fail(at),
            Event::Retry => self.join(at),
            Event::Die => self.end(at, State::Failed),
            Event::Killed => self.killed(at),
            Event::Reboot => self.reboot(at),
            Event::Return => host.away = false,
            Event::Freeze | Event::PowerCut | Event::RotateByHand => self.meddle(at, event),
            Event::Revert => {
                if let Some((path, bytes)) = host.former.take() {
                    // What writes it back does not care whether it can.
                    host.disk.replace(&path, &bytes, 0o600).ok();
                }
            }
        }
    }

    /// Ends the process and leaves the unit in `state`.
    pub(super) fn end(&mut self, at: usize, state: State) {
        let now = self.now;
        let Some(host) = self.hosts.get_mut(at) else {
            return;
        };
        host.epoch += 1;
        if host.has_apiserver() {
            host.listed_until = Some(after(now, endpoints::LINGERS));
        }
        host.life = Life::Down;
        if let Some(node) = &mut host.node {
            node.end(now);
        }
        host.unit.main_pid = 0;
        host.unit.state = state;
        let failed = matches!(state, State::Failed | State::AutoRestart);
        let result = if failed { "exit-code" } else { "success" };
        result.clone_into(&mut host.unit.result);
        let down = self.servers.iter().filter_map(|at| self.hosts.get(*at));
        let down = down.filter(|host| host.serving().is_none()).count();
        self.most_down = self.most_down.max(down);
    }

    /// systemd has waited long enough for a process to stop.
    fn killed(&mut self, at: usize) {
        let pid = self.hosts.get(at).map_or(0, |host| host.unit.main_pid);
        self.end(at, State::Failed);
        if let Some(host) = self.hosts.get_mut(at) {
            let unit = host.unit.name.clone();
            "timeout".clone_into(&mut host.unit.result);
            for line in [
                "State 'stop-sigterm' timed out. Killing.",
                &format!("Killing process {pid} (k3s) with signal SIGKILL."),
                "Main process exited, code=killed, status=9/KILL",
                "Failed with result 'timeout'.",
            ] {
                host.log(format!("{unit}: {line}"));
            }
            host.log(format!("Stopped {unit} - Lightweight Kubernetes."));
        }
        let host = self.hosts.get_mut(at);
        if host.is_some_and(|host| std::mem::take(&mut host.starts_after_stop)) {
            self.start(at, Duration::from_millis(300));
        }
    }

    /// The process ends with status 1, and systemd brings it back.
    fn fail(&mut self, at: usize) {
        self.fail_with(at, "code=exited, status=1/FAILURE", "exit-code");
    }

    fn fail_with(&mut self, at: usize, how: &str, result: &str) {
        let was_starting = self
            .hosts
            .get(at)
            .is_some_and(|host| host.unit.state == State::Starting);
        self.end(at, State::AutoRestart);
        if let Some(host) = self.hosts.get_mut(at) {
            let unit = host.unit.name.clone();
            result.clone_into(&mut host.unit.result);
            host.log(format!("{unit}: Main process exited, {how}"));
            host.log(format!("{unit}: Failed with result '{result}'."));
            if was_starting {
                host.log(format!("Failed to start {unit} - Lightweight Kubernetes."));
            }
        }
        self.later(at, RESTART_SEC, Event::Launch);
    }

    fn reboot(&mut self, at: usize) {
        self.end(at, State::Inactive);
        let now = self.now;
        if let Some(host) = self.hosts.get_mut(at) {
            host.booted = after(host.time(now), Duration::from_secs(15));
            host.unit.n_restarts = 0;
        }
        if self.hosts.get(at).is_some_and(|host| host.unit.enabled) {
            self.later(at, Duration::from_secs(25), Event::Launch);
        }
    }

    /// Stops the unit; a server that is stuck in its start takes 90 s and ends `failed`.
    pub(super) fn stop(&mut self, at: usize) {
        let Some(host) = self.hosts.get(at) else {
            return;
        };
        // A member that cannot start waits for its temporary etcd and hears nothing either.
        let fails = host.life == Life::Down && host.is_member && host.unit.main_pid != 0;
        let stuck = matches!(host.life, Life::Starting(..)) || fails;
        if stuck && host.unit.state == State::Starting {
            if let Some(host) = self.hosts.get_mut(at) {
                host.epoch += 1;
                host.unit.state = State::Stopping;
            }
            self.later(at, STOP_TIMEOUT, Event::Killed);
        } else {
            self.end(at, State::Inactive);
        }
    }

    /// Starts the unit by hand after `delay`.
    pub(super) fn start(&mut self, at: usize, delay: Duration) {
        if let Some(host) = self.hosts.get_mut(at) {
            host.epoch += 1;
            host.unit.n_restarts = 0;
            host.unit.state = State::Starting;
        }
        self.later(at, delay, Event::Launch);
    }

    /// Kills the process, as `systemctl kill` does; systemd brings it back.
    pub(super) fn kill(&mut self, at: usize) {
        match self.hosts.get(at).map(|host| host.unit.state) {
            Some(State::Starting | State::Running) => {
                self.fail_with(at, "code=killed, status=9/KILL", "signal");
            }
            Some(State::Stopping) => self.end(at, State::Failed),
            _ => {}
        }
    }

    /// The k3s program on a host's disk.
    pub(super) fn program(&self, at: usize) -> Version {
        let own = self.hosts.get(at).and_then(|host| host.program);
        own.unwrap_or(self.version)
    }

    fn launch(&mut self, at: usize) {
        let version = self.program(at);
        let invocation = format!("{:016x}{:016x}", self.draw(), self.draw());
        let pid = 400 + u32::try_from(self.draw() % 30_000).unwrap_or(0);
        let now = self.now;
        let Some(host) = self.hosts.get_mut(at) else {
            return;
        };
        if host.unit.state == State::AutoRestart {
            host.unit.n_restarts += 1;
        }
        host.unit.invocation = invocation;
        host.unit.main_pid = pid;
        host.unit.started = Some(host.time(now));
        host.unit.state = State::Starting;
        "success".clone_into(&mut host.unit.result);
        if host.settled && host.has(Fault::UnitFailing) {
            return self.fail_with(at, "code=exited, status=203/EXEC", "exit-code");
        }
        let mut launch = host.unit.loaded.launch(&host.disk);
        if !version.heeds_data_dir() {
            launch.env.remove("K3S_DATA_DIR");
        }
        let settings = Settings::resolve(&host.disk, &launch);
        if let Ok(settings) = &settings {
            // A disk without room for it is told by what comes next.
            unpack::below(settings.data_dir(), &mut host.disk).ok();
        }
        match settings {
            Ok(settings) if settings.kind == Kind::Server => self.launch_server(at, settings),
            Ok(settings) => {
                host.life = Life::Joining(Box::new(Agent { settings }));
                self.join(at);
            }
            Err(Unsettled::WaitsFor(path)) => {
                let text = format!("Waiting for {path} to be available");
                host.log(Line::new(now, Level::Info, text).logged());
                self.later(at, RESTART_SEC, Event::Launch);
            }
            Err(Unsettled::Broken(why)) => {
                host.log(Line::new(now, Level::Fatal, why).logged());
                self.later(at, Duration::from_secs(1), Event::Fail);
            }
        }
    }

    fn launch_server(&mut self, at: usize, settings: Settings) {
        let peer = self.peer_reply(at, join_of(&settings));
        let (draw, version) = (self.draw(), self.program(at));
        let now = self.now;
        let Some(host) = self.hosts.get_mut(at) else {
            return;
        };
        let name = host.name.as_str().to_owned();
        let backend = Backend::of(&settings);
        let started = Starting {
            now: host.time(now),
            files: &mut host.disk,
            store: &mut self.store,
            pki: &mut PaperPki { seed: self.seed },
            settings,
            version,
            peer,
            host: &name,
        }
        .run();
        for line in &started.lines {
            host.log(line.logged());
        }
        match started.outcome {
            Ok(server) => {
                host.is_member |= backend == Backend::Etcd;
                let takes = takes(host, backend, draw);
                let ready = takes.map_or(HostTime(i64::MAX), |takes| after(now, takes));
                host.life = Life::Starting(Box::new(server), ready);
                if let Some(takes) = takes {
                    self.later(at, takes, Event::Ready);
                }
            }
            Err(failure) => {
                let seconds = if failure == Failure::Late { 3 } else { 1 };
                self.later(at, Duration::from_secs(seconds), Event::Fail);
            }
        }
        self.replicate();
    }

    /// Every running member has what the datastore has.
    pub(super) fn replicate(&mut self) {
        let replica = Replica::of(&self.store);
        for at in &self.servers {
            if let Some(host) = self.hosts.get_mut(*at)
                && let Life::Up(server) | Life::Starting(server, _) = &host.life
                && server.backend == Backend::Etcd
                && Replica::read(&host.disk, &server.settings).as_ref() != Some(&replica)
            {
                // A member with a full disk falls behind, as a real one does.
                replica.write(&mut host.disk, &server.settings).ok();
            }
        }
    }

    fn join(&mut self, at: usize) {
        let Some(Life::Joining(agent)) = self.hosts.get(at).map(|host| &host.life) else {
            return;
        };
        let agent = agent.clone();
        let reply = self.agent_reply(agent.door());
        let draw = self.draw();
        let now = self.now;
        let Some(host) = self.hosts.get_mut(at) else {
            return;
        };
        let pki = &mut PaperPki { seed: self.seed };
        let name = agent.settings.node_name(host.name.as_str()).to_owned();
        let time = host.time(now);
        let (joining, lines) = agent.attempt(&mut host.disk, pki, &reply, &name, time);
        for line in lines {
            host.log(line.logged());
        }
        match joining {
            Joining::Again(delay) => self.later(at, delay, Event::Retry),
            Joining::Joined => {
                host.life = Life::Joined(agent);
                let takes = Duration::from_millis(1000 + draw % 3000);
                if let Some(takes) = delayed(host, takes) {
                    self.later(at, takes, Event::Ready);
                }
            }
        }
    }

    fn ready(&mut self, at: usize) {
        if !self.has_quorum() && self.hosts.get(at).is_some_and(|host| host.is_member) {
            // A member without a majority waits for its peers.
            self.later(at, Duration::from_secs(2), Event::Ready);
            return;
        }
        let (now, version) = (self.now, self.program(at));
        let Some(host) = self.hosts.get_mut(at) else {
            return;
        };
        host.unit.state = State::Running;
        host.unit.ready = Some(host.time(now));
        let settings = match std::mem::replace(&mut host.life, Life::Down) {
            Life::Starting(server, _) => {
                let settings = server.settings.clone();
                let pki = &mut PaperPki { seed: self.seed };
                let time = host.time(now);
                let node = (server.ca(), settings.node_name(host.name.as_str()));
                agent::keep(&mut host.disk, pki, &settings, node, time);
                host.life = Life::Up(server);
                settings
            }
            Life::Joined(agent) => {
                let settings = agent.settings.clone();
                host.life = Life::Joined(agent);
                settings
            }
            other => {
                host.life = other;
                return;
            }
        };
        let unit = host.unit.name.clone();
        host.log(format!("Started {unit} - Lightweight Kubernetes."));
        if !settings.is_set("disable-agent") {
            register(host, &settings, version, now);
        }
        if host.spend(Fault::DiesInSettle) {
            self.later(at, Duration::from_secs(12), Event::Die);
        } else if host.spend(Fault::CrashOnce) {
            self.later(at, Duration::from_secs(20), Event::Crash);
        }
    }
}

/// The node's kubelet begins to renew its lease, with the arguments of this start.
fn register(host: &mut Host, settings: &Settings, version: Version, now: HostTime) {
    let roles: &[&str] = match (settings.kind, Backend::of(settings)) {
        (Kind::Agent, _) => &[],
        (Kind::Server, Backend::Etcd) if settings.is_set("disable-apiserver") => &["etcd"],
        (Kind::Server, Backend::Etcd) => &["control-plane", "etcd"],
        (Kind::Server, _) => &["control-plane"],
    };
    let name = settings.node_name(host.name.as_str());
    // Who renames a host takes its former node away.
    host.node.take_if(|node| node.name != name);
    let unready = host.has(Fault::NotReady);
    let (address, skew) = (&host.address, host.skew);
    let node = host.node.get_or_insert_with(|| Node {
        name: name.to_owned(),
        address: address.clone(),
        created: now,
        roles: Vec::new(),
        args: String::new(),
        env: String::new(),
        encryption: None,
        version,
        unready: false,
        ready_since: now,
        last: now,
        beat: None,
        skew,
    });
    node.roles = roles.iter().map(|role| (*role).to_owned()).collect();
    node.args = settings.node_args();
    node.env = settings.node_env();
    node.encryption = settings.encryption(&host.disk);
    node.version = version;
    node.unready = unready;
    node.begin(after(now, FIRST_RENEWAL));
}

/// How long a server's start takes; `None` when it never ends.
fn takes(host: &mut Host, backend: Backend, draw: u64) -> Option<Duration> {
    let millis = match backend {
        Backend::Etcd => 4000 + draw % 15_000,
        _ => 5000 + draw % 1000,
    };
    delayed(host, Duration::from_millis(millis))
}

fn delayed(host: &Host, takes: Duration) -> Option<Duration> {
    if host.settled && host.has(Fault::NeverReturns) {
        None
    } else if host.settled && host.has(Fault::SlowStart) {
        Some(Duration::from_mins(3))
    } else {
        Some(takes)
    }
}
