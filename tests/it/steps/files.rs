//! Where a token is edited on hosts whose files somebody has arranged in his own way.

use keyroll::model::HostName;
use keyroll::steps::Proposal;
use keyroll::template::Vars;

use super::compare::spell;
use super::{Rig, runtime, step};

/// What is proposed to let NEW wait on a server whose files are as somebody left them.
fn staged(mode: &str, alter: impl FnOnce(&mut keyroll::sim::fleet::Host)) -> Proposal {
    runtime().block_on(async {
        let rig = Rig::new("sim:3+0", true);
        let host = HostName::new("server-2").unwrap();
        rig.sim.with(|fleet| alter(fleet.host_mut(&host).unwrap()));
        let words = serde_yaml::from_str(&format!("k3s_token: {{ state: staged{mode} }}")).unwrap();
        rig.propose(&host, &step(&words), &Vars::default())
            .await
            .unwrap()
    })
}

const CONFIG: &str = "/etc/rancher/k3s/config.yaml";

#[test]
fn a_mode_that_is_too_wide_is_repaired_and_said_or_kept_on_request() {
    let widen = |host: &mut keyroll::sim::fleet::Host| host.disk.set_mode(CONFIG, 0o644);
    let last = |proposal: Proposal| {
        let op = proposal.ops.last().unwrap().clone();
        (spell(&op), op.why)
    };
    let (op, why) = last(staged("", widen));
    assert!(op.ends_with("/.config.yaml.keyroll-new 600"), "{op}");
    assert!(why.ends_with("with mode 0600 instead of 0644"), "{why}");
    let (op, why) = last(staged(", mode: keep", widen));
    assert!(op.ends_with("/.config.yaml.keyroll-new 644"), "{op}");
    assert!(!why.contains("mode"), "{why}");
}

#[test]
fn a_read_only_file_system_is_found_before_anything_is_changed() {
    let proposal = staged("", |host| host.disk.etc_read_only = true);
    assert!(
        proposal
            .unmet
            .iter()
            .any(|unmet| unmet.name == "not-writable"),
        "{:?}",
        proposal.unmet
    );
}

#[test]
fn a_config_file_behind_links_is_edited_where_they_lead() {
    use keyroll::sim::world::Files as _;
    let proposal = staged("", |host| {
        let text = host.disk.read(CONFIG).unwrap();
        host.disk
            .write("/etc/site/real.yaml", &text, 0o600)
            .unwrap();
        host.disk
            .symlink("../site/second", "/etc/rancher/first")
            .unwrap();
        host.disk.symlink("real.yaml", "/etc/site/second").unwrap();
        host.disk.remove(CONFIG).unwrap();
        host.disk.symlink("/etc/site/second", CONFIG).unwrap();
    });
    let ops: Vec<String> = proposal.ops.iter().map(spell).collect();
    assert!(
        ops.last()
            .unwrap()
            .contains("write /etc/site/.real.yaml.keyroll-new"),
        "{ops:?}"
    );
}

#[test]
fn a_token_file_that_is_the_node_token_link_is_refused() {
    use keyroll::sim::world::Files as _;
    let proposal = staged("", |host| {
        let text = "token-file: /var/lib/rancher/k3s/server/node-token\n";
        host.disk.write(CONFIG, text.as_bytes(), 0o600).unwrap();
    });
    let names: Vec<&str> = proposal.unmet.iter().map(|unmet| unmet.name).collect();
    assert_eq!(names, ["token-file-is-node-token"]);
}
