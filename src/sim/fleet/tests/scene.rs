//! A fleet and short words for what tests do with it.

use std::time::Duration;

use crate::k3s::knock::{Door, Heard, Knock, Role};
use crate::model::{HostName, HostTime};
use crate::secret::{Content, Secret};
use crate::sim::Fleet;
use crate::sim::fleet::{Reply, Trouble};
use crate::sim::spec::parse;
use crate::sim::world::{Answer, Asked, Datastore as _, Files, after};
use crate::wire::{Become, Change, Command, Query, Ran, Request, Response};

pub(super) const NEW: &str = "newserversecret1111111111111111";
pub(super) const CONFIG: &str = "/etc/rancher/k3s/config.yaml";
pub(super) const ENV: &str = "/etc/systemd/system/k3s-agent.service.env";
pub(super) const SERVER: &str = "/var/lib/rancher/k3s/server";
pub(super) const START: HostTime = HostTime(1_795_320_000_000_000);

pub(super) struct Scene {
    pub(super) fleet: Fleet,
    pub(super) old: String,
}

pub(super) fn name(host: &str) -> HostName {
    HostName::new(host).unwrap()
}

impl Fleet {
    /// The datastore's bootstrap keys.
    pub(super) fn bootstrap_keys(&self) -> Vec<String> {
        self.store.list("/bootstrap/")
    }

    /// The largest number of servers that were down at one time since the fleet was raised.
    pub(super) fn most_servers_down(&self) -> usize {
        self.most_down
    }
}

impl Scene {
    pub(super) fn new(spec: &str) -> Self {
        let fleet = Fleet::raise(&parse(spec).unwrap(), START);
        let old = fleet.first_secret().expose().to_owned();
        Self { fleet, old }
    }

    pub(super) fn pass(&mut self, seconds: u64) {
        let now = after(self.fleet.now(), Duration::from_secs(seconds));
        self.fleet.advance(now);
    }

    pub(super) fn request(&mut self, host: &str, request: &Request) -> Result<Reply, Trouble> {
        self.fleet.perform(&name(host), &Become::Root, request)
    }

    pub(super) fn ran(&mut self, host: &str, command: Command) -> Ran {
        match self
            .request(host, &Request::Change(Change::Run(command)))
            .unwrap()
            .response
        {
            Response::Ran(ran) => ran,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn run(&mut self, host: &str, line: &str) -> Ran {
        self.ran(host, Command::new(line.split(' ')))
    }

    pub(super) fn out(&mut self, host: &str, line: &str) -> String {
        self.run(host, line).stdout.text().into_owned()
    }

    pub(super) fn look(&mut self, host: &str, query: Query) -> Response {
        self.request(host, &Request::Query(query)).unwrap().response
    }

    fn door(host: &str) -> Door {
        let (port, ca) = if host.starts_with("agent") {
            (6444, "/var/lib/rancher/k3s/agent/server-ca.crt")
        } else {
            (6443, "/var/lib/rancher/k3s/server/tls/server-ca.crt")
        };
        Door {
            k3s: "/usr/local/bin/k3s".into(),
            url: format!("https://127.0.0.1:{port}"),
            ca: ca.into(),
            name: None,
        }
    }

    /// `kubectl get --raw` of a path, as a role with a secret.
    pub(super) fn raw(&mut self, host: &str, role: Role, secret: &str, path: &str) -> Ran {
        let door = Self::door(host);
        let words = [
            "--kubeconfig=/dev/stdin",
            "--request-timeout=10s",
            "get",
            "--raw",
            path,
        ];
        let command = Command::new(door.k3s.kubectl(words))
            .directly()
            .stdin(door.kubeconfig(role, &Secret::new(secret)));
        self.ran(host, command)
    }

    pub(super) fn knock(&mut self, host: &str, role: Role, secret: &str) -> Heard {
        let knock = Knock {
            door: Self::door(host),
            role,
            secret: Secret::new(secret),
        };
        let ran = self.raw(host, role, secret, role.path());
        knock.heard(ran.status, &ran.stdout.text(), &ran.stderr.text())
    }

    /// What OLD and NEW are worth as `server` on a host: `(OLD, NEW)`.
    pub(super) fn worth(&mut self, host: &str) -> (Heard, Heard) {
        let old = self.old.clone();
        (
            self.knock(host, Role::Server, &old),
            self.knock(host, Role::Server, NEW),
        )
    }

    /// What a supervisor answers to a GET, straight; `None` when nobody listens.
    pub(super) fn ask(
        &mut self,
        host: &str,
        path: &str,
        basic: Option<(&str, &str)>,
    ) -> Option<(u16, String)> {
        let at = self.fleet.by_name[&name(host)];
        let asked = Asked {
            method: "GET",
            path,
            basic,
            bearer: None,
            body: &[],
        };
        match self.fleet.ask(at, asked).ok()? {
            Answer::Said { status, body } => Some((status, body)),
            Answer::Dropped => None,
        }
    }

    /// What a supervisor answers to who bears a token.
    pub(super) fn bears(&mut self, host: &str, path: &str, token: &str) -> (u16, String) {
        let at = self.fleet.by_name[&name(host)];
        let asked = Asked {
            method: "GET",
            path,
            basic: None,
            bearer: Some(token),
            body: &[],
        };
        match self.fleet.ask(at, asked) {
            Ok(Answer::Said { status, body }) => (status, body),
            other => panic!("{other:?}"),
        }
    }

    /// The password of a row of passwd.
    pub(super) fn row(&self, host: &str, user: &str) -> String {
        let text = self.text(host, &format!("{SERVER}/cred/passwd"));
        let mut rows = text.lines().filter_map(|line| line.split_once(','));
        let found = rows.find(|(_, rest)| rest.starts_with(user));
        found.unwrap_or_default().0.to_owned()
    }

    pub(super) fn stat(&self, host: &str, path: &str) -> crate::wire::FileStat {
        self.fleet
            .host(&name(host))
            .unwrap()
            .disk
            .stat(path)
            .unwrap()
    }

    pub(super) fn put_command(host: &str, auth: &str, body: &str) -> Command {
        let kubeconfig = Self::door(host).kubeconfig(Role::Server, &Secret::new(auth));
        let line = "k3s kubectl --kubeconfig=/dev/stdin --request-timeout=60s replace --raw /v1-k3s/token -f /dev/fd/3 --validate=false";
        Command::new(line.split(' '))
            .stdin(kubeconfig)
            .fd3(Content::from(body))
    }

    pub(super) fn put(&mut self, host: &str, auth: &str, new: &str) -> Ran {
        let body = format!("{{\"newToken\":\"{new}\"}}");
        let command = Self::put_command(host, auth, &body);
        self.ran(host, command)
    }

    pub(super) fn rotate(&mut self, host: &str) {
        let old = self.old.clone();
        let ran = self.put(host, &old, NEW);
        assert_eq!((ran.status, ran.stderr.text().as_ref()), (0, ""));
    }

    pub(super) fn text(&self, host: &str, path: &str) -> String {
        self.fleet
            .host(&name(host))
            .unwrap()
            .disk
            .text(path)
            .unwrap_or_default()
    }

    pub(super) fn edit(&mut self, host: &str, path: &str, from: &str, to: &str) {
        let text = self.text(host, path);
        assert!(text.contains(from), "{host}:{path} has no `{from}`");
        let text = text.replace(from, to);
        self.write(host, path, &text);
    }

    pub(super) fn write(&mut self, host: &str, path: &str, text: &str) {
        let now = self.fleet.now();
        let host = self.fleet.host_mut(&name(host)).unwrap();
        host.disk.now = host.time(now);
        host.disk.write(path, text.as_bytes(), 0o600).unwrap();
    }

    pub(super) fn remove(&mut self, host: &str, path: &str) {
        self.fleet
            .host_mut(&name(host))
            .unwrap()
            .disk
            .remove(path)
            .unwrap();
    }

    pub(super) fn flip(&mut self, host: &str) {
        let path = if host.starts_with("agent") {
            ENV
        } else {
            CONFIG
        };
        let old = self.old.clone();
        self.edit(host, path, &old, NEW);
    }

    pub(super) fn unit(host: &str) -> &'static str {
        if host.starts_with("agent") {
            "k3s-agent.service"
        } else {
            "k3s.service"
        }
    }

    pub(super) fn order(&mut self, host: &str, verb: &str) {
        let ran = self.run(
            host,
            &format!("systemctl {verb} --no-block {}", Self::unit(host)),
        );
        assert_eq!(ran.status, 0);
    }

    pub(super) fn restart(&mut self, host: &str, seconds: u64) {
        self.order(host, "restart");
        self.pass(seconds);
    }

    pub(super) fn property(&mut self, host: &str, key: &str) -> String {
        let line = format!(
            "env TZ=UTC systemctl show --property={key} {}",
            Self::unit(host)
        );
        let out = self.out(host, &line);
        out.trim().trim_start_matches(&format!("{key}=")).to_owned()
    }

    pub(super) fn active(&mut self, host: &str) -> String {
        self.property(host, "ActiveState")
    }

    pub(super) fn journal(&mut self, host: &str) -> String {
        self.out(
            host,
            &format!(
                "journalctl -u {} -n 100 --no-pager -o cat",
                Self::unit(host)
            ),
        )
    }

    pub(super) fn ready(&mut self, from: &str, node: &str) -> String {
        let list = self.out(from, "k3s kubectl --request-timeout=10s get nodes -o json");
        let list: serde_json::Value = serde_json::from_str(&list).unwrap();
        let items = list["items"].as_array().unwrap();
        let item = items
            .iter()
            .find(|item| item["metadata"]["name"] == node)
            .unwrap();
        let conditions = item["status"]["conditions"].as_array().unwrap();
        let ready = conditions.iter().find(|c| c["type"] == "Ready").unwrap();
        ready["status"].as_str().unwrap().to_owned()
    }

    pub(super) fn renewed(&mut self, from: &str, node: &str) -> String {
        let line = "k3s kubectl --request-timeout=10s get leases -n kube-node-lease -o json";
        let list: serde_json::Value = serde_json::from_str(&self.out(from, line)).unwrap();
        let items = list["items"].as_array().unwrap();
        let item = items
            .iter()
            .find(|item| item["metadata"]["name"] == node)
            .unwrap();
        item["spec"]["renewTime"].as_str().unwrap().to_owned()
    }
}
