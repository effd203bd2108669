//! Fleets that differ from what the installer leaves.

use super::scene::*;
use crate::k3s::knock::{Heard, Role};
use crate::sim::spec::Surface;
use crate::wire::{Query, Response};

#[test]
fn a_server_takes_its_token_from_each_surface() {
    for (_, surface) in Surface::NAMES {
        let mut scene = Scene::new(&format!("sim:3+1?surface={surface}"));
        for host in ["server-1", "server-3"] {
            assert_eq!(
                scene.worth(host),
                (Heard::Accepted, Heard::Rejected),
                "{surface}"
            );
            scene.restart(host, 40);
            assert_eq!(
                scene.worth(host),
                (Heard::Accepted, Heard::Rejected),
                "{surface}"
            );
        }
        assert_eq!(scene.active("agent-1"), "active", "{surface}");
    }
}

/// split-roles: rotate on a control-plane-only server, NEW everywhere, the etcd server first: all fine.
/// measured: M3.split-roles
#[test]
fn split_roles_rotate_in_the_measured_order() {
    let mut scene = Scene::new("sim:3+1?topology=split");
    let hosts = ["server-1", "server-2", "server-3"];
    scene.rotate("server-2");
    for host in hosts {
        scene.flip(host);
    }
    for host in hosts {
        scene.restart(host, 40);
        assert_eq!(
            scene.worth(host),
            (Heard::Rejected, Heard::Accepted),
            "{host}"
        );
    }
    for host in hosts {
        assert_eq!(scene.ready("server-2", host), "True");
    }
}

/// split-roles: the etcd-only server has no kube-apiserver, and takes a rotate all the same.
/// measured: M3.etcd-only-rotate
#[test]
fn an_etcd_only_server_takes_a_rotate() {
    let mut scene = Scene::new("sim:3+0?topology=split");
    let ran = scene.run(
        "server-1",
        "k3s kubectl --request-timeout=10s get nodes -o json",
    );
    assert_eq!(ran.status, 1);
    scene.rotate("server-1");
    assert!(
        scene
            .text("server-1", &format!("{SERVER}/token"))
            .contains(NEW)
    );
}

#[test]
fn a_separate_agent_token_serves_agents_alone() {
    let mut scene = Scene::new("sim:3+2?agent-token=separate");
    let old = scene.old.clone();
    assert_eq!(scene.knock("server-2", Role::Node, &old), Heard::Rejected);
    assert!(!scene.text("agent-1", ENV).contains(&old));
    scene.remove("agent-1", "/var/lib/rancher/k3s/agent/client-kubelet.crt");
    scene.restart("agent-1", 10);
    assert_eq!(scene.active("agent-1"), "active");
    scene.restart("server-2", 40);
    scene.restart("server-2", 40);
    assert_eq!(scene.active("server-2"), "active");
}

#[test]
fn servers_without_a_kubelet_have_no_node() {
    let mut scene = Scene::new("sim:3+1?disable-agent=yes");
    let nodes = scene.out(
        "server-1",
        "k3s kubectl --request-timeout=10s get nodes -o json",
    );
    assert!(nodes.contains("agent-1") && !nodes.contains("\"name\": \"server-1\""));
}

#[test]
fn another_data_directory_unit_and_port_are_used() {
    let mut scene = Scene::new("sim:3+1?data-dir=/data/k3s&unit=k3s-main&port=7443");
    let stat = scene.look("server-2", Query::stat("/data/k3s/server/token"));
    assert!(matches!(stat, Response::Stat(Some(_))));
    let show = scene.out(
        "server-2",
        "systemctl show --property=Id,ActiveState k3s*.service",
    );
    assert_eq!(show, "Id=k3s-main.service\nActiveState=active\n");
    assert_eq!(
        scene.out("agent-1", "systemctl is-active k3s-main-agent.service"),
        "active\n"
    );
    assert!(scene.text("server-2", CONFIG).contains(":7443"));
}

/// An address that is nobody's own leads to a server that serves, also while another one is down.
#[test]
fn a_virtual_address_leads_to_whoever_serves() {
    let mut scene = Scene::new("sim:3+1?joins=vip");
    for host in ["server-1", "server-3"] {
        scene.restart(host, 40);
        assert_eq!(
            scene.worth(host),
            (Heard::Accepted, Heard::Rejected),
            "{host}"
        );
    }
    let first = name("server-1");
    scene.fleet.switch_off(&first);
    scene.restart("agent-1", 40);
    assert_eq!(scene.active("agent-1"), "active");
    scene.fleet.switch_on(&first);
    scene.pass(90);
    assert_eq!(scene.active("server-1"), "active");
}
