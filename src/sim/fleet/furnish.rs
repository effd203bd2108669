//! The files of a host before K3s first starts there.

use super::{Fleet, Host, Loaded};
use crate::sim::bootstrap;
use crate::sim::dress::{Body, Dress, Fill, Role};
use crate::sim::spec::{Datastore, Joins, Spec, Surface};
use crate::sim::sqlite;
use crate::sim::token;
use crate::sim::world::Files as _;

/// The address that leads to whichever server serves.
pub(super) const VIP: &str = "10.0.0.100";
const DATA: &str = "/var/lib/rancher/k3s";
const CONFIG: &str = "/etc/rancher/k3s/config.yaml";
const DROP_IN: &str = "/etc/rancher/k3s/config.yaml.d/50-token.yaml";
const TOKEN_FILE: &str = "/etc/rancher/k3s/token";

/// Writes a file while the fleet is raised, when no disk is full yet.
fn put(host: &mut Host, path: &str, text: &str, mode: u32) {
    host.disk.write(path, text.as_bytes(), mode).ok();
}

fn unit(host: &mut Host, command: &str, env: &str) {
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
fn formed(fleet: &Fleet, spec: &Spec, full: bool, (user, secret): (&str, &str)) -> String {
    let path = format!("{}/{}", spec.shape.data_dir, bootstrap::CA);
    let ca = fleet.hosts.first().and_then(|host| host.disk.text(&path));
    match ca {
        Some(ca) if full => token::full(&ca, user, secret),
        _ => secret.to_owned(),
    }
}

fn url(spec: &Spec) -> String {
    let address = match spec.shape.joins {
        Joins::Vip => VIP.to_owned(),
        Joins::First => Spec::address(0),
    };
    format!("https://{address}:{}", spec.shape.port)
}

/// The lines of a server's configuration that say what it is in the cluster.
fn roles(spec: &Spec, at: usize) -> String {
    let init = "cluster-init: true\n";
    match (spec.datastore, at) {
        (Datastore::Sqlite, _) => String::new(),
        (Datastore::Etcd, 0) if spec.shape.split => {
            format!(
                "{init}disable-apiserver: true\ndisable-controller-manager: true\ndisable-scheduler: true\n"
            )
        }
        (Datastore::Etcd, 0) => init.to_owned(),
        (Datastore::Etcd, _) if spec.shape.split => {
            format!("server: {}\ndisable-etcd: true\n", url(spec))
        }
        (Datastore::Etcd, _) => format!("server: {}\n", url(spec)),
        (Datastore::External, _) => {
            "datastore-endpoint: \"postgres://k3s@10.0.0.5:5432/k3s\"\n".to_owned()
        }
    }
}

/// The lines for what differs from the installer's.
fn others(spec: &Spec) -> String {
    let shape = &spec.shape;
    let secret = agent_secret(spec);
    let lines = [
        (
            shape.data_dir != DATA,
            format!("data-dir: {}\n", shape.data_dir),
        ),
        (
            shape.port != 6443,
            format!("https-listen-port: {}\n", shape.port),
        ),
        (shape.agent_token, format!("agent-token: \"{secret}\"\n")),
        (shape.disable_agent, "disable-agent: true\n".to_owned()),
    ];
    let wanted = lines.into_iter().filter(|(wanted, _)| *wanted);
    wanted.map(|(_, line)| line).collect()
}

fn agent_secret(spec: &Spec) -> String {
    let hash = token::sha256(format!("agents {}", spec.seed).as_bytes());
    hash.get(..32).unwrap_or_default().to_owned()
}

/// Furnishes a server.
pub(super) fn server(fleet: &mut Fleet, spec: &Spec, at: usize, secret: &str) {
    let token = formed(fleet, spec, at % 2 == 1, ("server", secret));
    let now = fleet.now;
    let Some(host) = fleet.hosts.get_mut(at) else {
        return;
    };
    host.disk.now = host.time(now);
    let (name, address) = (host.name.clone(), host.address.clone());
    let line = match spec.shape.surface {
        Surface::Config | Surface::Nothing => format!("token: \"{token}\"   # join token\n"),
        Surface::File => format!("token-file: {TOKEN_FILE}\n"),
        Surface::DropIn | Surface::Env | Surface::Argument => String::new(),
    };
    let (roles, others) = (roles(spec, at), others(spec));
    let text = format!(
        "# K3s on {name}. Change the token on all servers at once.\nwrite-kubeconfig-mode: \"0600\"\n{roles}{line}node-name: {name}\nnode-ip: {address}\n{others}tls-san:\n  - k3s.example.net\ndisable: [traefik, servicelb]\n"
    );
    put(host, CONFIG, &text, 0o600);
    let (mut command, mut env) = ("server".to_owned(), String::new());
    match spec.shape.surface {
        Surface::DropIn => put(host, DROP_IN, &format!("token: \"{token}\"\n"), 0o600),
        Surface::File => put(host, TOKEN_FILE, &format!("{token}\n"), 0o600),
        Surface::Env => env = format!("K3S_TOKEN='{token}'\n"),
        Surface::Argument => command = format!("server '--token' '{token}'"),
        Surface::Config | Surface::Nothing => {}
    }
    unit(host, &command, &env);
    if spec.datastore == Datastore::Sqlite {
        let path = format!("{}/{}", spec.shape.data_dir, sqlite::PATH);
        host.disk.write(&path, &sqlite::database(), 0o600).ok();
    }
}

/// Furnishes an agent.
pub(super) fn agent(fleet: &mut Fleet, spec: &Spec, at: usize, secret: &str) {
    let own = agent_secret(spec);
    let kind = if spec.shape.agent_token {
        ("node", own.as_str())
    } else {
        ("server", secret)
    };
    let token = formed(fleet, spec, at.is_multiple_of(3), kind);
    let now = fleet.now;
    let Some(host) = fleet.hosts.get_mut(at) else {
        return;
    };
    host.disk.now = host.time(now);
    if spec.shape.data_dir != DATA {
        let text = format!("data-dir: {}\n", spec.shape.data_dir);
        put(host, CONFIG, &text, 0o600);
    }
    let env = format!("K3S_TOKEN='{token}'\nK3S_URL='{}'\n", url(spec));
    unit(host, "agent", &env);
}

/// Makes a host look as an installer leaves it; a server that runs is to be started again.
pub(super) fn dress(fleet: &mut Fleet, spec: &Spec, at: usize, (dress, secret): (&Dress, &str)) {
    let role = match at {
        0 => Role::Server,
        at if at < spec.servers => Role::Joiner,
        _ => Role::Agent,
    };
    let whole = formed(fleet, spec, true, ("server", secret));
    let now = fleet.now;
    let Some(host) = fleet.hosts.get_mut(at) else {
        return;
    };
    host.disk.now = host.time(now);
    let fill = Fill {
        token: secret.to_owned(),
        full: whole,
        server: Spec::address(0),
        name: host.name.as_str().to_owned(),
    };
    let fragment = host.unit.fragment.clone();
    for path in [CONFIG, &fragment, &format!("{fragment}.env")] {
        host.disk.remove(path).ok();
    }
    put(host, "/usr/local/bin/k3s", "the k3s binary\n", 0o755);
    for item in dress.items(role, &fill) {
        if item.is_unit() {
            let name = item.path.rsplit('/').next().unwrap_or_default();
            name.clone_into(&mut host.unit.name);
            item.path.clone_into(&mut host.unit.fragment);
        }
        match &item.body {
            Body::Text(text) => put(host, &item.path, text, item.mode),
            Body::Program => put(host, &item.path, "the k3s binary\n", item.mode),
            Body::Link(target) => {
                host.disk.symlink(target, &item.path).ok();
            }
        }
    }
    host.unit.loaded = Loaded::read(&host.disk, &host.unit.fragment).unwrap_or_default();
}

/// Takes the token out of a server's configuration.
pub(super) fn forget_token(fleet: &mut Fleet, at: usize) {
    let now = fleet.now;
    if let Some(host) = fleet.hosts.get_mut(at) {
        host.disk.now = host.time(now);
        let text = host.disk.text(CONFIG).unwrap_or_default();
        let kept = text.lines().filter(|line| !line.starts_with("token:"));
        let text: String = kept.flat_map(|line| [line, "\n"]).collect();
        put(host, CONFIG, &text, 0o600);
    }
}

/// Gives an agent a token that is not the cluster's.
pub(super) fn foreign(host: &mut Host) {
    let path = format!("{}.env", host.unit.fragment);
    let text = host.disk.text(&path).unwrap_or_default();
    let foreign = token::sha256(b"foreign");
    let line = format!("K3S_TOKEN='{}'", foreign.get(..32).unwrap_or_default());
    let lines = text.lines().map(|known| {
        if known.starts_with("K3S_TOKEN=") {
            line.as_str()
        } else {
            known
        }
    });
    let text: String = lines.flat_map(|line| [line, "\n"]).collect();
    put(host, &path, &text, 0o600);
}
