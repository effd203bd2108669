//! Faults that befall a host in the middle of something: each does what its sentence says.

use super::scene::*;
use crate::k3s::knock::Heard;
use crate::sim::fleet::Trouble;
use crate::wire::{Become, Change, Command, Query, Request, WriteFile};

fn one(host: &str, fault: &str) -> Scene {
    Scene::new(&format!("sim:3+2?fault={host}:{fault}"))
}

fn reaches(scene: &mut Scene, host: &str) -> bool {
    scene.fleet.reach(&name(host), &Become::Root).is_ok()
}

fn order(line: &str) -> Request {
    Request::Change(Change::Run(Command::new(line.split(' '))))
}

#[test]
fn unreachable_at_restart() {
    let mut scene = one("agent-1", "unreachable-at-restart");
    assert!(reaches(&mut scene, "agent-1"));
    scene.restart("agent-1", 200);
    assert!(!reaches(&mut scene, "agent-1"));
    assert_eq!(scene.ready("server-1", "agent-1"), "True");
    scene.pass(101);
    assert!(reaches(&mut scene, "agent-1"));
}

#[test]
fn cut_write() {
    let mut scene = one("agent-1", "cut-write");
    let write = Request::Change(Change::WriteFile(WriteFile {
        path: ENV.into(),
        content: crate::secret::Content::from("# other\n"),
        mode: 0o600,
        owner: crate::wire::Owner::Runner,
        make_parent: false,
    }));
    assert_eq!(scene.request("agent-1", &write).unwrap_err(), Trouble::Cut);
    assert!(scene.text("agent-1", ENV).contains("K3S_TOKEN"));
    scene.request("agent-1", &write).unwrap();
    assert_eq!(scene.text("agent-1", ENV), "# other\n");
}

#[test]
fn cut_restart() {
    let mut scene = one("agent-1", "cut-restart");
    let before = scene.property("agent-1", "InvocationID");
    let restart = order("systemctl restart --no-block k3s-agent.service");
    assert_eq!(
        scene.request("agent-1", &restart).unwrap_err(),
        Trouble::Cut
    );
    scene.pass(10);
    assert_ne!(scene.property("agent-1", "InvocationID"), before);
    assert_eq!(scene.active("agent-1"), "active");
}

#[test]
fn frozen() {
    let mut scene = one("agent-1", "frozen");
    scene.restart("agent-1", 3);
    assert!(reaches(&mut scene, "agent-1"));
    let look = Request::Query(Query::read(ENV));
    assert_eq!(
        scene.request("agent-1", &look).unwrap_err(),
        Trouble::Frozen
    );
    scene.pass(70);
    assert_eq!(scene.ready("server-1", "agent-1"), "Unknown");
}

#[test]
fn power_cut() {
    let mut scene = one("server-2", "power-cut");
    scene.restart("server-2", 9);
    assert!(reaches(&mut scene, "server-2"));
    scene.pass(70);
    assert!(!reaches(&mut scene, "server-2"));
    assert_eq!(scene.ready("server-1", "server-2"), "Unknown");
}

#[test]
fn unit_masked() {
    let mut scene = one("agent-1", "unit-masked");
    assert_eq!(scene.property("agent-1", "LoadState"), "masked");
    assert_eq!(scene.active("agent-1"), "active");
    let ran = scene.run("agent-1", "systemctl restart k3s-agent.service");
    let said = "Failed to restart k3s-agent.service: Unit k3s-agent.service is masked.\n";
    assert_eq!((ran.status, ran.stderr.text().as_ref()), (1, said));
}

#[test]
fn unit_missing() {
    let mut scene = one("agent-1", "unit-missing");
    assert_eq!(scene.property("agent-1", "LoadState"), "not-found");
    assert_eq!(scene.active("agent-1"), "active");
    assert_eq!(
        scene.text("agent-1", "/etc/systemd/system/k3s-agent.service"),
        ""
    );
    let ran = scene.run("agent-1", "systemctl restart k3s-agent.service");
    let said = "Failed to restart k3s-agent.service: Unit k3s-agent.service not found.\n";
    assert_eq!((ran.status, ran.stderr.text().as_ref()), (5, said));
}

#[test]
fn unit_failing() {
    let mut scene = one("agent-1", "unit-failing");
    assert_eq!(scene.active("agent-1"), "active");
    scene.restart("agent-1", 22);
    assert_eq!(scene.property("agent-1", "SubState"), "auto-restart");
    assert_eq!(scene.property("agent-1", "NRestarts"), "4");
    assert!(scene.journal("agent-1").contains("status=203/EXEC"));
}

fn api(fault: &str) -> String {
    let mut scene = one("server-1", fault);
    let line = "k3s kubectl --request-timeout=10s get nodes -o json";
    let ran = scene.run("server-1", line);
    assert_eq!((ran.status, scene.run("server-2", line).status), (1, 0));
    ran.stderr.text().into_owned()
}

#[test]
fn api_429() {
    assert!(api("api-429").starts_with("Error from server (TooManyRequests): "));
}

#[test]
fn api_500() {
    assert!(api("api-500").starts_with("Error from server (InternalError): "));
}

#[test]
fn no_leader() {
    assert!(api("no-leader").contains("etcdserver: request timed out"));
    let mut scene = one("server-2", "no-leader");
    let etcd = "k3s kubectl --kubeconfig=/dev/null --server=http://127.0.0.1:2381 get --raw";
    assert_eq!(scene.run("server-2", &format!("{etcd} /health")).status, 1);
    let metrics = scene.out("server-2", &format!("{etcd} /metrics"));
    assert!(metrics.contains("\netcd_server_has_leader 0\n"));
}

#[test]
fn second_rotation() {
    let mut scene = one("server-1", "second-rotation");
    scene.rotate("server-1");
    let by_keyroll = scene.fleet.bootstrap_keys();
    scene.pass(2);
    assert_ne!(scene.fleet.bootstrap_keys(), by_keyroll);
    assert_ne!(scene.row("server-1", "server"), NEW);
    assert_eq!(scene.worth("server-1"), (Heard::Accepted, Heard::Rejected));
}
