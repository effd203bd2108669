//! `k3s token`, `k3s etcd-snapshot`, `k3s secrets-encrypt`: what they print, and when they fail.

use super::agents::CERTIFICATE;
use super::scene::*;
use crate::k3s::knock::Heard;
use crate::sim::token;

const WARNING: &str = "\u{1b}[33mWARNING\u{1b}[0m: Recommended to keep a record of the old token. If restoring from a snapshot, you must use the token associated with that snapshot.\n";
const OLD_WORKS: (Heard, Heard) = (Heard::Accepted, Heard::Rejected);

/// measured: M2.cli-success
#[test]
fn a_rotate_warns_first_and_then_says_what_to_do() {
    let mut scene = Scene::new("sim:1+0");
    let line = format!("k3s token rotate --token {} --new-token {NEW}", scene.old);
    let ran = scene.run("server-1", &line);
    assert_eq!(ran.status, 0);
    assert_eq!(
        ran.stdout.text(),
        format!("{WARNING}Token rotated, restart k3s nodes with new token\n")
    );
    let unpinned = "level=warning msg=\"Cluster CA certificate is not trusted by the host CA bundle, but the token does not include a CA hash. Use the full token from the server's node-token file to enable Cluster CA validation.\"\n";
    assert!(
        ran.stderr.text().ends_with(unpinned),
        "{}",
        ran.stderr.text()
    );
    assert_eq!(scene.fleet.bootstrap_keys(), [token::key(NEW)]);
    assert_eq!(scene.worth("server-1"), OLD_WORKS);
}

/// measured: M2.cli-default-token
#[test]
fn a_second_rotate_shows_the_wrong_token_until_the_restart() {
    let mut scene = Scene::new("sim:1+0");
    let old = scene.old.clone();
    // `server/token` is OLD, so this one works; it does not say that the CA is not pinned.
    let ran = scene.run("server-1", &format!("k3s token rotate --new-token {NEW}"));
    assert_eq!((ran.status, ran.stderr.text().as_ref()), (0, ""));
    let ran = scene.run("server-1", "k3s token rotate --new-token third");
    assert_eq!((ran.status, ran.stdout.text().as_ref()), (1, WARNING));
    let said = "level=fatal msg=\"Error: not authorized\"\n";
    assert!(ran.stderr.text().ends_with(said), "{}", ran.stderr.text());
    assert_eq!(scene.fleet.bootstrap_keys(), [token::key(NEW)]);
    let line = format!("k3s token rotate --token {old} --new-token third");
    assert_eq!(scene.run("server-1", &line).status, 0);
    assert_eq!(scene.fleet.bootstrap_keys(), [token::key("third")]);
    scene.edit("server-1", CONFIG, &old, "third");
    scene.restart("server-1", 20);
    // After the restart memory and `server/token` are the same again.
    let ran = scene.run("server-1", "k3s token rotate --new-token fourth");
    assert_eq!(ran.status, 0);
}

#[test]
fn a_rotate_goes_where_its_flags_say() {
    let mut scene = Scene::new("sim:3+1");
    let old = scene.old.clone();
    let line =
        format!("k3s token rotate --server https://10.0.1.2:6443 -t {old} --new-token={NEW}");
    assert_eq!(scene.run("agent-1", &line).status, 0);
    assert_eq!(scene.row("server-2", "server"), NEW);
    assert_eq!(scene.row("server-1", "server"), old);
    let mut scene = Scene::new("sim:1+0?data-dir=/data/k3s");
    let line = format!("k3s token rotate --new-token {NEW}");
    let ran = scene.run("server-1", &line);
    assert!(
        ran.stderr
            .text()
            .contains("open /var/lib/rancher/k3s/server/token: no such file")
    );
    assert_eq!(
        scene
            .run("server-1", &format!("{line} -d /data/k3s"))
            .status,
        0
    );
}

#[test]
fn a_rotate_without_a_new_token_draws_one() {
    let mut scene = Scene::new("sim:1+0");
    let old = scene.old.clone();
    assert_eq!(scene.run("server-1", "k3s token rotate").status, 0);
    let drawn = scene.row("server-1", "server");
    assert_eq!((drawn.len(), drawn == old), (32, false));
    assert_eq!(scene.fleet.bootstrap_keys(), [token::key(&drawn)]);
}

/// measured: M2.snapshot-mid-rotation, M2.encrypt-mid-rotation, M2.snapshot-elsewhere, M2.snapshot-after-roll-back
#[test]
fn what_shows_server_token_fails_between_rotate_and_restart() {
    let mut scene = Scene::new("sim:3+0");
    let old = scene.old.clone();
    let save = "k3s etcd-snapshot save --name";
    let status = "k3s secrets-encrypt status";
    assert_eq!(scene.run("server-1", status).status, 0);
    scene.rotate("server-1");
    for line in [&format!("{save} mid"), status] {
        let ran = scene.run("server-1", line);
        assert_eq!(ran.status, 1, "{line}");
        let said = "level=fatal msg=\"Error: see server log for details: not authorized\"\n";
        assert!(
            ran.stderr.text().ends_with(said),
            "{line}: {}",
            ran.stderr.text()
        );
    }
    assert_eq!(scene.run("server-2", &format!("{save} mid")).status, 0);
    assert_eq!(scene.run("server-2", status).status, 0);
    assert_eq!(scene.put("server-1", &old, &old).status, 0);
    assert_eq!(scene.run("server-1", &format!("{save} back")).status, 0);
    assert_eq!(scene.run("server-1", status).status, 0);
}

/// measured: M2.snapshot-output, M2.snapshot-mode
#[test]
fn a_snapshot_skips_the_servers_flags_and_names_its_file() {
    let mut scene = Scene::new("sim:3+0");
    let ran = scene.run("server-1", "k3s etcd-snapshot save --name before-rotation");
    let text = ran.stderr.text().into_owned();
    let lines: Vec<&str> = text.lines().collect();
    let (last, skipped) = lines.split_last().unwrap();
    let seconds = scene.fleet.now().0 / 1_000_000;
    let file = format!("before-rotation-server-1-{seconds}");
    assert!(
        last.ends_with(&format!("level=info msg=\"Snapshot {file} saved.\"")),
        "{last}"
    );
    let flags = [
        "write-kubeconfig-mode",
        "cluster-init",
        "token",
        "node-name",
        "node-ip",
        "tls-san",
        "disable",
    ];
    assert_eq!(skipped.len(), flags.len(), "{text}");
    for (line, flag) in skipped.iter().zip(flags) {
        let said = format!("Unknown flag --{flag} found in config.yaml, skipping");
        assert!(line.contains(&said), "{line}");
    }
    let stat = scene.stat("server-1", &format!("{SERVER}/db/snapshots/{file}"));
    assert_eq!((ran.status, stat.mode), (0, 0o600));
    assert_eq!(
        scene
            .stat("server-1", &format!("{SERVER}/db/snapshots"))
            .mode,
        0o700
    );
}

/// measured: M2.token-create, M2.token-list
#[test]
fn bootstrap_tokens_are_made_and_listed() {
    let mut scene = Scene::new("sim:1+0");
    let made = scene.out("server-1", "k3s token create --ttl 10m --description test");
    let ca = scene.text("server-1", &format!("{SERVER}/tls/server-ca.crt"));
    let hash = token::sha256(ca.as_bytes());
    let rest = made.trim().strip_prefix(&format!("K10{hash}::")).unwrap();
    assert!(
        token::is_bootstrap(rest),
        "K10<hash>::<id>.<secret>: {rest}"
    );
    let id = rest.split('.').next().unwrap().to_owned();
    scene.pass(1);
    // A rotate of the server token leaves them alone.
    scene.rotate("server-1");
    let list = scene.out("server-1", "k3s token list");
    let expires = "2026-11-22T";
    let (head, row) = list.split_once('\n').unwrap();
    assert_eq!(
        head,
        "TOKEN     TTL       EXPIRES                USAGES                   DESCRIPTION   EXTRA GROUPS"
    );
    let (begins, rest) = row.split_once(expires).unwrap();
    assert_eq!(begins, format!("{id}    9m        "));
    assert_eq!(
        &rest[9..],
        "   authentication,signing   test          system:bootstrappers:k3s:default-node-token\n"
    );
    scene.pass(600);
    assert_eq!(scene.out("server-1", "k3s token list").lines().count(), 1);
}

#[test]
fn a_bootstrap_token_opens_the_door_of_agents_while_it_lives() {
    let mut scene = Scene::new("sim:3+1");
    let text = "abc123.0123456789abcdef";
    let door = |scene: &mut Scene, path: &str| scene.bears("server-2", path, text).0;
    assert_eq!(door(&mut scene, "/v1-k3s/readyz"), 401);
    let made = scene.out("server-1", &format!("k3s token create --ttl 10m {text}"));
    assert_eq!(made.trim().split("::").nth(1), Some(text));
    assert_eq!(door(&mut scene, "/v1-k3s/readyz"), 200);
    assert_eq!(door(&mut scene, "/v1-k3s/config"), 200);
    assert_eq!(door(&mut scene, "/v1-k3s/token"), 403);
    scene.pass(601);
    assert_eq!(door(&mut scene, "/v1-k3s/readyz"), 401);
    scene.out("server-1", &format!("k3s token create --ttl 10m {text}"));
    assert_eq!(door(&mut scene, "/v1-k3s/readyz"), 200);
    let said = scene.out("server-3", "k3s token delete abc123");
    assert_eq!(said, "bootstrap token \"abc123\" deleted\n");
    assert_eq!(door(&mut scene, "/v1-k3s/readyz"), 401);
}

#[test]
fn an_agent_without_a_certificate_joins_with_a_bootstrap_token_while_it_lives() {
    let mut scene = Scene::new("sim:1+1");
    let text = "abc123.0123456789abcdef";
    let full = scene.out("server-1", &format!("k3s token create --ttl 10m {text}"));
    scene.write("agent-1", "/etc/join", &full);
    let config = scene.text("agent-1", CONFIG) + "token-file: /etc/join\n";
    scene.write("agent-1", CONFIG, &config);
    let fresh = |scene: &mut Scene| {
        scene.run("agent-1", "systemctl kill k3s-agent.service");
        scene.remove("agent-1", CERTIFICATE);
        scene.restart("agent-1", 8);
        scene.active("agent-1")
    };
    assert_eq!(fresh(&mut scene), "active");
    // It is no business of its certificate whether the token lives.
    scene.out("server-1", "k3s token delete abc123");
    scene.restart("agent-1", 8);
    assert_eq!(scene.active("agent-1"), "active");
    assert_eq!(fresh(&mut scene), "activating");
}

/// measured: M2.process-title
#[test]
fn a_running_process_hides_its_arguments() {
    let mut scene = Scene::new("sim:1+1?surface=argument");
    for (host, title) in [("server-1", "k3s server"), ("agent-1", "k3s agent")] {
        let pid = scene.property(host, "MainPID");
        let line = scene.out(host, &format!("cat /proc/{pid}/cmdline"));
        assert_eq!(line.trim_end_matches(['\0', ' ']), title);
        assert!(!line.contains(&scene.old));
    }
    let shown = scene.property("server-1", "ExecStart");
    assert!(shown.contains("--token"), "the unit tells them: {shown}");
}
