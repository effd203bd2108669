//! How often a host is asked before its set-up is known.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use keyroll::facts::{Overlay, Probe};
use keyroll::model::HostName;
use keyroll::op::{Act, Op};
use keyroll::steps::Step;
use keyroll::steps::k3s_preflight::K3sPreflight;
use keyroll::steps::look::{Freshness, Seen};
use keyroll::template::Vars;
use keyroll::wire::{Batch, Become, Command, Response, Transport, TransportError};

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
        // The first agents are looked at once more, for what a rotation by hand may have forgotten.
        ("sim:3+3", "agent-2", 4),
        ("sim:3+3?joins=vip", "agent-2", 4),
        ("sim:3+5", "agent-5", 3),
        // The first server is asked about the cluster as well, and for its kube-apiservers when all others are known.
        ("sim:3+3", "server-1", 10),
        ("sim:1+1", "server-1", 9),
    ] {
        let trips = trips_of_preflight(fleet, host).await;
        assert!(trips <= most, "{fleet} {host}: {trips}");
    }
}

async fn runs(rig: &Rig, host: &HostName, words: &str) {
    let act = Act::Run {
        command: Command::new(words.split(' ')),
        leaves: Vec::new(),
    };
    rig.perform(&Op::root(host, "a person does it", act)).await;
}

/// About 200 MB of real K3s. A unit's arguments are nothing that a `k3s kubectl` beside it knows of.
#[tokio::test(start_paused = true)]
async fn a_look_does_not_make_k3s_unpack_itself_once_more() {
    const CONFIG: &str = "/etc/rancher/k3s/config.yaml";
    let rig = Rig::new("sim:3+2?data-dir=/data/k3s", false);
    let members = &rig.scope.fleet;
    let all = members.servers.iter().chain(&members.agents);
    let hosts: Vec<HostName> = all.map(|member| member.name.clone()).collect();
    for host in &hosts {
        let (kind, id) = match host.as_str().split('-').next() {
            Some("agent") => ("agent", "k3s-agent.service"),
            _ => ("server", "k3s.service"),
        };
        let config = rig.read(host, CONFIG).await;
        assert!(config.contains("data-dir: /data/k3s\n"));
        rig.write(host, CONFIG, &config.replace("data-dir: /data/k3s\n", ""))
            .await;
        let path = format!("/etc/systemd/system/{id}");
        let unit = rig.read(host, &path).await;
        let told = format!("    {kind} --data-dir=/data/k3s");
        rig.write(host, &path, &unit.replace(&format!("    {kind}"), &told))
            .await;
        runs(&rig, host, "systemctl daemon-reload").await;
        runs(&rig, host, &format!("systemctl restart {id}")).await;
        rig.clock.sleep(Duration::from_mins(1)).await;
    }
    let unpacked = |below: &str| {
        let fleet = rig.sim.with(|fleet| fleet.to_json().unwrap());
        fleet.matches(&format!("{below}/data/")).count()
    };
    for host in &hosts {
        let (vars, overlay) = (Vars::default(), Overlay::default());
        let probe = Probe::new(host, &Become::Root, &vars, &rig.scope, &overlay);
        let proposal = Step::K3sPreflight(K3sPreflight::default())
            .propose(&probe)
            .await
            .unwrap();
        assert!(proposal.unmet.is_empty(), "{host}: {:?}", proposal.unmet);
    }
    assert!(unpacked("/data/k3s") >= hosts.len());
    assert_eq!(unpacked("/var/lib/rancher/k3s"), 0);
    // A call that is not told does.
    runs(&rig, &hosts[0], "k3s kubectl get nodes -o json").await;
    assert!(unpacked("/var/lib/rancher/k3s") > 0);
}
