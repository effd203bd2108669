//! Servers that restart with the wrong token, and their ways back: k3s-measured sections 3 and 5.

use super::scene::*;
use crate::k3s::knock::Heard;

const DIFFERENT: &str = "bootstrap data already found and encrypted with different token";

/// sqlite-wrong-token: crash loop every 6 s, files untouched; NEW in the config cures it by itself.
#[test]
fn an_sqlite_server_with_old_loops_until_its_config_has_new() {
    let mut scene = Scene::new("sim:1+0");
    scene.rotate("server-1");
    let passwd = scene.text("server-1", &format!("{SERVER}/cred/passwd"));
    scene.restart("server-1", 27);
    assert_eq!(scene.property("server-1", "NRestarts"), "4");
    assert_eq!(scene.property("server-1", "SubState"), "auto-restart");
    let line = format!(
        "level=fatal msg=\"Error: preparing server: failed to bootstrap cluster data: {DIFFERENT}\""
    );
    assert!(scene.journal("server-1").contains(&line));
    assert_eq!(
        scene.text("server-1", &format!("{SERVER}/cred/passwd")),
        passwd
    );
    scene.flip("server-1");
    scene.pass(15);
    assert_eq!(scene.active("server-1"), "active");
    assert_eq!(scene.worth("server-1"), (Heard::Rejected, Heard::Accepted));
}

/// external-postgres: the same message; the other server serves on; by itself back with NEW.
#[test]
fn a_server_on_an_external_database_loops_alone() {
    let mut scene = Scene::new("sim:2+0?datastore=external");
    scene.rotate("server-1");
    scene.restart("server-2", 20);
    assert!(
        scene
            .journal("server-2")
            .contains("Error: preparing server: failed to bootstrap cluster data")
    );
    assert_eq!(scene.worth("server-1"), (Heard::Accepted, Heard::Rejected));
    scene.flip("server-2");
    scene.pass(15);
    assert_eq!(scene.worth("server-2"), (Heard::Rejected, Heard::Accepted));
}

/// ha-two-stage: first the failed save, then for ever passwd newer; NEW in the config does not help.
#[test]
fn a_joined_server_with_old_falls_into_the_two_stage_trap() {
    let mut scene = Scene::new("sim:3+0");
    scene.pass(10);
    scene.rotate("server-1");
    scene.pass(20);
    scene.restart("server-2", 60);
    let journal = scene.journal("server-2");
    let save = format!(
        "level=error msg=\"Shutdown request received: failed to save bootstrap data: {DIFFERENT}\""
    );
    assert_eq!(journal.matches(&save).count(), 1);
    let newer = "level=fatal msg=\"/var/lib/rancher/k3s/server/cred/passwd newer than datastore and could cause a cluster outage. Remove the file(s) from disk and restart to be recreated from datastore.\"";
    assert!(journal.matches(newer).count() > 5);
    assert!(
        scene
            .text("server-2", &format!("{SERVER}/token"))
            .contains(&scene.old)
    );
    assert_eq!(scene.ready("server-1", "server-2"), "Unknown");
    scene.flip("server-2");
    scene.pass(60);
    assert_eq!(scene.active("server-2"), "activating");
    assert!(
        scene
            .journal("server-2")
            .contains("Unable to reconcile with remote datastore: not authorized")
    );
}

/// ha-rescue-peers-old: config NEW, kill, delete two files, start: up while both peers have OLD in memory.
#[test]
fn the_trap_is_cured_by_deleting_two_files() {
    let mut scene = Scene::new("sim:3+0");
    scene.rotate("server-1");
    scene.pass(20);
    scene.restart("server-2", 60);
    for host in ["server-1", "server-2", "server-3"] {
        scene.flip(host);
    }
    scene.run("server-2", "systemctl kill -s SIGKILL k3s.service");
    scene.order("server-2", "stop");
    scene.remove("server-2", &format!("{SERVER}/cred/passwd"));
    scene.remove("server-2", &format!("{SERVER}/token"));
    scene.order("server-2", "start");
    scene.pass(30);
    assert_eq!(scene.worth("server-2"), (Heard::Rejected, Heard::Accepted));
    for host in ["server-1", "server-3", "server-2"] {
        scene.restart(host, 30);
        assert_eq!(
            scene.worth(host),
            (Heard::Rejected, Heard::Accepted),
            "{host}"
        );
    }
}

/// ha-first-server-and-unconfigured: temporary etcd, files untouched, by itself back with NEW.
#[test]
fn the_first_etcd_server_with_old_comes_back_by_itself() {
    let mut scene = Scene::new("sim:3+0");
    scene.rotate("server-2");
    let passwd = scene.text("server-1", &format!("{SERVER}/cred/passwd"));
    scene.restart("server-1", 30);
    let line = format!("level=fatal msg=\"Failed to reconcile with temporary etcd: {DIFFERENT}\"");
    assert!(scene.journal("server-1").contains(&line));
    assert_eq!(
        scene.text("server-1", &format!("{SERVER}/cred/passwd")),
        passwd
    );
    scene.flip("server-1");
    scene.pass(40);
    assert_eq!(scene.worth("server-1"), (Heard::Rejected, Heard::Accepted));
}

fn unconfigure(scene: &mut Scene, host: &str) {
    let text = scene.text(host, CONFIG);
    let kept: String = text
        .lines()
        .filter(|l| !l.starts_with("token:"))
        .flat_map(|l| [l, "\n"])
        .collect();
    scene.write(host, CONFIG, &kept);
}

/// ha-no-token-configured, ha-first-server-and-unconfigured: NEW in `server/token` is what it starts with.
#[test]
fn a_joined_server_without_a_configured_token_starts_with_server_token() {
    let mut scene = Scene::new("sim:3+0");
    unconfigure(&mut scene, "server-3");
    scene.restart("server-3", 30);
    assert_eq!(scene.worth("server-3"), (Heard::Accepted, Heard::Rejected));
    scene.rotate("server-1");
    scene.restart("server-3", 30);
    assert!(
        scene
            .journal("server-3")
            .contains("Failed to reconcile with temporary etcd")
    );
    let old = scene.old.clone();
    scene.edit("server-3", &format!("{SERVER}/token"), &old, NEW);
    scene.pass(40);
    assert_eq!(scene.worth("server-3"), (Heard::Rejected, Heard::Accepted));
    assert!(
        scene
            .text("server-3", &format!("{SERVER}/cred/passwd"))
            .contains(NEW)
    );
    scene.restart("server-3", 30);
    assert_eq!(scene.active("server-3"), "active");
}

/// ha-member-away: a member that was away loops although NEW is configured, until its peer has NEW.
#[test]
fn a_member_that_was_away_needs_its_peer_on_new() {
    let mut scene = Scene::new("sim:3+0");
    scene.order("server-3", "stop");
    scene.pass(1);
    scene.rotate("server-1");
    for host in ["server-1", "server-2", "server-3"] {
        scene.flip(host);
    }
    scene.order("server-3", "start");
    scene.pass(30);
    let journal = scene.journal("server-3");
    assert!(journal.contains(
        "level=warning msg=\"Unable to reconcile with remote datastore: not authorized\""
    ));
    assert!(journal.contains("Failed to reconcile with temporary etcd"));
    scene.restart("server-1", 30);
    scene.restart("server-2", 40);
    assert_eq!(scene.worth("server-3"), (Heard::Rejected, Heard::Accepted));
}

/// A whole rotation in the right order: every server restarts once, none is ever in a loop.
#[test]
fn the_right_order_brings_all_servers_to_new() {
    let mut scene = Scene::new("sim:3+0");
    scene.rotate("server-1");
    for host in ["server-1", "server-2", "server-3"] {
        scene.flip(host);
    }
    for host in ["server-1", "server-2", "server-3"] {
        scene.restart(host, 40);
        assert_eq!(
            scene.worth(host),
            (Heard::Rejected, Heard::Accepted),
            "{host}"
        );
        assert_eq!(scene.property(host, "NRestarts"), "0");
    }
    assert_eq!(scene.fleet.most_servers_down(), 1);
}

/// k3s-measured section 3: a stop of a server that is stuck in its start takes 90 s and ends `failed`.
#[test]
fn a_stop_of_a_stuck_start_hangs_for_90_seconds() {
    let mut scene = Scene::new("sim:3+0?fault=server-2:never-returns");
    scene.restart("server-2", 60);
    assert_eq!(scene.property("server-2", "SubState"), "start");
    scene.order("server-2", "stop");
    scene.pass(80);
    assert_eq!(scene.active("server-2"), "deactivating");
    scene.pass(11);
    assert_eq!(scene.active("server-2"), "failed");
}

/// Two of three members down: no majority, the API says so and a start waits.
#[test]
fn without_a_majority_the_api_is_down() {
    let mut scene = Scene::new("sim:3+0");
    scene.order("server-2", "stop");
    scene.order("server-3", "stop");
    scene.pass(1);
    let ran = scene.run(
        "server-1",
        "k3s kubectl --request-timeout=10s get nodes -o json",
    );
    assert_eq!(ran.status, 1);
    let health =
        "k3s kubectl --kubeconfig=/dev/null --server=http://127.0.0.1:2381 get --raw /health";
    assert_eq!(scene.run("server-1", health).status, 1);
    scene.order("server-2", "start");
    scene.pass(30);
    assert_eq!(
        scene.out("server-1", health),
        "{\"health\":\"true\",\"reason\":\"\"}"
    );
}
