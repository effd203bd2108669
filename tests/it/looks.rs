//! How often a host is asked before its set-up is known.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::BoxFuture;
use keyroll::facts::{Overlay, Probe};
use keyroll::model::HostName;
use keyroll::steps::Step;
use keyroll::steps::k3s_preflight::K3sPreflight;
use keyroll::steps::look::{Freshness, Seen};
use keyroll::template::Vars;
use keyroll::wire::{Batch, Become, Response, Transport, TransportError};

use crate::steps::Rig;

/// Counts round trips, to every host or to one.
struct Counting {
    under: Arc<dyn Transport>,
    of: Option<HostName>,
    trips: Arc<AtomicUsize>,
}

impl Transport for Counting {
    fn exec<'a>(
        &'a self,
        host: &'a HostName,
        batch: &'a Batch,
    ) -> BoxFuture<'a, Result<Vec<Response>, TransportError>> {
        if self.of.as_ref().is_none_or(|counted| counted == host) {
            self.trips.fetch_add(1, Ordering::Relaxed);
        }
        self.under.exec(host, batch)
    }
}

/// A rig whose round trips are counted.
fn counted(fleet: &str, of: Option<&str>) -> (Rig, Arc<AtomicUsize>) {
    let mut rig = Rig::new(fleet, false);
    let trips = Arc::new(AtomicUsize::new(0));
    rig.scope.transport = Arc::new(Counting {
        under: rig.scope.transport.clone(),
        of: of.map(|host| HostName::new(host).unwrap()),
        trips: trips.clone(),
    });
    (rig, trips)
}

async fn trips(fleet: &str, host: &str) -> usize {
    let (rig, trips) = counted(fleet, None);
    let (host, vars, overlay) = (
        HostName::new(host).unwrap(),
        Vars::default(),
        Overlay::default(),
    );
    let probe = Probe::new(&host, &Become::Root, &vars, &rig.scope, &overlay);
    let seen = Seen::look(&probe, &host, Freshness::Now).await;
    assert!(seen.is_ok(), "{fleet}: {}", seen.unwrap_err());
    trips.load(Ordering::Relaxed)
}

#[tokio::test(start_paused = true)]
async fn a_usual_set_up_is_known_after_one_round_trip() {
    for (fleet, host) in [
        ("sim:1+1", "server-1"),
        ("sim:3+3", "server-2"),
        ("sim:3+3", "agent-3"),
        ("sim:3+1?surface=drop-in", "server-3"),
        ("sim:3+1?surface=env", "server-1"),
        ("sim:3+1?surface=argument", "server-1"),
        ("sim:3+1?surface=token-file", "server-1"),
        ("sim:3+1?surface=nothing", "server-1"),
        ("sim:2+1?datastore=external", "server-2"),
    ] {
        assert_eq!(trips(fleet, host).await, 1, "{fleet} {host}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unusual_one_takes_two() {
    for fleet in [
        "sim:1+1?data-dir=/data/k3s",
        "sim:3+1?unit=k3s-east&surface=env",
    ] {
        let trips = trips(fleet, "server-1").await;
        assert!(
            trips == 2 || fleet.contains("data-dir") && trips == 3,
            "{fleet}: {trips}"
        );
    }
}

/// Round trips to a host in its own preflight.
async fn trips_of_preflight(fleet: &str, host: &str) -> usize {
    let (rig, trips) = counted(fleet, Some(host));
    let host = HostName::new(host).unwrap();
    let step = Step::K3sPreflight(K3sPreflight::default());
    let seen = rig.propose(&host, &step, &Vars::default()).await.unwrap();
    assert!(seen.unmet.is_empty(), "{fleet}: {:?}", seen.unmet);
    trips.load(Ordering::Relaxed)
}

#[tokio::test(start_paused = true)]
async fn a_preflight_asks_a_host_only_so_often() {
    for (fleet, host, most) in [
        // Its set-up and what the servers' set-ups are, the tokens that they accept, everything else.
        ("sim:3+3", "server-2", 3),
        ("sim:3+3", "agent-2", 3),
        ("sim:3+3?joins=vip", "agent-2", 3),
        // The first server is asked about the cluster as well.
        ("sim:3+3", "server-1", 9),
        ("sim:1+1", "server-1", 8),
    ] {
        let trips = trips_of_preflight(fleet, host).await;
        assert!(trips <= most, "{fleet} {host}: {trips}");
    }
}
