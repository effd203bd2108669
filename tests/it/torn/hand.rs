//! What befalls a fleet in the middle of a run from other hands than keyroll's.

use std::time::Duration;

use keyroll::model::HostName;
use keyroll::sim::fleet::{Disk, Fleet, Host, Life};
use keyroll::sim::world::Files as _;
use keyroll::wire::{Become, Change, Command, Request};

use super::kept::memory;
use super::rig::made;
use super::wire::{CONFIG, Cut};

/// The token of somebody who rotates by hand.
pub(super) const BY_HAND: &str = "b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7b7";

/// What happens just after a change on a host.
pub(super) fn does(fleet: &mut Fleet, host: &HostName, cut: Cut) {
    let of_kind = |servers: bool| {
        let is_one = |other: &&Host| other.is_server == servers;
        let own = fleet.host(host).filter(is_one);
        let found = own.or_else(|| fleet.hosts().iter().find(is_one));
        found.map(|host| host.name.clone())
    };
    let Some(server) = of_kind(true) else { return };
    match cut {
        Cut::ServerReboots(_) => fleet.reboot_now(&server),
        Cut::AgentReboots(_) => {
            if let Some(agent) = of_kind(false) {
                fleet.reboot_now(&agent);
            }
        }
        Cut::RestartsByHand(_) => restarts(fleet, &server),
        Cut::RotatesByHand(_) => rotates(fleet, &server),
        Cut::RotatesWhileOneIsDown(_) => rotates_beside_one_that_is_down(fleet, &server),
        Cut::JoinsWithOld(_) => agent_joins(fleet, None),
        Cut::JoinsWithNew(_) => agent_joins(fleet, Some(&made(1))),
        Cut::ServerJoinsWithOld(_) => server_joins(fleet, None),
        Cut::ServerJoinsWithNew(_) => server_joins(fleet, Some(&made(1))),
        _ => {}
    }
}

/// Types a command; how it ends is that person's trouble.
fn types<'a>(fleet: &mut Fleet, host: &HostName, argv: impl IntoIterator<Item = &'a str>) {
    let command = Command::new(argv).within(Duration::from_mins(1));
    let request = Request::Change(Change::Run(command));
    fleet.perform(host, &Become::Root, &request).ok();
}

fn orders(fleet: &mut Fleet, host: &HostName, verb: &str) {
    let unit = fleet.host(host).unwrap().unit.name.clone();
    types(fleet, host, ["systemctl", verb, "--no-block", &unit]);
}

pub(super) fn stops(fleet: &mut Fleet, server: &HostName) {
    orders(fleet, server, "stop");
}

pub(super) fn restarts(fleet: &mut Fleet, server: &HostName) {
    orders(fleet, server, "restart");
}

/// With the token that the server runs with, as its configuration may be of another by now.
pub(super) fn rotates(fleet: &mut Fleet, server: &HostName) {
    let serving = fleet.host(server).and_then(Host::serving);
    let Some(serving) = serving else { return };
    let (token, port) = (memory(serving), serving.settings.port());
    let argv = [
        "k3s",
        "token",
        "rotate",
        "--server",
        &format!("https://127.0.0.1:{port}"),
        "--data-dir",
        &serving.settings.path(""),
        "--token",
        &token,
        "--new-token",
        BY_HAND,
    ]
    .map(str::to_owned);
    types(fleet, server, argv.iter().map(String::as_str));
}

fn rotates_beside_one_that_is_down(fleet: &mut Fleet, server: &HostName) {
    let other = |host: &&Host| host.is_server && host.name != *server;
    let other = fleet.hosts().iter().find(other);
    let Some(other) = other.map(|host| host.name.clone()) else {
        return;
    };
    let unit = fleet.host(&other).unwrap().unit.name.clone();
    types(fleet, &other, ["systemctl", "stop", &unit]);
    rotates(fleet, server);
    orders(fleet, &other, "start");
}

/// Whether a host is a server that the cluster has known to be up; one in its very first start is not.
pub(super) fn is_server_of_the_cluster(host: &Host) -> bool {
    let is_first_start = host.node.is_none() && matches!(host.life, Life::Starting(..));
    host.is_server && is_of_the_cluster(host) && !is_first_start
}

/// Whether the cluster knows a host: as a node, or as a member of etcd.
pub(super) fn is_of_the_cluster(host: &Host) -> bool {
    host.node.is_some() || host.is_member
}

/// Who joins in the middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Newcomer {
    Agent,
    Server,
}

impl Newcomer {
    pub(super) fn of(cut: Cut) -> Option<Self> {
        match cut {
            Cut::JoinsWithOld(_) | Cut::JoinsWithNew(_) => Some(Self::Agent),
            Cut::ServerJoinsWithOld(_) | Cut::ServerJoinsWithNew(_) => Some(Self::Server),
            _ => None,
        }
    }

    /// The same fleet with one more host.
    pub(super) fn fleet(self, fleet: &str) -> String {
        let shape = fleet.strip_prefix("sim:").unwrap();
        let (counts, rest) = shape.split_once('?').unwrap();
        let (servers, agents) = counts.split_once('+').unwrap();
        let (servers, agents): (usize, usize) = (servers.parse().unwrap(), agents.parse().unwrap());
        match self {
            Self::Agent => format!("sim:{servers}+{}?{rest}", agents + 1),
            Self::Server => format!("sim:{}+{agents}?{rest}", servers + 1),
        }
    }

    fn name(self, fleet: &Fleet) -> HostName {
        let of_kind = |host: &&Host| host.is_server == (self == Self::Server);
        let last = fleet.hosts().iter().rev().find(of_kind);
        last.unwrap().name.clone()
    }

    /// The last of its kind: it is there, is set up, and has not started yet.
    pub(super) fn make(self, fleet: &mut Fleet) -> HostName {
        let name = self.name(fleet);
        orders(fleet, &name, "stop");
        let host = fleet.host_mut(&name).unwrap();
        (host.node, host.is_member) = (None, false);
        for folder in ["server", "agent"] {
            wipe(&mut host.disk, &format!("/var/lib/rancher/k3s/{folder}"));
        }
        name
    }
}

fn wipe(disk: &mut Disk, path: &str) {
    for name in disk.list(path).unwrap_or_default() {
        wipe(disk, &format!("{path}/{name}"));
    }
    disk.remove(path).unwrap();
}

fn agent_joins(fleet: &mut Fleet, token: Option<&str>) {
    let name = Newcomer::Agent.name(fleet);
    if let Some(token) = token {
        let host = fleet.host_mut(&name).unwrap();
        let path = format!("{}.env", host.unit.fragment);
        let text = host.disk.text(&path).unwrap();
        let url = text
            .lines()
            .find(|line| line.starts_with("K3S_URL="))
            .unwrap();
        let text = format!("K3S_TOKEN='{token}'\n{url}\n");
        host.disk.write(&path, text.as_bytes(), 0o600).unwrap();
    }
    orders(fleet, &name, "start");
}

/// A server that joins must have a token, also where the others have none configured any more.
fn server_joins(fleet: &mut Fleet, token: Option<&str>) {
    let name = Newcomer::Server.name(fleet);
    let old = fleet.first_secret().expose().to_owned();
    let token = token.unwrap_or(&old);
    let host = fleet.host_mut(&name).unwrap();
    let env = format!("{}.env", host.unit.fragment);
    let mut is_configured = false;
    for path in [CONFIG, &env] {
        let text = host.disk.text(path).unwrap();
        if text.contains(&old) {
            is_configured = true;
            let text = text.replace(&old, token);
            host.disk.write(path, text.as_bytes(), 0o600).unwrap();
        }
    }
    if !is_configured {
        configures(host, token);
    }
    orders(fleet, &name, "start");
}

fn configures(host: &mut Host, token: &str) {
    let text = host.disk.text(CONFIG).unwrap_or_default();
    let text = format!("{text}token: \"{token}\"\n");
    host.disk.write(CONFIG, text.as_bytes(), 0o600).unwrap();
}

/// Writes the token that a server keeps itself into its configuration.
pub(super) fn configures_its_own(fleet: &mut Fleet, server: &HostName) {
    let host = fleet.host_mut(server).unwrap();
    let own = host.disk.text("/var/lib/rancher/k3s/server/token").unwrap();
    configures(host, own.trim());
}
