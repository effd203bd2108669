//! What befalls a fleet in the middle of a run from other hands than keyroll's.

use std::time::Duration;

use keyroll::model::HostName;
use keyroll::sim::fault::Fault;
use keyroll::sim::fleet::{Fleet, Host};
use keyroll::sim::world::Files as _;
use keyroll::wire::{Become, Change, Command, Request};

use super::rig::made;
use super::wire::Cut;

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
        Cut::JoinsWithOld(_) => joins(fleet, None),
        Cut::JoinsWithNew(_) => joins(fleet, Some(&made(1))),
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

fn restarts(fleet: &mut Fleet, server: &HostName) {
    orders(fleet, server, "restart");
}

/// With the token that the server runs with, as its configuration may be of another by now.
fn rotates(fleet: &mut Fleet, server: &HostName) {
    let serving = fleet.host(server).and_then(Host::serving);
    let Some(serving) = serving else { return };
    let memory = serde_json::to_value(serving).unwrap();
    let (token, port) = (
        memory["secret"].as_str().unwrap().to_owned(),
        serving.settings.port(),
    );
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

/// The last agent: it is there, is set up, and has not started yet.
pub(super) fn newcomer(fleet: &mut Fleet) -> HostName {
    let name = fleet.hosts().last().unwrap().name.clone();
    orders(fleet, &name, "stop");
    fleet.inflict(&name, Fault::NoCertificate);
    fleet.heal(&name);
    fleet.host_mut(&name).unwrap().node = None;
    name
}

fn joins(fleet: &mut Fleet, token: Option<&str>) {
    let name = fleet.hosts().last().unwrap().name.clone();
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
