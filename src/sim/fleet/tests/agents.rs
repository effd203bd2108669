//! Agents: k3s-measured sections 4 and 6.

use super::scene::*;
use crate::k3s::knock::{Heard, Role};

pub(super) const CERTIFICATE: &str = "/var/lib/rancher/k3s/agent/client-kubelet.crt";

fn env(scene: &mut Scene, token: &str) {
    let text = format!("K3S_TOKEN='{token}'\nK3S_URL='https://10.0.1.1:6443'\n");
    scene.write("agent-1", ENV, &text);
}

/// agent-wrong-token E3: active, lease renewed, Ready: its certificate lets it in.
/// measured: M4.wrong-token-ready
#[test]
fn an_agent_with_a_wrong_token_is_ready_through_its_certificate() {
    let mut scene = Scene::new("sim:1+1");
    env(&mut scene, "wrong");
    let before = scene.renewed("server-1", "agent-1");
    scene.restart("agent-1", 10);
    assert_eq!(scene.active("agent-1"), "active");
    assert_eq!(scene.ready("server-1", "agent-1"), "True");
    assert!(scene.renewed("server-1", "agent-1") > before);
    assert!(
        scene
            .journal("agent-1")
            .contains("Cluster CA certificate is not trusted by the host CA bundle, but the token does not include a CA hash. Use the full token")
    );
}

/// agent-wrong-token E3b: K10 form with a wrong hash: activating for ever, a line every 2 s.
/// measured: M4.wrong-ca-hash
#[test]
fn an_agent_with_a_wrong_ca_hash_stays_activating() {
    let mut scene = Scene::new("sim:1+1");
    let old = scene.old.clone();
    let hash = "a".repeat(64);
    env(&mut scene, &format!("K10{hash}::server:{old}"));
    scene.restart("agent-1", 20);
    assert_eq!(scene.property("agent-1", "SubState"), "start");
    let line = format!(
        "Failed to validate connection to cluster at https://10.0.1.1:6443: token CA hash does not match the Cluster CA certificate hash: {hash} != "
    );
    assert_eq!(scene.journal("agent-1").matches(&line).count(), 10);
}

/// agent-wrong-token E4: no certificates and a wrong token: activating for ever, a line every 10 s.
/// measured: M4.no-certificate
#[test]
fn an_agent_without_a_certificate_needs_the_token() {
    let mut scene = Scene::new("sim:1+1");
    scene.remove("agent-1", CERTIFICATE);
    env(&mut scene, "wrong");
    scene.restart("agent-1", 30);
    assert_eq!(scene.active("agent-1"), "activating");
    let line = "Waiting to retrieve agent configuration; server is not ready: failed to retrieve configuration from server: not authorized";
    assert_eq!(scene.journal("agent-1").matches(line).count(), 3);
    assert_eq!(scene.property("agent-1", "NRestarts"), "0");
}

/// k3s-measured section 4: server not there: it waits, and joins once the server is back.
/// measured: M4.server-away
#[test]
fn an_agent_waits_for_its_server() {
    let mut scene = Scene::new("sim:1+1");
    scene.order("server-1", "stop");
    scene.restart("agent-1", 20);
    assert!(
        scene
            .journal("agent-1")
            .contains("Waiting to retrieve agent configuration; server is not ready: failed to get CA certs: Get \\\"https://127.0.0.1:6444/cacerts\\\": EOF")
    );
    scene.order("server-1", "start");
    scene.pass(30);
    assert_eq!(scene.active("agent-1"), "active");
}

/// measured: M4.server-starting
#[test]
fn an_agent_waits_for_a_server_that_starts() {
    let mut scene = Scene::new("sim:1+1?fault=server-1:slow-start");
    scene.restart("server-1", 100);
    scene.restart("agent-1", 20);
    let line = "server is not ready: https://127.0.0.1:6444/v1-k3s/serving-kubelet.crt: 503 Service Unavailable";
    assert!(scene.journal("agent-1").contains(line));
    assert_eq!(scene.active("agent-1"), "activating");
    scene.pass(90);
    assert_eq!(scene.active("agent-1"), "active");
}

/// ready-lag: Ready for about 51 s after a stop, Ready again soon after a start.
/// measured: M4.ready-again
#[test]
fn a_stopped_agent_is_called_ready_for_most_of_a_minute() {
    let mut scene = Scene::new("sim:1+1");
    scene.order("agent-1", "stop");
    scene.pass(39);
    assert_eq!(scene.ready("server-1", "agent-1"), "True");
    scene.pass(13);
    assert_eq!(scene.ready("server-1", "agent-1"), "Unknown");
    scene.order("agent-1", "start");
    scene.pass(8);
    assert_eq!(scene.ready("server-1", "agent-1"), "True");
}

/// agent-precedence: config over environment; token-file over both, even when it is wrong.
/// measured: M6.config-over-env, M6.token-file-over-env, M6.env-alone
#[test]
fn token_file_beats_config_beats_environment() {
    let mut scene = Scene::new("sim:1+1");
    let old = scene.old.clone();
    let fresh = |scene: &mut Scene| {
        scene.run("agent-1", "systemctl kill k3s-agent.service");
        if !scene.text("agent-1", CERTIFICATE).is_empty() {
            scene.remove("agent-1", CERTIFICATE);
        }
        scene.restart("agent-1", 8);
        scene.active("agent-1")
    };
    env(&mut scene, "wrong");
    scene.write("agent-1", CONFIG, &format!("token: \"{old}\"\n"));
    assert_eq!(fresh(&mut scene), "active");
    scene.remove("agent-1", CONFIG);
    env(&mut scene, &old);
    assert_eq!(fresh(&mut scene), "active");
    scene.write("agent-1", "/etc/rancher/k3s/tf", "wrong\n");
    scene.write("agent-1", CONFIG, "token-file: /etc/rancher/k3s/tf\n");
    assert_eq!(fresh(&mut scene), "activating");
    scene.write("agent-1", "/etc/rancher/k3s/tf", &format!("{old}\n"));
    assert_eq!(fresh(&mut scene), "active");
    let nodes = scene.out(
        "server-1",
        "k3s kubectl --request-timeout=10s get nodes -o json",
    );
    assert!(nodes.contains("--token-file") && nodes.contains("\\\"K3S_TOKEN\\\":\\\"********\\\""));
}

/// sqlite-agent-token: `token:` beats `K3S_TOKEN` on a server too.
/// measured: M6.config-over-env-server
#[test]
fn a_servers_config_beats_its_environment() {
    let mut scene = Scene::new("sim:1+0");
    let env = "/etc/systemd/system/k3s.service.env";
    scene.write("server-1", env, "K3S_TOKEN='wrong'\n");
    scene.restart("server-1", 20);
    let old = scene.old.clone();
    assert_eq!(scene.active("server-1"), "active");
    assert_eq!(scene.knock("server-1", Role::Server, &old), Heard::Accepted);
    assert_eq!(
        scene.knock("server-1", Role::Server, "wrong"),
        Heard::Rejected
    );
}

fn annotation(scene: &mut Scene, node: &str, key: &str) -> String {
    let list = scene.out("server-1", "k3s kubectl get nodes -o json");
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    let items = list["items"].as_array().unwrap();
    let item = items.iter().find(|item| item["metadata"]["name"] == node);
    let annotation = &item.unwrap()["metadata"]["annotations"][key];
    annotation.as_str().unwrap().to_owned()
}

/// agent-precedence, nodes-ha: arguments of the configuration first, values masked, `<` as Go writes it.
/// measured: M6.node-args, M6.node-env
#[test]
fn a_node_tells_its_arguments_without_secrets() {
    let mut scene = Scene::new("sim:1+1");
    let old = scene.old.clone();
    assert_eq!(annotation(&mut scene, "server-1", "k3s.io/node-env"), "{}");
    let args = annotation(&mut scene, "server-1", "k3s.io/node-args");
    assert!(
        args.starts_with("[\"server\",\"--write-kubeconfig-mode\",\"0600\","),
        "{args}"
    );
    assert!(args.contains("\"--token\",\"********\""), "{args}");
    assert!(!args.contains(&old));
    let config = "node-name: agent-1\nkubelet-arg:\n- eviction-hard=nodefs.available<1%\ntoken-file: /etc/rancher/k3s/tf\n";
    scene.write("agent-1", CONFIG, config);
    scene.write("agent-1", "/etc/rancher/k3s/tf", &format!("{old}\n"));
    env(&mut scene, &old);
    scene.restart("agent-1", 10);
    assert_eq!(
        annotation(&mut scene, "agent-1", "k3s.io/node-args"),
        "[\"agent\",\"--node-name\",\"agent-1\",\"--kubelet-arg\",\"eviction-hard=nodefs.available\\u003c1%\",\"--token-file\",\"/etc/rancher/k3s/tf\"]"
    );
    let env = annotation(&mut scene, "agent-1", "k3s.io/node-env");
    assert!(
        env.contains("\"K3S_TOKEN\":\"********\"") && !env.contains(&old),
        "{env}"
    );
    let unit = "/etc/systemd/system/k3s-agent.service.env";
    scene.write("agent-1", unit, "K3S_TOKEN='x'\n");
    scene.write(
        "agent-1",
        CONFIG,
        &format!("server: https://10.0.1.1:6443\ntoken: {old}\n"),
    );
    scene.restart("agent-1", 10);
    assert_eq!(
        annotation(&mut scene, "agent-1", "k3s.io/node-env"),
        "{\"K3S_TOKEN\":\"********\"}"
    );
}

/// K3s-facts 3: of several environment files the later wins; `Environment=` loses to all.
#[test]
fn the_last_environment_file_wins() {
    let mut scene = Scene::new("sim:1+1");
    scene.remove("agent-1", CERTIFICATE);
    scene.write("agent-1", "/etc/default/k3s-agent", "K3S_TOKEN=wrong\n");
    scene.restart("agent-1", 8);
    assert_eq!(scene.active("agent-1"), "active");
    let unit = "/etc/systemd/system/k3s-agent.service.d/10-token.conf";
    scene.write(
        "agent-1",
        unit,
        "[Service]\nEnvironment=\"K3S_TOKEN=wrong\"\n",
    );
    assert_eq!(scene.property("agent-1", "NeedDaemonReload"), "yes");
    scene.run("agent-1", "systemctl daemon-reload");
    assert_eq!(scene.property("agent-1", "DropInPaths"), unit);
    scene.remove("agent-1", CERTIFICATE);
    scene.restart("agent-1", 8);
    assert_eq!(scene.active("agent-1"), "active");
}
