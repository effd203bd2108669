//! Each fault of the catalogue does what its sentence says.

use super::scene::*;
use crate::k3s::knock::{Heard, Role};
use crate::model::HostTime;
use crate::secret::Content;
use crate::sim::fault::Fault;
use crate::sim::fleet::Trouble;
use crate::sim::world::Files as _;
use crate::wire::{Become, Change, Owner, Query, Request, Response, TransportError, WriteFile};

fn one(host: &str, fault: &str) -> Scene {
    Scene::new(&format!("sim:3+2?fault={host}:{fault}"))
}

fn rewrite(scene: &mut Scene, host: &str, path: &str) -> Response {
    let file = WriteFile {
        path: path.into(),
        content: Content::from("# other\n"),
        mode: 0o600,
        owner: Owner::Runner,
        make_parent: false,
    };
    let request = Request::Change(Change::WriteFile(file));
    scene.request(host, &request).unwrap().response
}

fn reach(scene: &mut Scene, host: &str) -> Result<(), TransportError> {
    scene.fleet.reach(&name(host), &Become::Root)
}

#[test]
fn never_returns() {
    let mut scene = one("agent-1", "never-returns");
    scene.restart("agent-1", 600);
    assert_eq!(scene.active("agent-1"), "activating");
    assert_eq!(scene.ready("server-1", "agent-1"), "Unknown");
}

#[test]
fn dies_in_settle() {
    let mut scene = one("agent-1", "dies-in-settle");
    scene.restart("agent-1", 10);
    assert_eq!(scene.active("agent-1"), "active");
    scene.pass(10);
    assert_eq!(scene.active("agent-1"), "failed");
    scene.pass(600);
    assert_eq!(scene.active("agent-1"), "failed");
}

#[test]
fn slow_start() {
    let mut scene = one("server-2", "slow-start");
    scene.restart("server-2", 170);
    assert_eq!(scene.active("server-2"), "activating");
    scene.pass(20);
    assert_eq!(scene.active("server-2"), "active");
}

#[test]
fn crash_once() {
    let mut scene = one("agent-1", "crash-once");
    scene.restart("agent-1", 60);
    assert_eq!(scene.active("agent-1"), "active");
    assert_eq!(scene.property("agent-1", "NRestarts"), "1");
}

#[test]
fn unreachable() {
    let mut scene = one("agent-1", "unreachable");
    let error = reach(&mut scene, "agent-1").unwrap_err();
    assert!(matches!(error, TransportError::Unreachable { .. }));
    assert!(reach(&mut scene, "agent-2").is_ok());
}

#[test]
fn unreachable_after_flip() {
    let mut scene = one("agent-1", "unreachable-after-flip");
    assert!(reach(&mut scene, "agent-1").is_ok());
    rewrite(&mut scene, "agent-1", ENV);
    assert!(reach(&mut scene, "agent-1").is_err());
}

#[test]
fn flaky() {
    let mut scene = one("agent-1", "flaky");
    let broken = (0..9).filter(|_| reach(&mut scene, "agent-1").is_err());
    assert_eq!(broken.count(), 3);
}

#[test]
fn sudo_refused() {
    let mut scene = one("agent-1", "sudo-refused");
    let error = reach(&mut scene, "agent-1").unwrap_err();
    assert!(matches!(error, TransportError::Denied { .. }));
    assert!(scene.fleet.reach(&name("agent-1"), &Become::Login).is_ok());
}

#[test]
fn disk_full() {
    let mut scene = one("agent-1", "disk-full");
    let Response::Failed(ran) = rewrite(&mut scene, "agent-1", ENV) else {
        panic!("written");
    };
    assert!(ran.stderr.text().contains("No space left on device"));
    assert!(scene.out("agent-1", "df -Pk /etc").contains(" 100% /"));
    assert!(scene.text("agent-1", ENV).contains("K3S_TOKEN"));
}

#[test]
fn read_only_etc() {
    let mut scene = one("agent-1", "read-only-etc");
    let Response::Failed(ran) = rewrite(&mut scene, "agent-1", ENV) else {
        panic!("written");
    };
    assert!(ran.stderr.text().contains("Read-only file system"));
}

fn cut(fault: &str) -> Scene {
    let mut scene = one("server-1", fault);
    let old = scene.old.clone();
    let body = format!("{{\"newToken\":\"{NEW}\"}}");
    let command = Scene::put_command("server-1", &old, &body);
    let request = Request::Change(Change::Run(command));
    assert_eq!(
        scene.request("server-1", &request).unwrap_err(),
        Trouble::Cut
    );
    scene
}

#[test]
fn cut_put_done() {
    let scene = cut("cut-put-done");
    assert!(
        scene
            .text("server-1", &format!("{SERVER}/token"))
            .contains(NEW)
    );
}

#[test]
fn cut_put_undone() {
    let mut scene = cut("cut-put-undone");
    assert!(
        !scene
            .text("server-1", &format!("{SERVER}/token"))
            .contains(NEW)
    );
    // Only the first PUT is cut.
    scene.rotate("server-1");
}

#[test]
fn put_500() {
    let mut scene = one("server-1", "put-500");
    let old = scene.old.clone();
    assert_eq!(scene.put("server-1", &old, NEW).status, 1);
    assert!(
        !scene
            .text("server-1", &format!("{SERVER}/token"))
            .contains(NEW)
    );
}

#[test]
fn put_torn() {
    let mut scene = one("server-1", "put-torn");
    let old = scene.old.clone();
    assert_eq!(scene.put("server-1", &old, NEW).status, 1);
    assert!(
        scene
            .text("server-1", &format!("{SERVER}/token"))
            .contains(NEW)
    );
    assert_eq!(scene.fleet.bootstrap_keys(), [crate::sim::token::key(&old)]);
}

#[test]
fn api_503() {
    let mut scene = one("server-1", "api-503");
    let ran = scene.run(
        "server-1",
        "k3s kubectl --request-timeout=10s get nodes -o json",
    );
    assert!(
        ran.stderr
            .text()
            .starts_with("Error from server (ServiceUnavailable)")
    );
    assert_eq!(scene.ready("server-2", "server-1"), "True");
}

#[test]
fn kubectl_cut() {
    let mut scene = one("server-1", "kubectl-cut");
    let text = scene.out(
        "server-1",
        "k3s kubectl --request-timeout=10s get nodes -o json",
    );
    assert!(
        serde_json::from_str::<serde_json::Value>(&text)
            .unwrap_err()
            .is_eof()
    );
}

const ETCD: &str = "k3s kubectl --kubeconfig=/dev/null --server=http://127.0.0.1:2381 get --raw";

#[test]
fn etcd_ill() {
    let mut scene = one("server-2", "etcd-ill");
    assert_eq!(scene.run("server-2", &format!("{ETCD} /health")).status, 1);
    assert_eq!(scene.run("server-1", &format!("{ETCD} /health")).status, 0);
}

#[test]
fn etcd_learner() {
    let mut scene = one("server-2", "etcd-learner");
    assert!(
        scene
            .out("server-2", &format!("{ETCD} /metrics"))
            .contains("etcd_server_is_learner 1")
    );
}

#[test]
fn snapshot_fails() {
    let mut scene = one("server-1", "snapshot-fails");
    assert_eq!(
        scene
            .run("server-1", "k3s etcd-snapshot save --name a")
            .status,
        1
    );
}

#[test]
fn foreign_token() {
    let mut scene = one("agent-1", "foreign-token");
    assert!(!scene.text("agent-1", ENV).contains(&scene.old));
    scene.restart("agent-1", 10);
    assert_eq!(scene.active("agent-1"), "active");
}

#[test]
fn no_certificate() {
    let mut scene = one("agent-1", "no-certificate");
    scene.flip("agent-1");
    scene.restart("agent-1", 30);
    assert_eq!(scene.active("agent-1"), "activating");
}

#[test]
fn writer_reverts() {
    let mut scene = one("agent-1", "writer-reverts");
    rewrite(&mut scene, "agent-1", ENV);
    assert_eq!(scene.text("agent-1", ENV), "# other\n");
    scene.pass(6);
    assert!(scene.text("agent-1", ENV).contains("K3S_TOKEN"));
}

/// The rotator's peer reboots with OLD configured: the two-stage trap.
#[test]
fn reboot_mid_rotation() {
    let mut scene = one("server-2", "reboot-mid-rotation");
    let before = scene.property("server-2", "InvocationID");
    scene.pass(10);
    scene.rotate("server-1");
    scene.pass(4);
    assert!(reach(&mut scene, "server-2").is_err());
    scene.pass(86);
    assert!(reach(&mut scene, "server-2").is_ok());
    assert_ne!(scene.property("server-2", "InvocationID"), before);
    assert!(
        scene
            .journal("server-2")
            .contains("passwd newer than datastore")
    );
}

#[test]
fn clock_skew() {
    let mut scene = one("agent-1", "clock-skew");
    let time = |scene: &mut Scene, host: &str| {
        let out = scene.out(host, "date +%s.%N");
        out.trim().parse::<f64>().unwrap()
    };
    let ahead = time(&mut scene, "agent-1") - time(&mut scene, "server-1");
    assert!((89.9..90.1).contains(&ahead));
    scene.restart("agent-1", 10);
    let started = scene
        .fleet
        .host(&name("agent-1"))
        .unwrap()
        .unit
        .started
        .unwrap();
    assert!(started > scene.fleet.now());
    assert!(HostTime(started.0 - 90_000_000) < scene.fleet.now());
}

#[test]
fn the_catalogue_has_unique_names_and_each_is_found() {
    for (fault, known, sentence) in Fault::CATALOGUE {
        assert_eq!(Fault::named(known), Some(*fault));
        assert!(!sentence.is_empty());
    }
}

#[test]
fn a_fault_that_works_once_waits_until_the_fleet_is_raised() {
    let scene = one("agent-1", "dies-in-settle");
    let host = scene.fleet.host(&name("agent-1")).unwrap();
    assert!(host.has(Fault::DiesInSettle));
    assert!(host.disk.read(ENV).is_some());
    let mut scene = one("agent-1", "no-certificate");
    let stat = scene.look(
        "agent-1",
        Query::stat("/var/lib/rancher/k3s/agent/client-kubelet.crt"),
    );
    assert_eq!(stat, Response::Stat(None));
    assert_eq!(scene.knock("agent-1", Role::Node, "x"), Heard::Rejected);
}
