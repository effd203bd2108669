//! Begins `k3s server` or `k3s agent`: what the process is told, and on which host it is.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::path::PathBuf;
use std::time::Duration;

use super::disk::Disk;
use super::shared::Shared;
use super::{agent, log, now, reset, server, version};
use crate::sim::kubectl::Ended;
use crate::sim::settings::{Kind, Launch, Settings, Unsettled};
use crate::sim::unpack;
use crate::sim::version::Version;
use crate::sim::world::{Files as _, Level, Line};

const UNITS: &str = "/etc/systemd/system";

/// The host, and how this process is to behave there.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The node's name.
    pub(super) name: String,
    /// The node's address.
    pub(super) address: String,
    /// What the cluster's hosts share: `STANDIN_STORE`.
    pub(super) shared: Shared,
    /// Which K3s it is: `STANDIN_VERSION`.
    pub(super) version: Version,
    /// How long a start takes: `STANDIN_START_MS`.
    pub(super) start: Duration,
    /// How often the kubelet renews its lease: `STANDIN_LEASE_MS`.
    pub(super) lease: Duration,
    /// When the process dies after it was ready: `STANDIN_DIES_MS`.
    pub(super) dies: Option<Duration>,
    /// Variables.
    pub(super) env: BTreeMap<String, String>,
}

fn millis(env: &BTreeMap<String, String>, name: &str) -> Option<Duration> {
    let number = env.get(name)?.parse().ok()?;
    Some(Duration::from_millis(number))
}

/// The address from which this host would speak to others.
fn own_address() -> Option<String> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent; the kernel only picks a route.
    socket.connect("10.77.255.254:9").ok()?;
    Some(socket.local_addr().ok()?.ip().to_string())
}

fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_lowercase()
}

impl Place {
    fn new(settings: &Settings, env: &BTreeMap<String, String>) -> Self {
        let flag = |name: &str| settings.flag(name).map(str::to_owned);
        let store = env.get("STANDIN_STORE").map(PathBuf::from);
        let start = if settings.kind == Kind::Server {
            1500
        } else {
            1000
        };
        Self {
            name: settings.node_name(&host_name()).to_owned(),
            address: flag("node-ip")
                .or_else(own_address)
                .unwrap_or_else(|| "127.0.0.1".to_owned()),
            shared: Shared(store.unwrap_or_else(|| settings.path("server/db/standin").into())),
            version: version(env),
            start: millis(env, "STANDIN_START_MS").unwrap_or(Duration::from_millis(start)),
            lease: millis(env, "STANDIN_LEASE_MS").unwrap_or(Duration::from_secs(10)),
            dies: millis(env, "STANDIN_DIES_MS"),
            env: env.clone(),
        }
    }
}

/// What the host's unit gives the stand-in; a person at the keyboard names no `STANDIN_…`.
fn of_unit() -> BTreeMap<String, String> {
    let units = Disk.list(UNITS).unwrap_or_default().into_iter();
    let text = |unit: String| Disk.text(&format!("{UNITS}/{unit}/standin.conf"));
    let texts: Vec<String> = units.filter_map(text).collect();
    let lines = texts.iter().flat_map(|text| text.lines());
    let words = lines.filter_map(|line| line.strip_prefix("Environment="));
    let pairs = words.flat_map(|words| words.split(' '));
    pairs
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Runs until the process ends.
pub(super) async fn serve(args: Vec<String>, mut env: BTreeMap<String, String>) -> Ended {
    for (name, value) in of_unit() {
        env.entry(name).or_insert(value);
    }
    if !version(&env).heeds_data_dir() {
        env.remove("K3S_DATA_DIR");
    }
    let launch = Launch { args, env };
    let settings = loop {
        match Settings::resolve(&Disk, &launch) {
            Ok(settings) => break settings,
            Err(Unsettled::WaitsFor(path)) => {
                let text = format!("Waiting for {path} to be available");
                log(&[Line::new(now(), Level::Info, text)]);
                tokio::time::sleep(Duration::from_secs(5)).await;
            }
            Err(Unsettled::Broken(why)) => return fatal(why),
        }
    };
    if let Err(error) = unpack::below(settings.data_dir(), &mut Disk) {
        return fatal(format!("extracting data: {error}"));
    }
    let place = Place::new(&settings, &launch.env);
    let starting = format!("Starting k3s {}", place.version.name());
    log(&[Line::new(now(), Level::Info, starting)]);
    match settings.kind {
        Kind::Server if settings.is_set("cluster-reset") => reset::run(settings, &place),
        Kind::Server => server::serve(settings, place).await,
        Kind::Agent => agent::serve(settings, place).await,
    }
}

/// Logs a last line and ends with status 1.
pub(super) fn fatal(text: impl Into<String>) -> Ended {
    log(&[Line::new(now(), Level::Fatal, text)]);
    over()
}

/// Ends with status 1.
pub(super) fn over() -> Ended {
    Ended {
        status: 1,
        ..Ended::default()
    }
}
