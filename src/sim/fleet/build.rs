//! The fleet as get.k3s.io and a careful operator leave it, running for a day.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use super::{Disk, Fleet, Host, Life, Loaded, State, Store, Unit, furnish, meddle};
use crate::model::{HostName, HostTime};
use crate::sim::fault::Fault;
use crate::sim::spec::{Spec, Surface};
use crate::sim::token;
use crate::sim::world::{Datastore as _, after};

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
        version: spec.version,
        hosts: hosts.collect(),
        raised: spec.raised(),
        store: Store::default(),
        queue: BTreeSet::new(),
        drawn: 0,
        assumed: BTreeSet::new(),
        unknown_ok: spec.unknown_ok,
        most_down: 0,
        by_name: HashMap::new(),
        by_address: HashMap::new(),
        servers: Vec::new(),
    };
    fleet.index();
    let secret = secret(spec.seed);
    for at in 0..spec.servers {
        furnish::server(&mut fleet, spec, at, &secret);
        fleet.start(at, Duration::ZERO);
        let settled = after(fleet.now, MINUTE);
        fleet.advance(settled);
        if spec.shape.surface == Surface::Nothing {
            // Even such a server had a token when it first joined.
            furnish::forget_token(&mut fleet, at);
            fleet.stop(at);
            fleet.start(at, Duration::ZERO);
            let settled = after(fleet.now, MINUTE);
            fleet.advance(settled);
        }
    }
    // An installer is run when all are there, so that one sees what each leaves and not in which order.
    for at in 0..spec.servers {
        if let Some(dress) = spec.shape.installer.of(at) {
            furnish::dress(&mut fleet, spec, at, (dress, &secret));
            fleet.stop(at);
            fleet.start(at, Duration::ZERO);
            let settled = after(fleet.now, MINUTE);
            fleet.advance(settled);
        }
    }
    for at in spec.servers..fleet.hosts.len() {
        match spec.shape.installer.of(at) {
            Some(dress) => furnish::dress(&mut fleet, spec, at, (dress, &secret)),
            None => furnish::agent(&mut fleet, spec, at, &secret),
        }
        let spread = Duration::from_millis(fleet.draw() % 60_000);
        fleet.start(at, spread);
    }
    fleet.advance(after(began, DAY));
    settle(&mut fleet, spec);
    fleet
}

/// From here on what happens is no longer the building of the fleet.
fn settle(fleet: &mut Fleet, spec: &Spec) {
    fleet.most_down = 0;
    for (name, fault) in &spec.faults {
        fleet.inflict(name, *fault);
    }
    for host in &mut fleet.hosts {
        host.settled = true;
        host.changes = 0;
    }
}

fn host(spec: &Spec, name: &HostName, is_server: bool, at: usize, began: HostTime) -> Host {
    let suffix = if is_server { "" } else { "-agent" };
    let unit = format!("{}{suffix}.service", spec.shape.unit);
    let has_skew = spec.faults.contains(&(name.clone(), Fault::ClockSkew));
    let skew = if has_skew { meddle::AHEAD } else { 0 };
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
    disk.set_mode("/root", 0o700);
    disk.set_mode("/tmp", 0o1777);
    disk.make_directories(&spec.shape.data_dir, 0o755);
    Host {
        name: name.clone(),
        address: Spec::address(at),
        is_server,
        disk,
        unit: Unit {
            fragment: format!("/etc/systemd/system/{unit}"),
            name: unit,
            loaded: Loaded::default(),
            enabled: true,
            state: State::Inactive,
            main_pid: 0,
            n_restarts: 0,
            invocation: String::new(),
            started: None,
            ready: None,
            result: "success".to_owned(),
        },
        life: Life::Down,
        node: None,
        journal: VecDeque::new(),
        journal_of: VecDeque::new(),
        faults: Vec::new(),
        changes: 0,
        booted: HostTime(began.0 + skew - 3_600_000_000),
        skew,
        is_member: false,
        stale_members: 0,
        program: None,
        away: false,
        frozen: false,
        epoch: 0,
        connections: 0,
        settled: false,
        starts_after_stop: false,
        former: None,
        listed_until: None,
    }
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
}
