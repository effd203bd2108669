//! The simulated fleet, kept in a file between runs of the real program.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use keyroll::model::{HostName, HostTime};
use keyroll::secret::Content;
use keyroll::sim::fault::Fault;
use keyroll::sim::world::{Files as _, after};
use keyroll::sim::{Fleet, spec};
use keyroll::wire::{Become, Change, Command, Request, Response};

use super::backend::{Backend, Desk, Ended, Held, Said};
use super::scenario::{Run, Topology};

const BEGAN: HostTime = HostTime(1_795_320_000_000_000);
/// A blocking restart of the model is over by then.
const JOB: Duration = Duration::from_secs(40);

pub(super) struct Sim {
    desk: Desk,
    inventory: String,
    fleet: RefCell<Fleet>,
}

fn name(host: &str) -> HostName {
    HostName::new(host).unwrap()
}

impl Sim {
    pub(super) fn raise(topology: &Topology) -> Self {
        let spec = string(topology);
        let fleet = Fleet::raise(&spec::parse(&spec).unwrap(), BEGAN);
        let desk = Desk::new(topology, fleet.first_secret().expose().to_owned());
        let state = desk.file("fleet.json").display().to_string();
        Self {
            desk,
            inventory: format!("{spec}&state={state}"),
            fleet: RefCell::new(fleet),
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Fleet) -> T) -> T {
        work(&mut self.fleet.borrow_mut())
    }
}

/// The string that asks for such a fleet.
fn string(topology: &Topology) -> String {
    let Topology {
        servers, agents, ..
    } = topology;
    let mut spec = format!(
        "sim:{servers}+{agents}?datastore={}&surface={}&data-dir={}&unit={}&port={}",
        topology.datastore().name(),
        topology.surface,
        topology.data_dir,
        topology.unit,
        topology.port
    );
    for (wanted, part) in [
        (topology.split, "&topology=split"),
        (topology.vip, "&joins=vip"),
        (topology.agent_token, "&agent-token=separate"),
        (topology.disable_agent, "&disable-agent=yes"),
    ] {
        spec += if wanted { part } else { "" };
    }
    spec
}

impl Backend for Sim {
    fn desk(&self) -> &Desk {
        &self.desk
    }

    fn keyroll(&self, run: &Run) -> Ended {
        assert!(
            run.when.is_none(),
            "the model's fleet lives in keyroll's own process: nothing can be done to it in the middle"
        );
        let kept = self.desk.file("fleet.json");
        std::fs::write(&kept, self.with(|fleet| fleet.to_json().unwrap())).unwrap();
        let mut keyroll = assert_cmd::Command::new(env!("CARGO_BIN_EXE_keyroll"));
        keyroll
            .args(self.desk.arguments(run, &self.inventory, false))
            .env_clear()
            .envs(self.desk.surroundings())
            .timeout(Duration::from_mins(2));
        let output = keyroll.output().unwrap();
        let fleet = std::fs::read_to_string(kept).unwrap();
        self.fleet.replace(Fleet::from_json(&fleet).unwrap());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ended {
            status: output.status.code().unwrap_or(-1),
            text: text(&output.stdout) + &text(&output.stderr),
            ..Ended::default()
        }
    }

    fn command(&self, host: &str, argv: &[&str], stdin: &str) -> Said {
        let command = Command::new(argv.iter().copied())
            .within(Duration::from_mins(5))
            .stdin(Content::from(stdin));
        let request = Request::Change(Change::Run(command));
        self.with(|fleet| {
            let reply = fleet.perform(&name(host), &Become::Root, &request);
            let reply = reply.unwrap_or_else(|trouble| panic!("{host}: {argv:?}: {trouble:?}"));
            let takes = if reply.waits { JOB } else { reply.takes };
            let now = after(fleet.now(), takes);
            fleet.advance(now);
            match reply.response {
                Response::Ran(ran) => Said {
                    status: ran.status,
                    out: ran.stdout.text().into_owned(),
                    err: ran.stderr.text().into_owned(),
                },
                other => panic!("{host}: {argv:?}: {other:?}"),
            }
        })
    }

    fn read(&self, host: &str, path: &str) -> Option<Held> {
        let fleet = self.fleet.borrow();
        let disk = &fleet.host(&name(host)).unwrap().disk;
        let stat = disk.stat(&disk.resolve(path))?;
        Some(Held {
            text: disk.text(path)?,
            mode: stat.mode,
            group: stat.gid,
        })
    }

    fn write(&self, host: &str, path: &str, text: &str) {
        self.with(|fleet| {
            let now = fleet.now();
            let host = fleet.host_mut(&name(host)).unwrap();
            host.disk.now = host.time(now);
            host.disk.write(path, text.as_bytes(), 0o600).unwrap();
        });
    }

    fn remove(&self, host: &str, path: &str) {
        assert!(self.read(host, path).is_some(), "{host} has no {path}");
        self.with(|fleet| {
            let disk = &mut fleet.host_mut(&name(host)).unwrap().disk;
            disk.remove(path).unwrap();
        });
    }

    fn fault(&self, host: &str, fault: &str) {
        let fault = Fault::named(fault).unwrap_or_else(|| panic!("there is no fault `{fault}`"));
        self.with(|fleet| fleet.inflict(&name(host), fault));
    }

    fn heal(&self, host: &str) {
        self.with(|fleet| fleet.heal(&name(host)));
    }

    fn power(&self, host: &str, what: &str) {
        let host = name(host);
        self.with(|fleet| match what {
            "off" => fleet.switch_off(&host),
            "on" => fleet.switch_on(&host),
            "rebooted" => fleet.reboot_now(&host),
            "unplugged" => fleet.unplug(&host, true),
            "plugged" => fleet.unplug(&host, false),
            _ => panic!("the model has no `power: {what}`"),
        });
        self.wait(if matches!(what, "on" | "rebooted") {
            90
        } else {
            1
        });
    }

    fn wait(&self, seconds: u64) {
        self.with(|fleet| {
            let now = after(fleet.now(), Duration::from_secs(seconds));
            fleet.advance(now);
        });
    }

    fn everything(&self) -> BTreeMap<String, String> {
        let fleet = self.with(|fleet| fleet.to_json().unwrap());
        [("the fleet".to_owned(), fleet)].into()
    }
}
