//! What a rotate does, and does not: k3s-measured sections 1 and 2.

use super::scene::*;
use crate::k3s::knock::{Heard, Role};
use crate::sim::passwd::Passwd;
use crate::sim::token;

const OLD_WORKS: (Heard, Heard) = (Heard::Accepted, Heard::Rejected);
const NEW_WORKS: (Heard, Heard) = (Heard::Rejected, Heard::Accepted);

/// v1.32.4-sqlite, sqlite-rotate: 405, 401, 403 as `server`; 200, 401, 403 as `node`.
#[test]
fn a_knock_tells_right_wrong_and_wrong_role_apart() {
    let mut scene = Scene::new("sim:1+1");
    let old = scene.old.clone();
    assert_eq!(scene.knock("server-1", Role::Server, &old), Heard::Accepted);
    assert_eq!(scene.knock("server-1", Role::Server, "x"), Heard::Rejected);
    assert_eq!(scene.knock("server-1", Role::Node, &old), Heard::Accepted);
    assert_eq!(scene.knock("server-1", Role::Node, "x"), Heard::Rejected);
    assert_eq!(scene.knock("agent-1", Role::Node, &old), Heard::Accepted);
    assert_eq!(scene.knock("agent-1", Role::Server, "x"), Heard::Rejected);
}

/// sqlite-rotate: after the PUT memory is still OLD; files and the datastore's only key are NEW.
/// measured: M2.before, M2.after-put
#[test]
fn a_rotate_changes_files_and_datastore_but_no_memory() {
    let mut scene = Scene::new("sim:1+1");
    assert_eq!(scene.worth("server-1"), OLD_WORKS);
    assert_eq!(scene.fleet.bootstrap_keys(), [token::key(&scene.old)]);
    scene.rotate("server-1");
    assert_eq!(scene.worth("server-1"), OLD_WORKS);
    let passwd = Passwd::parse(&scene.text("server-1", &format!("{SERVER}/cred/passwd"))).unwrap();
    assert_eq!((passwd.server.as_str(), passwd.node.as_str()), (NEW, NEW));
    assert!(
        scene
            .text("server-1", &format!("{SERVER}/token"))
            .trim()
            .ends_with(NEW)
    );
    assert_eq!(scene.fleet.bootstrap_keys(), [token::key(NEW)]);
}

/// ha-two-stage: the other servers' files are untouched and all memories are OLD.
/// measured: M2.others-untouched
#[test]
fn a_rotate_leaves_the_other_servers_files_alone() {
    let mut scene = Scene::new("sim:3+0");
    let before = scene.text("server-2", &format!("{SERVER}/cred/passwd"));
    scene.rotate("server-1");
    for host in ["server-1", "server-2", "server-3"] {
        assert_eq!(scene.worth(host), OLD_WORKS, "{host}");
    }
    assert_eq!(
        scene.text("server-2", &format!("{SERVER}/cred/passwd")),
        before
    );
}

/// sqlite-wrong-token: after a restart with NEW configured NEW is 405 and OLD 401.
/// measured: M2.after-restart
#[test]
fn after_a_restart_with_new_only_new_works() {
    let mut scene = Scene::new("sim:1+1");
    scene.rotate("server-1");
    scene.flip("server-1");
    scene.restart("server-1", 10);
    assert_eq!(scene.worth("server-1"), NEW_WORKS);
}

/// sqlite-rotate, ha-rollback-restart: PUT of OLD before any restart brings everything back.
/// measured: M2.roll-back
#[test]
fn a_roll_back_by_put_needs_no_restart_and_survives_restarts() {
    let mut scene = Scene::new("sim:3+0");
    let old = scene.old.clone();
    scene.rotate("server-1");
    assert_eq!(scene.put("server-1", &old, &old).status, 0);
    assert_eq!(scene.fleet.bootstrap_keys(), [token::key(&old)]);
    let rows = (
        scene.row("server-1", "server"),
        scene.row("server-1", "node"),
    );
    assert_eq!(rows, (old.clone(), old.clone()));
    assert!(
        scene
            .text("server-1", &format!("{SERVER}/token"))
            .trim()
            .ends_with(&old)
    );
    assert_eq!(scene.worth("server-1"), OLD_WORKS);
    for host in ["server-2", "server-1", "server-3", "server-1"] {
        scene.restart(host, 30);
        assert_eq!(scene.worth(host), OLD_WORKS, "{host}");
    }
}

/// sqlite-rotate: a token of bootstrap shape answers 500 and changes nothing.
/// measured: M2.bootstrap-shape-1.34
#[test]
fn a_bootstrap_shaped_token_is_refused_with_500() {
    let mut scene = Scene::new("sim:1+0");
    let old = scene.old.clone();
    let before = scene.text("server-1", &format!("{SERVER}/cred/passwd"));
    let ran = scene.put("server-1", &old, "abcdef.0123456789abcdef");
    assert_eq!(ran.status, 1);
    assert!(
        ran.stderr
            .text()
            .contains("(InternalError): Internal error occurred: token error ID")
    );
    assert_eq!(
        scene.text("server-1", &format!("{SERVER}/cred/passwd")),
        before
    );
    assert_eq!(scene.fleet.bootstrap_keys(), [token::key(&old)]);
}

const SHAPED: &str = "abcdef.0123456789abcdef";

/// v1.32.4-sqlite: what the server row and the last part of `server/token` are.
fn written(scene: &Scene) -> (String, String) {
    let text = scene.text("server-1", &format!("{SERVER}/token"));
    let (_, last) = text.trim().rsplit_once("::server:").unwrap();
    (scene.row("server-1", "server"), last.to_owned())
}

/// measured: M2.bootstrap-shape-1.32
#[test]
fn an_older_version_is_torn_by_a_bootstrap_shaped_token() {
    let mut scene = Scene::new("sim:1+0?k3s=v1.32.4+k3s1");
    let version = scene.out("server-1", "k3s --version");
    assert!(version.starts_with("k3s version v1.32.4+k3s1 (1d104e37)"));
    let old = scene.old.clone();
    let ran = scene.put("server-1", &old, SHAPED);
    assert_eq!(ran.status, 1);
    assert!(ran.stderr.text().contains("(InternalError)"));
    assert_eq!(written(&scene), (SHAPED.to_owned(), SHAPED.to_owned()));
    assert_eq!(scene.row("server-1", "node"), SHAPED);
    assert_eq!(scene.fleet.bootstrap_keys(), [token::key(SHAPED)]);
    assert_eq!(scene.worth("server-1"), OLD_WORKS);
    for next in [NEW, "thirdserversecret222222222222222"] {
        assert_eq!(scene.put("server-1", &old, next).status, 1);
        assert_eq!(written(&scene), (next.to_owned(), next.to_owned()));
        assert_eq!(scene.row("server-1", "node"), next);
        assert_eq!(scene.fleet.bootstrap_keys(), [token::key(SHAPED)]);
    }
}

/// measured: M2.k10-form-1.32
#[test]
fn an_older_version_writes_a_full_token_as_it_stands() {
    let mut scene = Scene::new("sim:1+0?k3s=v1.32.4+k3s1");
    let old = scene.old.clone();
    scene.put("server-1", &old, SHAPED);
    scene.put("server-1", &old, NEW);
    let ca = scene.text("server-1", &format!("{SERVER}/tls/server-ca.crt"));
    let full = token::full(&ca, "server", "k10formnewsecret000000000000000");
    assert_eq!(scene.put("server-1", &old, &full).status, 1);
    assert_eq!(
        scene.row("server-1", "server"),
        "k10formnewsecret000000000000000"
    );
    assert_eq!(scene.row("server-1", "node"), full);
    assert_eq!(
        scene.text("server-1", &format!("{SERVER}/token")),
        token::full(&ca, "server", &full) + "\n"
    );
    assert_eq!(scene.fleet.bootstrap_keys(), [token::key(SHAPED)]);
}

#[test]
fn an_older_version_rotates_to_a_bare_token_as_a_newer_one_does() {
    let mut scene = Scene::new("sim:3+1?k3s=v1.32.4+k3s1");
    scene.rotate("server-1");
    assert_eq!(scene.fleet.bootstrap_keys(), [token::key(NEW)]);
    let nodes = scene.out("server-1", "k3s kubectl get nodes -o json");
    assert!(nodes.contains("\"kubeletVersion\": \"v1.32.4+k3s1\""));
}

/// sqlite-rotate: who shows NEW between PUT and restart is refused.
#[test]
fn the_rotator_refuses_new_until_its_restart() {
    let mut scene = Scene::new("sim:1+0");
    scene.rotate("server-1");
    let ran = scene.put("server-1", NEW, "third");
    assert_eq!(
        ran.stderr.text(),
        "error: You must be logged in to the server (not authorized)\n"
    );
}

/// A second server that takes a PUT is torn: its files change before it fails.
#[test]
fn a_second_rotator_is_torn() {
    let mut scene = Scene::new("sim:3+0");
    let old = scene.old.clone();
    scene.rotate("server-1");
    assert_eq!(
        scene
            .put("server-2", &old, "thirdserversecret222222222222222")
            .status,
        1
    );
    assert!(
        scene
            .text("server-2", &format!("{SERVER}/token"))
            .contains("third")
    );
    assert_eq!(scene.fleet.bootstrap_keys(), [token::key(NEW)]);
}

/// K3s-facts 2.1: files, modes and links of a server.
#[test]
fn a_servers_files_have_their_modes_and_links() {
    let scene = Scene::new("sim:3+0");
    let host = scene.fleet.host(&name("server-2")).unwrap();
    let stat = |path: &str| {
        crate::sim::world::Files::stat(&host.disk, &format!("{SERVER}/{path}")).unwrap()
    };
    assert_eq!(
        (stat("token").mode, stat("cred/passwd").mode),
        (0o600, 0o600)
    );
    let to = crate::wire::FileKind::Symlink(format!("{SERVER}/token").into());
    assert_eq!(
        (stat("node-token").kind, stat("agent-token").kind),
        (to.clone(), to)
    );
    let ca = scene.text("server-2", &format!("{SERVER}/tls/server-ca.crt"));
    let token = scene.text("server-2", &format!("{SERVER}/token"));
    assert_eq!(token, token::full(&ca, "server", &scene.old) + "\n");
}
