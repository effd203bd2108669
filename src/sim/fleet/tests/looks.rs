//! Commands and files as the product asks for them.

use super::scene::*;
use crate::secret::Content;
use crate::sim::fleet::Trouble;
use crate::wire::{Change, FileKind, Owner, Query, Request, Response, WriteFile};

const ASKED: &str = "Id,LoadState,ActiveState,SubState,MainPID,NRestarts,InvocationID,ExecMainStartTimestamp,ExecMainStartTimestampMonotonic,NeedDaemonReload,UnitFileState,Result,FragmentPath,DropInPaths,ExecStart,Environment,EnvironmentFiles";

/// agent-precedence: formats of `systemctl show`.
#[test]
fn a_unit_is_shown_as_systemd_shows_it() {
    let mut scene = Scene::new("sim:1+1");
    let out = scene.out("agent-1", &format!("env TZ=UTC systemctl show --property={ASKED} k3s-agent.service k3s.service k3s*.service"));
    let blocks: Vec<&str> = out.split("\n\n").collect();
    assert_eq!(blocks.len(), 2, "{out}");
    for line in [
        "Id=k3s-agent.service",
        "LoadState=loaded",
        "ActiveState=active",
        "SubState=running",
        "NRestarts=0",
        "NeedDaemonReload=no",
        "UnitFileState=enabled",
        "Result=success",
        "FragmentPath=/etc/systemd/system/k3s-agent.service",
        "DropInPaths=",
        "EnvironmentFiles=/etc/default/k3s-agent (ignore_errors=yes)",
        "EnvironmentFiles=/etc/systemd/system/k3s-agent.service.env (ignore_errors=yes)",
    ] {
        assert!(
            blocks[0].lines().any(|known| known == line),
            "{line} in {out}"
        );
    }
    let start = blocks[0]
        .lines()
        .find(|line| line.starts_with("ExecStart="))
        .unwrap();
    assert!(start.starts_with("ExecStart={ path=/usr/local/bin/k3s ; argv[]=/usr/local/bin/k3s agent ; ignore_errors=no ; start_time=["));
    let at = blocks[0]
        .lines()
        .find_map(|line| line.strip_prefix("ExecMainStartTimestamp="))
        .unwrap();
    assert!(
        jiff::civil::DateTime::strptime("%a %Y-%m-%d %H:%M:%S UTC", at).is_ok(),
        "{at}"
    );
    assert!(blocks[1].contains("Id=k3s.service\nLoadState=not-found"));
}

#[test]
fn a_pattern_that_matches_nothing_shows_nothing() {
    let mut scene = Scene::new("sim:1+0");
    assert_eq!(
        scene.out("server-1", "systemctl show --property=Id rke2*.service"),
        ""
    );
}

#[test]
fn a_restart_without_block_returns_at_once_and_changes_the_invocation() {
    let mut scene = Scene::new("sim:3+1");
    let before = scene.property("server-2", "InvocationID");
    scene.order("server-2", "restart");
    assert_eq!(scene.active("server-2"), "activating");
    scene.pass(30);
    assert_eq!(scene.active("server-2"), "active");
    assert_ne!(scene.property("server-2", "InvocationID"), before);
}

/// K3s-measured section 4: agent 1–4 s, etcd server 4–19 s.
/// measured: M4.start-times
#[test]
fn starts_take_as_long_as_measured() {
    let mut scene = Scene::new("sim:3+1");
    let mut alone = Scene::new("sim:1+0");
    alone.restart("server-1", 5);
    assert_eq!(alone.active("server-1"), "activating");
    alone.pass(2);
    assert_eq!(alone.active("server-1"), "active");
    for (host, least, most) in [("agent-1", 1, 6), ("server-3", 3, 21)] {
        scene.restart(host, least);
        assert_eq!(scene.active(host), "activating", "{host}");
        scene.pass(most - least);
        assert_eq!(scene.active(host), "active", "{host}");
    }
}

#[test]
fn a_write_takes_owner_and_mode_and_a_rename_moves_only_ctime() {
    let mut scene = Scene::new("sim:1+1");
    let staged = format!("{CONFIG}.staged");
    scene.pass(5);
    let file = WriteFile {
        path: staged.clone().into(),
        content: Content::from("x"),
        mode: 0o640,
        owner: Owner::Like(CONFIG.into()),
        make_parent: false,
    };
    let done = scene
        .request("server-1", &Request::Change(Change::WriteFile(file)))
        .unwrap();
    assert_eq!(done.response, Response::Done);
    scene.pass(5);
    let rename = Change::Rename {
        from: staged.clone().into(),
        to: CONFIG.into(),
    };
    scene.request("server-1", &Request::Change(rename)).unwrap();
    let Response::Stat(Some(stat)) = scene.look("server-1", Query::stat(CONFIG)) else {
        panic!("gone");
    };
    assert_eq!(
        (stat.mode, stat.size, stat.kind),
        (0o640, 1, FileKind::File)
    );
    assert_eq!(stat.ctime.0 - stat.mtime.0, 5_000_000);
    assert_eq!(
        scene.look("server-1", Query::stat(staged)),
        Response::Stat(None)
    );
    assert_eq!(scene.fleet.changes(), 2);
}

#[test]
fn a_link_is_followed_or_not_as_asked() {
    let mut scene = Scene::new("sim:1+0");
    let path: camino::Utf8PathBuf = format!("{SERVER}/node-token").into();
    let stat = |scene: &mut Scene, follow| match scene.look(
        "server-1",
        Query::Stat {
            path: path.clone(),
            follow,
        },
    ) {
        Response::Stat(Some(stat)) => stat.kind,
        other => panic!("{other:?}"),
    };
    assert_eq!(stat(&mut scene, true), FileKind::File);
    assert!(matches!(stat(&mut scene, false), FileKind::Symlink(_)));
}

#[test]
fn a_missing_directory_fails_unless_it_may_be_made() {
    let mut scene = Scene::new("sim:1+0");
    let file = |make_parent| {
        Request::Change(Change::WriteFile(WriteFile {
            path: "/var/lib/rancher/k3s/server/.keyroll/old".into(),
            content: Content::from("x"),
            mode: 0o600,
            owner: Owner::Runner,
            make_parent,
        }))
    };
    let response = scene.request("server-1", &file(false)).unwrap().response;
    assert!(matches!(response, Response::Failed(_)));
    assert_eq!(
        scene.request("server-1", &file(true)).unwrap().response,
        Response::Done
    );
    let names = scene.look(
        "server-1",
        Query::List {
            path: format!("{SERVER}/.keyroll").into(),
        },
    );
    assert_eq!(names, Response::List(Some(vec!["old".to_owned()])));
}

#[test]
fn small_commands_answer_as_on_a_host() {
    let mut scene = Scene::new("sim:1+1");
    assert_eq!(scene.out("agent-1", "hostname"), "agent-1\n");
    assert_eq!(scene.out("agent-1", "uname -n"), "agent-1\n");
    assert_eq!(scene.out("agent-1", "id -u"), "0\n");
    assert_eq!(scene.run("agent-1", "false").status, 1);
    assert_eq!(scene.run("agent-1", "test -e /nowhere").status, 1);
    assert!(
        scene
            .out("agent-1", "/usr/local/bin/k3s --version")
            .starts_with("k3s version v1.34.3+k3s1 ")
    );
    assert_eq!(
        scene
            .run("agent-1", "systemctl restart --no-block nothing.service")
            .status,
        5
    );
    let Response::Content(Some(up)) = scene.look("agent-1", Query::read("/proc/uptime")) else {
        panic!("no uptime");
    };
    assert!(up.text().trim().starts_with("90000.00"), "{}", up.text());
}

#[test]
fn an_agent_has_no_admin_and_a_stopped_server_refuses() {
    let mut scene = Scene::new("sim:1+1");
    let line = "k3s kubectl --request-timeout=10s get nodes -o json";
    assert_eq!(scene.run("agent-1", line).status, 1);
    scene.order("server-1", "stop");
    let ran = scene.run("server-1", line);
    assert_eq!(
        ran.stderr.text(),
        "The connection to the server 127.0.0.1:6443 was refused - did you specify the right host or port?\n"
    );
}

#[test]
fn what_has_no_model_is_said_or_assumed() {
    let mut scene = Scene::new("sim:1+0");
    let request = Request::Query(Query::Run(crate::wire::Command::new(["apt", "update"])));
    assert_eq!(
        scene.request("server-1", &request).unwrap_err(),
        Trouble::Unmodelled("apt update".to_owned())
    );
    let mut scene = Scene::new("sim:1+0?unknown=ok");
    assert!(scene.request("server-1", &request).is_ok());
    assert_eq!(scene.fleet.assumed(), ["apt update"]);
}

/// ha-rollback-restart: 2381 answers health and metrics; one leader, revisions only grow.
#[test]
fn etcd_tells_health_leader_and_revision() {
    let mut scene = Scene::new("sim:3+0");
    let metrics =
        "k3s kubectl --kubeconfig=/dev/null --server=http://127.0.0.1:2381 get --raw /metrics";
    let leaders = ["server-1", "server-2", "server-3"].map(|host| {
        scene
            .out(host, metrics)
            .contains("\netcd_server_is_leader 1\n")
    });
    assert_eq!(leaders.iter().filter(|leads| **leads).count(), 1);
    let revision = |scene: &mut Scene| {
        let out = scene.out("server-1", metrics);
        let line = out
            .lines()
            .find_map(|l| l.strip_prefix("etcd_debugging_mvcc_current_revision "));
        line.unwrap().parse::<u64>().unwrap()
    };
    let before = revision(&mut scene);
    scene.rotate("server-1");
    assert!(revision(&mut scene) > before);
}
