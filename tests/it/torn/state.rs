//! What a fleet is like between runs and after them, and what is wrong with it.

use std::time::Duration;

use keyroll::exit::Exit;
use keyroll::k3s::token::Token;
use keyroll::model::HostName;
use keyroll::sim::fleet::{Host, Life};
use keyroll::sim::settings::Settings;
use keyroll::sim::world::Files as _;

use super::kept;
use super::rig::{Ended, Inner, made};
use super::wire::{CONFIG, Cut, surface};

/// What is said of a server whose config file was changed after the proof.
const DIFFERS: &str = "is not the one that the cluster runs with";

pub(super) const SERVERS: [&str; 6] = [
    "server-1", "server-2", "server-3", "server-4", "server-5", "server-6",
];

/// How a server ends that only a rescue brings back.
const TRAPS: [&str; 3] = [
    "encrypted with different token",
    "newer than datastore",
    "datastore: not authorized",
];

impl Inner {
    /// Runs again a minute later, uncut, unless the first run ended well; what is wrong afterwards.
    pub(super) async fn go_on(&mut self, first: &Ended) -> Vec<String> {
        self.sleep(1).await;
        let trapped = self.trapped();
        let mut wrong = self.look(trapped).await;
        let number = if first.exit == Exit::Fine { 1 } else { 2 };
        let again = if number == 1 {
            Ended {
                exit: Exit::Fine,
                roots: Vec::new(),
                next: String::new(),
            }
        } else {
            self.run(number, Cut::Never, false).await
        };
        wrong.extend(self.wire.state().dangers.clone());
        if trapped {
            let roots = again.roots.join("; ");
            let is_named = roots.contains("its configured token is not the one")
                || roots.contains("does not accept its token");
            if again.exit == Exit::Fine || !is_named {
                wrong.push(format!("the trap was not said: {again:?}"));
            }
            return wrong;
        }
        if self.is_said(&again) {
            // Its own token is forgotten on that server, so nobody but a person knows which one is right.
            return wrong;
        }
        if again.exit != Exit::Fine {
            let last = self.last_changes();
            wrong.push(format!("ended {again:?}\n   last changes: {last}"));
        }
        wrong.extend(self.unlike(&self.expected(number)));
        wrong
    }

    /// A dry run changes nothing, and has nothing to say against another run.
    async fn look(&mut self, trapped: bool) -> Vec<String> {
        let mut wrong = Vec::new();
        let before = self.wire.with(|fleet| fleet.changes());
        let look = self.run(3, Cut::Never, true).await;
        if self.wire.with(|fleet| fleet.changes()) != before {
            wrong.push("a dry run changed something".to_owned());
        }
        if !trapped && !matches!(look.exit, Exit::Fine | Exit::WorkFound) && !self.is_said(&look) {
            wrong.push(format!("a dry run says: {look:?}"));
        }
        wrong
    }

    /// Whether a config file that somebody put back is what a run says.
    fn is_said(&self, ended: &Ended) -> bool {
        self.left.put_back && ended.roots.join("; ").contains(DIFFERS)
    }

    fn last_changes(&self) -> String {
        let state = self.wire.state();
        let first = state.log.len().saturating_sub(6);
        state.log[first..].join("; ")
    }

    /// The token that the cluster has to have after the n-th run.
    pub(super) fn expected(&self, number: usize) -> String {
        let left = &self.left;
        if left.is_over {
            // OLD was forgotten everywhere: that rotation is over, whatever became of the run.
            self.datastore().unwrap_or_default()
        } else if left.datastore == Some(made(1))
            || left.is_staged && left.datastore.as_ref() == Some(&self.old)
        {
            made(1)
        } else {
            made(number)
        }
    }

    /// What is wrong with hosts that should all run with this token, and with the datastore.
    pub(super) fn unlike(&self, token: &str) -> Vec<String> {
        let mut wrong = Vec::new();
        let datastore = self.datastore();
        if datastore.as_deref() != Some(token) {
            wrong.push(format!("the datastore has {datastore:?}, not {token}"));
        }
        wrong.extend(self.wire.with(|fleet| {
            let hosts = fleet.hosts().iter();
            let ours = hosts.filter(|host| self.inventory.hosts.contains_key(&host.name));
            ours.filter_map(|host| unlike(host, token))
                .collect::<Vec<_>>()
        }));
        wrong
    }

    /// The same, and what no change should have done.
    pub(super) fn wrong(&self, token: &str) -> Vec<String> {
        let mut wrong = self.wire.state().dangers.clone();
        wrong.extend(self.unlike(token));
        wrong
    }

    /// Which of the known tokens the datastore is encrypted with.
    pub(super) fn datastore(&self) -> Option<String> {
        self.wire.with(|fleet| kept::datastore(fleet))
    }

    /// Servers that would start with another token than the datastore's.
    pub(super) fn between(&self) -> Vec<String> {
        let token = self.datastore();
        self.wire.with(|fleet| {
            let servers = fleet.hosts().iter().filter(|host| host.is_server);
            let wrong = servers.filter(|host| surface(host) != token);
            wrong.map(|host| host.name.to_string()).collect()
        })
    }

    /// Whether OLD is kept on any server.
    pub(super) fn is_kept(&self) -> bool {
        let path = "/var/lib/rancher/k3s/server/.keyroll/old";
        self.wire.with(|fleet| {
            fleet
                .hosts()
                .iter()
                .any(|host| host.disk.text(path).is_some())
        })
    }

    /// Whether the first run's token waits beside a surface.
    pub(super) fn is_staged(&self) -> bool {
        self.wire.with(|fleet| {
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

    /// The token that the fleet was raised with.
    pub(super) fn old(&self) -> String {
        self.old.clone()
    }

    /// The number of the change that re-encrypts the datastore, among all of the last run.
    pub(super) fn put(&self) -> usize {
        let is_put = |line: &String| line.contains("replace --raw /v1-k3s/token");
        self.wire.state().log.iter().position(is_put).unwrap()
    }

    /// How many changes the last run tried.
    pub(super) fn tried(&self) -> usize {
        self.wire.state().seen
    }

    pub(super) async fn sleep(&self, minutes: u64) {
        self.clock.sleep(Duration::from_mins(minutes)).await;
    }

    /// A host reboots, and three minutes pass.
    pub(super) async fn reboot(&self, host: &str) {
        let host = HostName::new(host).unwrap();
        self.wire.with(|fleet| fleet.reboot_now(&host));
        self.sleep(3).await;
    }

    /// Somebody writes another token into a host's configuration, or where nothing is configured into K3s's own file.
    pub(super) fn configure(&self, host: &str, token: &str) {
        let paths = [CONFIG, "/var/lib/rancher/k3s/server/token"];
        let (host, old) = (HostName::new(host).unwrap(), self.old());
        self.wire.with(|fleet| {
            let disk = &mut fleet.host_mut(&host).unwrap().disk;
            let has_old = |path: &&str| disk.text(path).is_some_and(|text| text.contains(&old));
            let path = paths.into_iter().find(has_old);
            let Some(path) = path else {
                // The rotator's own file has it already.
                let own = disk.text(paths[1]).unwrap();
                assert!(own.contains(token), "{host} has neither token");
                return;
            };
            let text = disk.text(path).unwrap();
            let text = text.replace(&old, token);
            disk.write(path, text.as_bytes(), 0o600).unwrap();
        });
    }

    /// Whether a server is down in a way that only a rescue mends.
    pub(super) fn trapped(&self) -> bool {
        self.trapped_server().is_some()
    }

    /// That server.
    pub(super) fn trapped_server(&self) -> Option<&'static str> {
        let is_trapped = |host: &&Host| {
            let dead = !matches!(host.life, Life::Up(_) | Life::Starting(..));
            let mut last = host.journal.iter().rev().take(8);
            let says = |line: &String| TRAPS.iter().any(|trap| line.contains(trap));
            host.is_server && dead && last.any(says)
        };
        self.wire.with(|fleet| {
            let trapped = fleet.hosts().iter().find(is_trapped)?;
            let mut names = SERVERS.into_iter();
            names.find(|name| *name == trapped.name.as_str())
        })
    }

    /// The agent token that each server accepts, and that each agent is configured with.
    pub(super) fn agent_tokens(&self) -> Vec<(String, Option<String>)> {
        self.wire.with(|fleet| {
            let hosts = fleet.hosts().iter();
            hosts
                .map(|host| (host.name.to_string(), agent_token(host)))
                .collect()
        })
    }

    pub(super) fn servers(&self) -> Vec<String> {
        let members = self.fleet().servers.into_iter();
        members.map(|member| member.name.to_string()).collect()
    }
}

fn agent_token(host: &Host) -> Option<String> {
    match &host.life {
        Life::Up(server) => {
            let memory = serde_json::to_value(server).unwrap();
            Some(memory["agent_secret"].as_str().unwrap().to_owned())
        }
        Life::Joined(_) => {
            let launch = host.unit.loaded.launch(&host.disk);
            let settings = Settings::resolve(&host.disk, &launch).ok()?;
            let token = Token::parse(&settings.token?).ok()?;
            Some(token.secret.expose().to_owned())
        }
        _ => None,
    }
}

/// What is wrong with a host that should run with this token.
fn unlike(host: &Host, token: &str) -> Option<String> {
    let name = &host.name;
    if host.is_server {
        let Life::Up(server) = &host.life else {
            return Some(format!("{name} does not serve"));
        };
        let memory = kept::memory(server);
        if memory != token {
            return Some(format!("{name} accepts {memory}"));
        }
        let surface = surface(host);
        return (surface.as_deref() != Some(token))
            .then(|| format!("{name} is configured with {surface:?}"));
    }
    (!matches!(host.life, Life::Joined(_))).then(|| format!("{name} has not joined"))
}
