//! Agents: k3s-measured sections 4 and 6.

use super::scene::*;

const CERTIFICATE: &str = "/var/lib/rancher/k3s/agent/client-kubelet.crt";

fn env(scene: &mut Scene, token: &str) {
    let text = format!("K3S_TOKEN='{token}'\nK3S_URL='https://10.0.1.1:6443'\n");
    scene.write("agent-1", ENV, &text);
}

/// agent-wrong-token E3: active, lease renewed, Ready: its certificate lets it in.
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
            .contains("the token does not include a CA hash")
    );
}

/// agent-wrong-token E3b: K10 form with a wrong hash: activating for ever, a line every 2 s.
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
#[test]
fn an_agent_waits_for_its_server() {
    let mut scene = Scene::new("sim:1+1");
    scene.order("server-1", "stop");
    scene.restart("agent-1", 20);
    assert!(
        scene
            .journal("agent-1")
            .contains("failed to get CA certs: Get \\\"https://127.0.0.1:6444/cacerts")
    );
    scene.order("server-1", "start");
    scene.pass(30);
    assert_eq!(scene.active("agent-1"), "active");
}

/// ready-lag: Ready for about 51 s after a stop, Ready again soon after a start.
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
