//! What supervisors and etcd answer.

use super::scene::*;
use crate::k3s::knock::Role;
use crate::secret::Content;
use crate::sim::token;
use crate::wire::Command;

const TOKEN: &str = "/v1-k3s/token";
const READYZ: &str = "/v1-k3s/readyz";

fn message(body: &str) -> String {
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    body["message"].as_str().unwrap().to_owned()
}

/// measured: M1.token-405, M1.readyz-200, M1.wrong-secret-401, M1.wrong-role-403, M1.no-credentials-403
#[test]
fn right_wrong_foreign_and_no_secret_are_told_apart() {
    let mut scene = Scene::new("sim:1+0");
    let old = scene.old.clone();
    for (path, user, other, fine) in [
        (TOKEN, "server", "node", 405),
        (READYZ, "node", "server", 200),
    ] {
        let mut status = |basic| scene.ask("server-1", path, basic).unwrap();
        assert_eq!(status(Some((user, &old))).0, fine);
        let (wrong, body) = status(Some((user, "wrong")));
        assert_eq!((wrong, message(&body).as_str()), (401, "not authorized"));
        let (foreign, body) = status(Some((other, &old)));
        assert_eq!((foreign, message(&body).as_str()), (403, "forbidden"));
        assert_eq!(status(None).0, 403);
    }
    let (_, body) = scene.ask("server-1", READYZ, Some(("node", &old))).unwrap();
    assert_eq!(body, "ok");
}

/// measured: M1.config-200
#[test]
fn an_agents_configuration_is_for_nodes_alone() {
    let mut scene = Scene::new("sim:1+0");
    let old = scene.old.clone();
    let path = "/v1-k3s/config";
    let (status, body) = scene.ask("server-1", path, Some(("node", &old))).unwrap();
    assert_eq!(status, 200);
    assert!(serde_json::from_str::<serde_json::Value>(&body).is_ok());
    let (status, _) = scene.ask("server-1", path, Some(("server", &old))).unwrap();
    assert_eq!(status, 403);
}

/// measured: M1.bootstrap-sqlite-400, M1.db-info-sqlite-400
#[test]
fn without_etcd_two_paths_say_so() {
    let mut scene = Scene::new("sim:1+0");
    let old = scene.old.clone();
    for (path, said) in [
        ("/v1-k3s/server-bootstrap", "etcd disabled"),
        ("/db/info", "etcd datastore disabled"),
    ] {
        let (status, body) = scene.ask("server-1", path, Some(("server", &old))).unwrap();
        assert_eq!((status, message(&body).as_str()), (400, said));
        assert_eq!(scene.ask("server-1", path, None).unwrap().0, 403);
    }
    let mut scene = Scene::new("sim:3+0");
    let old = scene.old.clone();
    for path in ["/v1-k3s/server-bootstrap", "/db/info"] {
        let (status, _) = scene.ask("server-1", path, Some(("server", &old))).unwrap();
        assert_eq!(status, 200, "{path}");
    }
}

/// measured: M1.open-paths, M1.unrouted-401, M1.status-bodies
#[test]
fn some_paths_are_open_and_others_not_routed() {
    let mut scene = Scene::new("sim:1+0");
    let old = scene.old.clone();
    for basic in [
        None,
        Some(("server", "wrong")),
        Some(("server", old.as_str())),
    ] {
        assert_eq!(
            scene.ask("server-1", "/ping", basic),
            Some((200, "pong".to_owned()))
        );
        let (status, ca) = scene.ask("server-1", "/cacerts", basic).unwrap();
        assert_eq!(
            (status, ca),
            (
                200,
                scene.text("server-1", &format!("{SERVER}/tls/server-ca.crt"))
            )
        );
        let (status, body) = scene.ask("server-1", "/nothing", basic).unwrap();
        assert_eq!((status, message(&body).as_str()), (401, "Unauthorized"));
        assert!(body.contains("\"apiVersion\": \"v1\""), "{body}");
    }
    let (_, body) = scene.ask("server-1", TOKEN, Some(("server", "x"))).unwrap();
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    let wanted = serde_json::json!({
        "kind": "Status", "metadata": {}, "status": "Failure",
        "message": "not authorized", "reason": "Unauthorized", "code": 401,
    });
    assert_eq!(body, wanted, "no apiVersion");
}

/// measured: M1.starting-503
#[test]
fn a_server_that_starts_refuses_then_says_that_it_is_not_ready() {
    let mut scene = Scene::new("sim:3+0?fault=server-2:slow-start");
    let old = scene.old.clone();
    scene.restart("server-2", 10);
    let basic = Some(("server", old.as_str()));
    assert_eq!(scene.ask("server-2", TOKEN, basic), None);
    scene.pass(100);
    let (status, body) = scene.ask("server-2", TOKEN, basic).unwrap();
    assert_eq!(
        (status, message(&body).as_str()),
        (503, "runtime core not ready")
    );
    scene.pass(100);
    assert_eq!(scene.ask("server-2", TOKEN, basic).unwrap().0, 405);
}

/// measured: M1.kubectl-words, M1.agent-door
#[test]
fn kubectl_says_each_answer_in_its_own_words() {
    let mut scene = Scene::new("sim:1+1");
    let old = scene.old.clone();
    for (host, role, secret, path, status, said) in [
        (
            "server-1",
            Role::Server,
            old.as_str(),
            TOKEN,
            1,
            "Error from server (MethodNotAllowed): the server does not allow this method on the requested resource\n",
        ),
        (
            "server-1",
            Role::Server,
            "wrong",
            TOKEN,
            1,
            "error: You must be logged in to the server (not authorized)\n",
        ),
        (
            "server-1",
            Role::Node,
            &old,
            TOKEN,
            1,
            "Error from server (Forbidden): forbidden\n",
        ),
        ("server-1", Role::Node, &old, READYZ, 0, "ok"),
        ("agent-1", Role::Node, &old, READYZ, 0, "ok"),
        (
            "agent-1",
            Role::Node,
            "wrong",
            READYZ,
            1,
            "error: You must be logged in to the server (not authorized)\n",
        ),
    ] {
        let ran = scene.raw(host, role, secret, path);
        let shown = ran.stdout.text().into_owned() + &ran.stderr.text();
        assert_eq!(
            (ran.status, shown.as_str()),
            (status, said),
            "{host} {path}"
        );
    }
}

/// measured: M1.agent-door
#[test]
fn an_agents_door_leads_on_when_its_server_is_down() {
    let mut scene = Scene::new("sim:3+1");
    let old = scene.old.clone();
    scene.order("server-1", "stop");
    scene.pass(1);
    let ran = scene.raw("agent-1", Role::Node, &old, READYZ);
    assert_eq!((ran.status, ran.stdout.text().as_ref()), (0, "ok"));
}

/// measured: M1.put-by-kubectl
#[test]
fn a_put_that_is_done_says_nothing() {
    let mut scene = Scene::new("sim:1+0");
    let old = scene.old.clone();
    let ran = scene.put("server-1", &old, NEW);
    let said = (
        ran.stdout.text().into_owned(),
        ran.stderr.text().into_owned(),
    );
    assert_eq!((ran.status, said), (0, (String::new(), String::new())));
    assert_eq!(scene.fleet.bootstrap_keys(), [token::key(NEW)]);
}

/// measured: M1.empty-object
#[test]
fn an_empty_object_dies_without_an_answer_and_changes_nothing() {
    let mut scene = Scene::new("sim:1+0");
    let old = scene.old.clone();
    let command = Scene::put_command("server-1", &old, "{}");
    let ran = scene.ran("server-1", command);
    assert_eq!(
        (ran.status, ran.stderr.text().as_ref()),
        (1, "Unable to connect to the server: EOF\n")
    );
    assert_eq!(scene.fleet.bootstrap_keys(), [token::key(&old)]);
    assert_eq!(scene.row("server-1", "server"), old);
}

const ETCD: &str = "k3s kubectl --kubeconfig=/dev/null --server=http://127.0.0.1:2381 get --raw";

/// measured: M3.etcd-health, M3.etcd-metrics, M3.etcd-without-curl
#[test]
fn each_member_tells_its_health_without_credentials() {
    let mut scene = Scene::new("sim:3+0");
    for (host, leads) in [("server-1", 1), ("server-2", 0), ("server-3", 0)] {
        let health = scene.run(host, &format!("{ETCD} /health"));
        assert_eq!(
            (health.status, health.stdout.text().as_ref()),
            (0, "{\"health\":\"true\",\"reason\":\"\"}")
        );
        let metrics = scene.out(host, &format!("{ETCD} /metrics"));
        let of = |name: &str| {
            let line = metrics.lines().find(|line| line.starts_with(name)).unwrap();
            line.rsplit(' ').next().unwrap().parse::<i64>().unwrap()
        };
        assert_eq!(of("etcd_server_has_leader"), 1);
        assert_eq!(of("etcd_server_is_leader"), leads, "{host}");
        assert_eq!(of("etcd_server_is_learner"), 0);
        assert!(of("etcd_debugging_mvcc_current_revision") > 500);
    }
    let mut scene = Scene::new("sim:1+0");
    assert_eq!(scene.run("server-1", &format!("{ETCD} /health")).status, 1);
}

/// measured: M3.gateway-415
#[test]
fn etcds_gateway_takes_no_json() {
    let answer = crate::sim::etcd::gateway("/v3/kv/range");
    assert!(matches!(
        answer,
        crate::sim::world::Answer::Said { status: 415, .. }
    ));
    let mut scene = Scene::new("sim:3+0");
    let line = "k3s kubectl --kubeconfig=/dev/null --server=https://127.0.0.1:2379 create --raw /v3/kv/range -f -";
    let command =
        Command::new(line.split(' ')).stdin(Content::from("{\"key\":\"L2Jvb3RzdHJhcA==\"}"));
    let ran = scene.ran("server-1", command);
    assert_eq!(
        (ran.status, ran.stderr.text().as_ref()),
        (1, "Error from server: Unsupported Media Type\n")
    );
}
