//! Servers that restart with the wrong token, and their ways back: k3s-measured sections 3 and 5.

use super::scene::*;
use crate::k3s::knock::Heard;

const BOOTSTRAP: &str = "level=fatal msg=\"Error: preparing server: failed to bootstrap cluster data: bootstrap data already found and encrypted with different token\"";
const TEMPORARY: &str = "level=fatal msg=\"Failed to reconcile with temporary etcd: bootstrap data already found and encrypted with different token\"";
const SAVE: &str = "level=error msg=\"Shutdown request received: failed to save bootstrap data: bootstrap data already found and encrypted with different token\"";
const NEWER: &str = "level=fatal msg=\"/var/lib/rancher/k3s/server/cred/passwd newer than datastore and could cause a cluster outage. Remove the file(s) from disk and restart to be recreated from datastore.\"";
const REFUSED: &str =
    "level=warning msg=\"Unable to reconcile with remote datastore: not authorized\"";

/// sqlite-wrong-token: crash loop every 6 s, files untouched; NEW in the config cures it by itself.
/// measured: M3.sqlite-old, M3.sqlite-cured
#[test]
fn an_sqlite_server_with_old_loops_until_its_config_has_new() {
    let mut scene = Scene::new("sim:1+0");
    scene.rotate("server-1");
    let passwd = scene.text("server-1", &format!("{SERVER}/cred/passwd"));
    scene.restart("server-1", 27);
    assert_eq!(scene.property("server-1", "NRestarts"), "4");
    assert_eq!(scene.property("server-1", "SubState"), "auto-restart");
    assert_eq!(scene.property("server-1", "ExecMainStatus"), "1");
    let journal = scene.journal("server-1");
    assert_eq!(journal.matches(BOOTSTRAP).count(), 5);
    for line in [
        "k3s.service: Main process exited, code=exited, status=1/FAILURE",
        "k3s.service: Failed with result 'exit-code'.",
        "Failed to start k3s.service - Lightweight Kubernetes.",
    ] {
        assert_eq!(journal.matches(line).count(), 5, "{line}");
    }
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
/// measured: M3.external-old
#[test]
fn a_server_on_an_external_database_loops_alone() {
    let mut scene = Scene::new("sim:2+0?datastore=external");
    scene.rotate("server-1");
    scene.restart("server-2", 20);
    let journal = scene.journal("server-2");
    assert!(journal.contains("level=info msg=\"Shutdown request received\""));
    assert!(journal.contains(BOOTSTRAP));
    let old = scene.old.clone();
    let rows = (
        scene.row("server-2", "server"),
        scene.row("server-2", "node"),
    );
    assert_eq!(rows, (old.clone(), old));
    assert_eq!(scene.worth("server-1"), (Heard::Accepted, Heard::Rejected));
    scene.flip("server-2");
    scene.pass(15);
    assert_eq!(scene.worth("server-2"), (Heard::Rejected, Heard::Accepted));
}

/// external-postgres: with nothing configured NEW in `server/token` is what it needs.
/// measured: M3.external-nothing
#[test]
fn an_unconfigured_server_on_an_external_database_needs_server_token() {
    let mut scene = Scene::new("sim:2+0?datastore=external");
    unconfigure(&mut scene, "server-2");
    scene.restart("server-2", 20);
    assert_eq!(scene.active("server-2"), "active");
    scene.rotate("server-1");
    scene.restart("server-2", 20);
    assert!(scene.journal("server-2").contains(BOOTSTRAP));
    assert_eq!(scene.active("server-2"), "activating");
    let old = scene.old.clone();
    scene.edit("server-2", &format!("{SERVER}/token"), &old, NEW);
    for _ in 0..2 {
        scene.pass(20);
        assert_eq!(scene.worth("server-2"), (Heard::Rejected, Heard::Accepted));
        scene.restart("server-2", 1);
    }
}

/// ha-two-stage: first the failed save, then for ever passwd newer; NEW in the config does not help.
/// measured: M3.two-stage-trap, M3.trap-config-alone, M3.ready-in-crash-loop
#[test]
fn a_joined_server_with_old_falls_into_the_two_stage_trap() {
    let mut scene = Scene::new("sim:3+0");
    scene.pass(10);
    scene.rotate("server-1");
    scene.pass(20);
    let begun = scene.fleet.now();
    scene.restart("server-2", 40);
    assert_eq!(scene.ready("server-1", "server-2"), "True");
    scene.pass(20);
    let journal = scene.journal("server-2");
    assert_eq!(journal.matches(SAVE).count(), 1);
    assert!(journal.matches(NEWER).count() > 5);
    let old = scene.old.clone();
    assert!(
        scene
            .text("server-2", &format!("{SERVER}/token"))
            .contains(&old)
    );
    assert_eq!(scene.row("server-2", "server"), old);
    let time = scene
        .stat("server-2", &format!("{SERVER}/cred/passwd"))
        .mtime;
    assert!(time > begun, "a new time");
    assert_eq!(scene.ready("server-1", "server-2"), "Unknown");
    scene.flip("server-2");
    scene.pass(60);
    assert_eq!(scene.active("server-2"), "activating");
    assert!(scene.journal("server-2").contains(REFUSED));
}

/// ha-rescue-peers-old: config NEW, kill, delete two files, start: up while both peers have OLD in memory.
/// measured: M3.trap-cure-peers-old
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

/// ha-cure2: the same when the others have NEW; the unit was stopped and is `failed`.
/// measured: M3.trap-cure-peers-new
#[test]
fn the_trap_is_cured_when_the_others_have_new() {
    let mut scene = Scene::new("sim:3+0");
    scene.rotate("server-1");
    scene.pass(20);
    scene.restart("server-2", 60);
    for host in ["server-1", "server-2", "server-3"] {
        scene.flip(host);
    }
    scene.restart("server-3", 40);
    scene.restart("server-1", 40);
    scene.order("server-2", "stop");
    scene.pass(91);
    scene.remove("server-2", &format!("{SERVER}/cred/passwd"));
    scene.remove("server-2", &format!("{SERVER}/token"));
    scene.order("server-2", "start");
    for _ in 0..2 {
        scene.pass(30);
        assert_eq!(scene.worth("server-2"), (Heard::Rejected, Heard::Accepted));
        assert_eq!(scene.ready("server-1", "server-2"), "True");
        scene.order("server-2", "restart");
    }
}

/// ha-first-server-and-unconfigured: temporary etcd, files untouched, by itself back with NEW.
/// measured: M3.first-etcd-server
#[test]
fn the_first_etcd_server_with_old_comes_back_by_itself() {
    let mut scene = Scene::new("sim:3+0");
    scene.rotate("server-2");
    let passwd = scene.text("server-1", &format!("{SERVER}/cred/passwd"));
    scene.restart("server-1", 30);
    assert!(scene.journal("server-1").contains(TEMPORARY));
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
/// measured: M3.no-token-before, M3.no-token, M3.no-token-cured
#[test]
fn a_joined_server_without_a_configured_token_starts_with_server_token() {
    let mut scene = Scene::new("sim:3+0");
    unconfigure(&mut scene, "server-3");
    scene.restart("server-3", 30);
    assert_eq!(scene.worth("server-3"), (Heard::Accepted, Heard::Rejected));
    scene.rotate("server-1");
    scene.restart("server-3", 30);
    assert!(scene.journal("server-3").contains(TEMPORARY));
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
/// measured: M3.member-away
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
    assert!(journal.contains(REFUSED));
    assert!(journal.contains(TEMPORARY));
    assert_eq!(scene.row("server-3", "server"), scene.old);
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

/// ha-cure-and-finish: a stop of a server that is stuck in its start takes 90 s and ends `failed`.
/// measured: M3.stop-hangs
#[test]
fn a_stop_of_a_stuck_start_hangs_for_90_seconds() {
    let mut stuck = Scene::new("sim:3+0?fault=server-2:never-returns");
    stuck.restart("server-2", 60);
    let mut loops = Scene::new("sim:3+0");
    loops.rotate("server-1");
    loops.restart("server-2", 60);
    while loops.property("server-2", "SubState") != "start"
        || loops.property("server-2", "MainPID") == "0"
    {
        loops
            .fleet
            .advance(crate::model::HostTime(loops.fleet.now().0 + 100_000));
    }
    for scene in [&mut stuck, &mut loops] {
        assert_eq!(scene.property("server-2", "SubState"), "start");
        let pid = scene.property("server-2", "MainPID");
        scene.order("server-2", "stop");
        scene.pass(89);
        assert_eq!(scene.active("server-2"), "deactivating");
        scene.pass(2);
        assert_eq!(scene.active("server-2"), "failed");
        assert_eq!(scene.property("server-2", "Result"), "timeout");
        let journal = scene.journal("server-2");
        let lines: Vec<&str> = journal.lines().collect();
        let killed = format!("k3s.service: Killing process {pid} (k3s) with signal SIGKILL.");
        assert_eq!(
            lines[lines.len() - 5..],
            [
                "k3s.service: State 'stop-sigterm' timed out. Killing.",
                &killed,
                "k3s.service: Main process exited, code=killed, status=9/KILL",
                "k3s.service: Failed with result 'timeout'.",
                "Stopped k3s.service - Lightweight Kubernetes.",
            ]
        );
    }
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
