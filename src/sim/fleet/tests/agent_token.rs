//! A separate agent token: the trap of the second restart, and what disarms it.

use super::scene::*;
use crate::k3s::knock::{Heard, Role};

const NEWER: &str = "level=fatal msg=\"/var/lib/rancher/k3s/server/cred/passwd newer than datastore and could cause a cluster outage. Remove the file(s) from disk and restart to be recreated from datastore.\"";
pub(super) const AGENT_SECRET: &str = "agentsecret1agentsecret1agentsec";

pub(super) fn with_agent_token(scene: &mut Scene, host: &str) {
    let text = scene.text(host, CONFIG) + &format!("agent-token: {AGENT_SECRET}\n");
    scene.write(host, CONFIG, &text);
}

/// sqlite-agent-token: first restart fine, the agent token is a file of its own, the second restart is fatal.
/// measured: M5.first-restart, M5.second-restart
#[test]
fn a_new_agent_token_arms_the_second_restart() {
    let mut scene = Scene::new("sim:1+0");
    let old = scene.old.clone();
    with_agent_token(&mut scene, "server-1");
    scene.restart("server-1", 20);
    assert_eq!(
        scene.knock("server-1", Role::Node, AGENT_SECRET),
        Heard::Accepted
    );
    assert_eq!(scene.knock("server-1", Role::Node, &old), Heard::Rejected);
    assert!(
        scene
            .text("server-1", &format!("{SERVER}/agent-token"))
            .contains("::node:")
    );
    let path = format!("{SERVER}/agent-token");
    let stat = scene.stat("server-1", &path);
    assert_eq!((stat.kind, stat.mode), (crate::wire::FileKind::File, 0o600));
    for _ in 0..2 {
        scene.restart("server-1", 20);
        assert!(scene.journal("server-1").contains(NEWER));
        assert_eq!(scene.active("server-1"), "activating");
    }
}

/// sqlite-agent-token-cure: deleting two files starts it once; a PUT of the same token lasts.
/// measured: M5.delete-once, M5.lasting-cure
#[test]
fn a_put_of_the_same_token_disarms_it() {
    let mut scene = Scene::new("sim:1+0");
    let old = scene.old.clone();
    with_agent_token(&mut scene, "server-1");
    scene.restart("server-1", 20);
    scene.restart("server-1", 20);
    let cure = |scene: &mut Scene| {
        scene.remove("server-1", &format!("{SERVER}/cred/passwd"));
        scene.remove("server-1", &format!("{SERVER}/token"));
        scene.pass(20);
        assert_eq!(scene.active("server-1"), "active");
    };
    cure(&mut scene);
    scene.restart("server-1", 20);
    assert_eq!(scene.active("server-1"), "activating");
    cure(&mut scene);
    assert_eq!(scene.put("server-1", &old, &old).status, 0);
    for _ in 0..2 {
        scene.restart("server-1", 20);
        assert_eq!(scene.active("server-1"), "active");
    }
    assert_eq!(
        scene.knock("server-1", Role::Node, AGENT_SECRET),
        Heard::Accepted
    );
}

/// ha-agent-token-put-early: config on all, restart one, PUT there, restart the rest; all fine, twice.
/// measured: M5.best-order
#[test]
fn the_best_order_for_an_agent_token_is_fine() {
    let mut scene = Scene::new("sim:3+0");
    let old = scene.old.clone();
    let hosts = ["server-1", "server-2", "server-3"];
    for host in hosts {
        with_agent_token(&mut scene, host);
    }
    scene.restart("server-1", 30);
    assert_eq!(scene.put("server-1", &old, &old).status, 0);
    for host in ["server-2", "server-3", "server-1", "server-2", "server-3"] {
        scene.restart(host, 30);
        assert_eq!(scene.active(host), "active", "{host}");
        assert_eq!(scene.knock(host, Role::Node, AGENT_SECRET), Heard::Accepted);
    }
    let mtime = |host: &str| {
        let host = scene.fleet.host(&name(host)).unwrap();
        crate::sim::world::Files::stat(&host.disk, &format!("{SERVER}/cred/passwd"))
            .unwrap()
            .mtime
    };
    assert!(hosts.iter().all(|host| mtime(host) == mtime("server-1")));
}

/// ha-member-away: with a separate agent token a rotate leaves the `node` row alone.
/// measured: M5.node-row-kept
#[test]
fn a_rotate_keeps_a_separate_agent_token() {
    let mut scene = Scene::new("sim:1+0");
    let old = scene.old.clone();
    with_agent_token(&mut scene, "server-1");
    scene.restart("server-1", 20);
    scene.put("server-1", &old, NEW);
    scene.flip("server-1");
    scene.restart("server-1", 20);
    assert_eq!(scene.worth("server-1"), (Heard::Rejected, Heard::Accepted));
    assert_eq!(
        scene.knock("server-1", Role::Node, AGENT_SECRET),
        Heard::Accepted
    );
    assert_eq!(scene.knock("server-1", Role::Node, NEW), Heard::Rejected);
}

/// ha-agent-token: all three changed, fine; the second restart of one is fatal; two files deleted and a PUT disarm all.
/// When it was recorded the rows of all three stood in one order; here luck decides, so the PUT goes to the one whose
/// file is the newest.
/// measured: M5.three-servers
#[test]
fn three_servers_are_disarmed_by_one_put() {
    let mut scene = Scene::new("sim:3+0");
    let old = scene.old.clone();
    let hosts = ["server-1", "server-2", "server-3"];
    for host in hosts {
        with_agent_token(&mut scene, host);
        scene.restart(host, 40);
        assert_eq!(scene.knock(host, Role::Node, AGENT_SECRET), Heard::Accepted);
        assert_eq!(scene.knock(host, Role::Node, &old), Heard::Rejected);
    }
    scene.restart("server-2", 40);
    assert!(scene.journal("server-2").contains(NEWER));
    scene.run("server-2", "systemctl kill -s SIGKILL k3s.service");
    scene.remove("server-2", &format!("{SERVER}/cred/passwd"));
    scene.remove("server-2", &format!("{SERVER}/token"));
    scene.pass(40);
    assert_eq!(scene.active("server-2"), "active");
    assert_eq!(scene.put("server-2", &old, &old).status, 0);
    for host in hosts.iter().chain(&hosts) {
        scene.restart(host, 40);
        assert_eq!(scene.active(host), "active", "{host}");
        assert_eq!(scene.knock(host, Role::Node, AGENT_SECRET), Heard::Accepted);
        assert_eq!(scene.knock(host, Role::Server, &old), Heard::Accepted);
    }
}
