//! The fleet as get.k3s.io and a careful operator leave it, running for a day.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use super::{Disk, Event, Fleet, Host, Life, Loaded, State, Store, Unit};
use crate::model::{HostName, HostTime};
use crate::sim::bootstrap;
use crate::sim::fault::Fault;
use crate::sim::spec::{Datastore, Spec};
use crate::sim::token;
use crate::sim::world::{Datastore as _, Files as _, after};

const DAY: Duration = Duration::from_hours(24);
const MINUTE: Duration = Duration::from_mins(1);

/// The secret that a fresh fleet has.
pub(super) fn secret(seed: u64) -> String {
    let hash = token::sha256(format!("fleet {seed}").as_bytes());
    hash.get(..32).unwrap_or_default().to_owned()
}

pub(super) fn raise(spec: &Spec, now: HostTime) -> Fleet {
    let began = HostTime(after(now, Duration::ZERO).0 - 86_400_000_000);
    let hosts = spec
        .hosts()
        .map(|(name, server, at)| host(spec, &name, server, at, began));
    let mut fleet = Fleet {
        now: began,
        began,
        seed: spec.seed,
        hosts: hosts.collect(),
        store: Store::default(),
        queue: BTreeSet::new(),
        drawn: 0,
        assumed: BTreeSet::new(),
        unknown_ok: spec.unknown_ok,
        by_name: HashMap::new(),
        by_address: HashMap::new(),
        servers: Vec::new(),
    };
    fleet.index();
    let secret = secret(spec.seed);
    for at in 0..spec.servers {
        furnish_server(&mut fleet, spec, at, &secret);
        fleet.start(at, Duration::ZERO);
        let settled = after(fleet.now, MINUTE);
        fleet.advance(settled);
    }
    for at in spec.servers..fleet.hosts.len() {
        furnish_agent(&mut fleet, spec, at, &secret);
        let spread = Duration::from_millis(fleet.draw() % 60_000);
        fleet.start(at, spread);
    }
    fleet.advance(after(began, DAY));
    settle(&mut fleet, spec);
    fleet
}

/// From here on what happens is no longer the building of the fleet.
fn settle(fleet: &mut Fleet, spec: &Spec) {
    for (name, fault) in &spec.faults {
        if let Some(host) = fleet.host_mut(name) {
            host.faults.push(*fault);
            host.disk.full = host.has(Fault::DiskFull);
            host.disk.etc_read_only = host.has(Fault::ReadOnlyEtc);
        }
    }
    let agents: Vec<usize> = (0..fleet.hosts.len()).collect();
    for at in agents {
        let Some(host) = fleet.hosts.get_mut(at) else {
            continue;
        };
        host.settled = true;
        host.changes = 0;
        if host.has(Fault::ForeignToken)
            && let Some(text) = host.disk.text(AGENT_ENV)
        {
            let foreign = token::sha256(b"foreign")
                .get(..32)
                .unwrap_or_default()
                .to_owned();
            let lines = text
                .lines()
                .map(|line| match line.strip_prefix("K3S_TOKEN=") {
                    Some(_) => format!("K3S_TOKEN='{foreign}'\n"),
                    None => format!("{line}\n"),
                });
            let text: String = lines.collect();
            host.disk.write(AGENT_ENV, text.as_bytes(), 0o600).ok();
        }
        if host.has(Fault::NoCertificate) {
            host.disk
                .remove("/var/lib/rancher/k3s/agent/client-kubelet.crt")
                .ok();
        }
    }
}

const AGENT_ENV: &str = "/etc/systemd/system/k3s-agent.service.env";

fn host(spec: &Spec, name: &HostName, is_server: bool, at: usize, began: HostTime) -> Host {
    let unit = if is_server {
        "k3s.service"
    } else {
        "k3s-agent.service"
    };
    let has_skew = spec.faults.contains(&(name.clone(), Fault::ClockSkew));
    let skew = if has_skew { 90_000_000 } else { 0 };
    let mut disk = Disk::new(HostTime(began.0 + skew));
    for directory in [
        "/root",
        "/tmp",
        "/run",
        "/proc",
        "/etc/systemd/system",
        "/etc/rancher/k3s",
        "/usr/local/bin",
    ] {
        disk.make_directories(directory, 0o755);
    }
    disk.make_directories("/var/lib/rancher/k3s", 0o755);
    Host {
        name: name.clone(),
        address: Spec::address(at),
        is_server,
        disk,
        unit: Unit {
            name: unit.to_owned(),
            fragment: format!("/etc/systemd/system/{unit}"),
            loaded: Loaded::default(),
            state: State::Inactive,
            main_pid: 0,
            n_restarts: 0,
            invocation: String::new(),
            started: None,
            result: "success".to_owned(),
        },
        life: Life::Down,
        node: None,
        journal: VecDeque::new(),
        faults: Vec::new(),
        changes: 0,
        booted: HostTime(began.0 + skew - 3_600_000_000),
        skew,
        is_member: false,
        away: false,
        epoch: 0,
        connections: 0,
        settled: false,
        starts_after_stop: false,
        former: None,
    }
}

/// Writes a file while the fleet is raised, when no disk is full yet.
fn put(host: &mut Host, path: &str, text: &str, mode: u32) {
    host.disk.write(path, text.as_bytes(), mode).ok();
}

fn furnish_unit(host: &mut Host, command: &str, env: &str) {
    let unit = host.unit.name.clone();
    let name = unit.trim_end_matches(".service").to_owned();
    let text = format!(
        "[Unit]\nDescription=Lightweight Kubernetes\nWants=network-online.target\nAfter=network-online.target\n\n[Install]\nWantedBy=multi-user.target\n\n[Service]\nType=notify\nEnvironmentFile=-/etc/default/{name}\nEnvironmentFile=-/etc/sysconfig/{name}\nEnvironmentFile=-/etc/systemd/system/{unit}.env\nKillMode=process\nDelegate=yes\nLimitNOFILE=1048576\nTasksMax=infinity\nTimeoutStartSec=0\nRestart=always\nRestartSec=5s\nExecStart=/usr/local/bin/k3s \\\n    {command} \\\n\n"
    );
    put(host, &format!("/etc/systemd/system/{unit}"), &text, 0o644);
    put(host, &format!("/etc/systemd/system/{unit}.env"), env, 0o600);
    put(host, "/usr/local/bin/k3s", "the k3s binary\n", 0o755);
    host.unit.loaded = Loaded::read(&host.disk, &host.unit.fragment).unwrap_or_default();
}

/// Some tokens are in `K10…` form, which needs the CA that the first server made.
fn formed(fleet: &Fleet, full: bool, secret: &str) -> String {
    let first = fleet.hosts.first();
    let ca = first.and_then(|host| {
        host.disk
            .text(&format!("/var/lib/rancher/k3s/{}", bootstrap::CA))
    });
    match ca {
        Some(ca) if full => token::full(&ca, "server", secret),
        _ => secret.to_owned(),
    }
}

fn furnish_server(fleet: &mut Fleet, spec: &Spec, at: usize, secret: &str) {
    let token = formed(fleet, at % 2 == 1, secret);
    let now = fleet.now;
    let joins = match (spec.datastore, at) {
        (Datastore::Sqlite, _) => String::new(),
        (Datastore::Etcd, 0) => "cluster-init: true\n".to_owned(),
        (Datastore::Etcd, _) => format!("server: https://{}:6443\n", Spec::address(0)),
        (Datastore::External, _) => {
            "datastore-endpoint: \"postgres://k3s@10.0.0.5:5432/k3s\"\n".to_owned()
        }
    };
    let Some(host) = fleet.hosts.get_mut(at) else {
        return;
    };
    host.disk.now = host.time(now);
    let (name, address) = (host.name.clone(), host.address.clone());
    let text = format!(
        "# K3s on {name}. Change the token on all servers at once.\nwrite-kubeconfig-mode: \"0600\"\n{joins}token: \"{token}\"   # join token\nnode-name: {name}\nnode-ip: {address}\ntls-san:\n  - k3s.example.net\ndisable: [traefik, servicelb]\n"
    );
    put(host, "/etc/rancher/k3s/config.yaml", &text, 0o600);
    furnish_unit(host, "server", "");
    if spec.datastore == Datastore::Sqlite {
        put(
            host,
            "/var/lib/rancher/k3s/server/db/state.db",
            "sqlite\n",
            0o600,
        );
    }
    host.disk.set_mode("/var/lib/rancher/k3s/server", 0o700);
}

fn furnish_agent(fleet: &mut Fleet, _spec: &Spec, at: usize, secret: &str) {
    let token = formed(fleet, at.is_multiple_of(3), secret);
    let now = fleet.now;
    let Some(host) = fleet.hosts.get_mut(at) else {
        return;
    };
    host.disk.now = host.time(now);
    let env = format!(
        "K3S_TOKEN='{token}'\nK3S_URL='https://{}:6443'\n",
        Spec::address(0)
    );
    furnish_unit(host, "agent", &env);
}

impl Fleet {
    /// The secret that the fleet had when it was raised.
    #[must_use]
    pub fn first_secret(&self) -> crate::secret::Secret {
        crate::secret::Secret::new(secret(self.seed))
    }

    /// Whether the datastore holds its bootstrap data under this secret, and under no other.
    #[must_use]
    pub fn is_encrypted_with(&self, secret: &crate::secret::Secret) -> bool {
        self.store.list("/bootstrap/") == [token::key(secret.expose())]
    }

    /// A host is rebooted from outside.
    pub fn reboot_now(&mut self, name: &HostName) {
        if let Some(at) = self.by_name.get(name).copied() {
            self.happen(at, Event::Reboot);
        }
    }
}
