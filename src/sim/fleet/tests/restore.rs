//! A snapshot from before a rotation is restored after it.

use super::agent_token::{AGENT_SECRET, with_agent_token};
use super::scene::*;
use crate::k3s::knock::{Heard, Role};
use crate::sim::token;
use crate::sim::world::Files as _;

/// A fleet that was rotated after a snapshot, all servers stopped; and the snapshot's path.
fn stopped_after_a_rotation() -> (Scene, String) {
    let mut scene = Scene::new("sim:3+0");
    let hosts = ["server-1", "server-2", "server-3"];
    scene.run("server-1", "k3s etcd-snapshot save --name before-rotation");
    let folder = format!("{SERVER}/db/snapshots");
    let disk = &scene.fleet.host(&name("server-1")).unwrap().disk;
    let file = format!("{folder}/{}", disk.list(&folder).unwrap()[0]);
    for host in hosts {
        with_agent_token(&mut scene, host);
        scene.restart(host, 40);
    }
    scene.rotate("server-1");
    for host in hosts {
        scene.flip(host);
        scene.restart(host, 40);
    }
    for host in hosts {
        scene.order(host, "stop");
    }
    scene.pass(5);
    (scene, file)
}

fn names(scene: &Scene) -> Vec<String> {
    let host = scene.fleet.host(&name("server-1")).unwrap();
    host.disk.list(&format!("{SERVER}/db")).unwrap()
}

/// measured: M7.restore-with-new
#[test]
fn a_restore_with_new_fails_after_etcd_was_moved_away() {
    let (mut scene, file) = stopped_after_a_rotation();
    let ran = scene.run(
        "server-1",
        &format!("k3s server --cluster-reset --cluster-reset-restore-path={file}"),
    );
    assert_eq!(ran.status, 1);
    let text = ran.stderr.text().into_owned();
    let lines: Vec<&str> = text.lines().map(|l| l.split_once(' ').unwrap().1).collect();
    assert_eq!(
        lines,
        [
            "level=info msg=\"Server node token is available at /var/lib/rancher/k3s/server/token\"",
            "level=info msg=\"Agent node token is available at /var/lib/rancher/k3s/server/agent-token\"",
            "level=error msg=\"Shutdown request received: failed to save bootstrap data: bootstrap data already found and encrypted with different token\"",
            "level=fatal msg=\"context canceled\"",
        ]
    );
    let names = names(&scene);
    assert_eq!(names[0], "etcd", "{names:?}");
    assert!(names[1].starts_with("etcd-old-"), "{names:?}");
}

/// measured: M7.restore-with-old, M7.passwd-trap
#[test]
fn a_restore_with_old_on_the_command_line_works_and_then_meets_the_trap() {
    let (mut scene, file) = stopped_after_a_rotation();
    let old = scene.old.clone();
    let line = format!("k3s server --cluster-reset --cluster-reset-restore-path={file}");
    scene.run("server-1", &line);
    scene.pass(6);
    let ran = scene.run("server-1", &format!("{line} --token={old}"));
    assert_eq!(ran.status, 0, "{}", ran.stderr.text());
    let stamp = scene.fleet.now().0 / 1_000_000;
    let text = ran.stderr.text().into_owned();
    let lines: Vec<&str> = text.lines().map(|l| l.split_once(' ').unwrap().1).collect();
    assert_eq!(
        lines,
        [
            "level=info msg=\"Managed etcd cluster bootstrap already complete and initialized\"",
            "level=info msg=\"Starting etcd for new cluster, cluster-reset=true\"",
            &format!(
                "level=info msg=\"Cluster reset: backing up certificates directory to /var/lib/rancher/k3s/server/tls-{stamp}\""
            ),
            "level=error msg=\"Shutdown request received: \\\"Managed etcd cluster membership has been reset, restart without --cluster-reset flag now. Backup and delete ${datadir}/server/db on each peer etcd server and rejoin the nodes\\\"\"",
        ]
    );
    let names = names(&scene);
    let old_ones = names.iter().filter(|name| name.starts_with("etcd-old-"));
    assert_eq!(old_ones.count(), 2, "{names:?}");
    assert!(names.contains(&"reset-flag".to_owned()));
    assert!(
        scene
            .text("server-1", &format!("{SERVER}/token"))
            .trim()
            .ends_with(&old)
    );
    let rows = (
        scene.row("server-1", "server"),
        scene.row("server-1", "node"),
    );
    assert_eq!(rows, (old.clone(), AGENT_SECRET.to_owned()));
    assert_eq!(scene.fleet.bootstrap_keys(), [token::key(&old)]);

    scene.edit("server-1", CONFIG, NEW, &old);
    scene.order("server-1", "start");
    scene.pass(30);
    let newer = "level=fatal msg=\"/var/lib/rancher/k3s/server/cred/passwd newer than datastore and could cause a cluster outage. Remove the file(s) from disk and restart to be recreated from datastore.\"";
    assert!(scene.journal("server-1").contains(newer));
    assert_eq!(scene.active("server-1"), "activating");
    scene.run("server-1", "systemctl kill -s SIGKILL k3s.service");
    scene.remove("server-1", &format!("{SERVER}/cred/passwd"));
    scene.remove("server-1", &format!("{SERVER}/token"));
    scene.pass(40);
    assert_eq!(scene.active("server-1"), "active");
    assert_eq!(scene.worth("server-1"), (Heard::Accepted, Heard::Rejected));
    assert_eq!(scene.knock("server-1", Role::Node, &old), Heard::Rejected);
    assert_eq!(
        scene.knock("server-1", Role::Node, AGENT_SECRET),
        Heard::Accepted
    );
}

#[test]
fn a_reset_beside_servers_that_run_has_no_model() {
    let mut scene = Scene::new("sim:3+0");
    let line = "k3s server --cluster-reset --cluster-reset-restore-path=/none";
    let command = crate::wire::Command::new(line.split(' '));
    let request = crate::wire::Request::Change(crate::wire::Change::Run(command));
    let trouble = scene.request("server-1", &request).unwrap_err();
    assert!(matches!(trouble, crate::sim::fleet::Trouble::Unmodelled(_)));
}
