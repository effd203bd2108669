//! A server's life: start by the model's rules, serve, renew a lease.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use hyper::Method;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::answer::Desk;
use super::client::{self, Door};
use super::disk::Disk;
use super::launch::{Place, fatal, over};
use super::pki::SharedPki;
use super::shared::Peer;
use super::{admin, kubelet, listen, log, notify, now};
use crate::sim::bootstrap::Replica;
use crate::sim::kubectl::Ended;
use crate::sim::server::{Backend, Failure, PeerReply, Server, Starting, join_of};
use crate::sim::settings::Settings;
use crate::sim::sqlite;
use crate::sim::world::{Answer, Datastore as _, Files as _, Level, Line};

/// Runs until the process ends.
pub(super) async fn serve(settings: Settings, place: Place) -> Ended {
    // From here on a server hears SIGTERM only when it is up.
    let Ok(stop) = signal(SignalKind::terminate()) else {
        return fatal("Error: signals cannot be caught");
    };
    let is_member = Replica::read(&Disk, &settings).is_some();
    let peer = peer_reply(&settings, &place).await;
    let started = place.shared.with(|store| {
        Starting {
            files: &mut Disk,
            store,
            pki: &mut SharedPki(&place.shared),
            settings,
            version: place.version,
            peer,
            now: now(),
            host: &place.name,
        }
        .run()
    });
    let started = match started {
        Ok(started) => started,
        Err(error) => return fatal(format!("Error: preparing server: {error}")),
    };
    log(&started.lines);
    match started.outcome {
        Ok(server) => match up(server, place, stop).await {
            Ok(ended) => ended,
            Err(error) => fatal(format!("Error: {error}")),
        },
        Err(failure) => {
            let seconds = if failure == Failure::Late { 3 } else { 1 };
            fails(Duration::from_secs(seconds), is_member, stop).await
        }
    }
}

/// The end of a start that fails. Told to stop meanwhile, a member waits for its temporary etcd until it is killed.
async fn fails(after: Duration, is_member: bool, mut stop: Signal) -> Ended {
    tokio::select! {
        () = sleep(after) => over(),
        _ = stop.recv() => {
            if is_member {
                let text = "Failed to test temporary data store connection: etcd datastore is not started";
                log(&[Line::new(now(), Level::Info, text)]);
                std::future::pending::<()>().await;
            }
            Ended::default()
        }
    }
}

/// What the server named by `server:` says before this one starts.
async fn peer_reply(settings: &Settings, place: &Place) -> PeerReply {
    let Some((url, secret)) = join_of(settings) else {
        return PeerReply::Away("nobody was asked".to_owned());
    };
    let ca = std::fs::read_to_string(place.shared.0.join("pki/server-ca.crt"));
    let door = Door {
        url: &url,
        ca: &ca.unwrap_or_default(),
        basic: Some(("server", &secret)),
        bearer: None,
    };
    let away = |why: &str| {
        let text = format!("failed to get CA certs: Get \"{url}/cacerts\": {why}");
        PeerReply::Away(text)
    };
    let path = "/v1-k3s/server-bootstrap";
    match client::ask(&door, Method::GET, path, Vec::new()).await {
        Ok(Answer::Said { status: 200, body }) => PeerReply::Payload(body),
        Ok(Answer::Said {
            status: 401 | 403, ..
        }) => PeerReply::Refused,
        Ok(Answer::Said { status, .. }) => away(&format!("{status}")),
        Ok(Answer::Dropped) => away("EOF"),
        Err(error) => away(&format!("dial tcp: {error}")),
    }
}

async fn up(server: Server, place: Place, mut stop: Signal) -> io::Result<Ended> {
    let (settings, backend) = (server.settings.clone(), server.backend);
    let peer = Peer {
        name: place.name.clone(),
        address: format!("{}:{}", place.address, settings.port()),
        is_member: backend == Backend::Etcd,
        has_api: !settings.is_set("disable-apiserver"),
    };
    let _alive = place.shared.enter(&peer)?;
    let _datastore = (backend == Backend::Sqlite)
        .then(|| datastore(&settings))
        .transpose()?;
    let desk = Rc::new(Desk {
        server: RefCell::new(server),
        place,
        ready: Cell::new(false),
        writes: Cell::new(0),
    });
    let place = &desk.place;
    let mut tasks = JoinSet::new();
    sleep(place.start / 2).await;
    let tls = SharedPki(&place.shared).serving(names(&settings, place))?;
    let listener = TcpListener::bind(("0.0.0.0", settings.port())).await?;
    tasks.spawn_local(listen::https(listener, tls, desk.clone()));
    sleep(place.start / 2).await;
    while !place.shared.has_quorum() {
        sleep(Duration::from_millis(300)).await;
    }
    if backend == Backend::Etcd {
        let listener = TcpListener::bind(("127.0.0.1", 2381)).await?;
        tasks.spawn_local(listen::http(listener, desk.clone()));
    }
    tasks.spawn_local(follow(desk.clone(), backend));
    settle(&desk, &settings)?;
    if !settings.is_set("disable-agent") {
        tasks.spawn_local(kubelet::beat(settings.clone(), place.clone()));
    }
    log(&[Line::new(now(), Level::Info, "k3s is up and running")]);
    notify::ready(&place.env)?;
    // None of the tasks ends by itself, unless the process is to die.
    let dies = place.dies.unwrap_or(Duration::MAX);
    tokio::select! {
        _ = stop.recv() => Ok(Ended::default()),
        () = sleep(dies) => Ok(over()),
        _ = tasks.join_next() => Ok(over()),
    }
}

/// The file of an sqlite datastore, which a server has open as long as it runs.
fn datastore(settings: &Settings) -> io::Result<std::fs::File> {
    let path = settings.path(sqlite::PATH);
    if !std::path::Path::new(&path).exists() {
        Disk.write(&path, &sqlite::database(), 0o600)?;
    }
    std::fs::File::open(path)
}

/// Files that a server has once it is up.
fn settle(desk: &Desk, settings: &Settings) -> io::Result<()> {
    let place = &desk.place;
    let pki = &mut SharedPki(&place.shared);
    let server = desk.server.borrow();
    let node = (server.ca(), place.name.as_str());
    crate::sim::agent::keep(&mut Disk, pki, settings, node, now());
    admin::keep(settings, &place.shared)?;
    desk.ready.set(true);
    Ok(())
}

fn names(settings: &Settings, place: &Place) -> Vec<String> {
    let own = ["127.0.0.1", "localhost", &place.name, &place.address];
    let more = settings.flags.iter().filter(|(flag, _)| flag == "tls-san");
    let more = more.map(|(_, name)| name.as_str());
    own.into_iter().chain(more).map(str::to_owned).collect()
}

/// Keeps this member's own copy like the datastore.
async fn follow(desk: Rc<Desk>, backend: Backend) {
    let path = desk.place.shared.0.join("datastore.json");
    let mut seen: Option<SystemTime> = None;
    loop {
        let changed = std::fs::metadata(&path)
            .and_then(|meta| meta.modified())
            .ok();
        if changed != seen {
            let settings = desk.server.borrow().settings.clone();
            let done = desk.place.shared.with(|store| {
                desk.writes.set(store.revision());
                if backend == Backend::Etcd {
                    return Replica::of(store).write(&mut Disk, &settings);
                }
                Ok(())
            });
            // A member that cannot write falls behind and tries again.
            if matches!(done, Ok(Ok(()))) {
                seen = changed;
            }
        }
        sleep(Duration::from_millis(100)).await;
    }
}
