//! The real program on real hosts: systemd, sshd, sudo, and a K3s process with its own HTTPS and files.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::lab_canary::{Canary, Watched};
use crate::lab_fleet::{Cluster, Ended, Size};

const HIGH: Size = Size {
    servers: 3,
    agents: 5,
};
const LOW: Size = Size {
    servers: 1,
    agents: 3,
};

/// Files that hold a token: bytes, mode and owner.
type Configs = BTreeMap<String, (String, u32, u32)>;

fn configs(cluster: &Cluster) -> Configs {
    let paths = [
        "etc/rancher/k3s/config.yaml",
        "etc/systemd/system/k3s-agent.service.env",
        "etc/systemd/system/k3s.service.env",
    ];
    let mut found = Configs::new();
    for host in cluster.hosts() {
        for path in paths {
            let file = cluster.disk(&host).join(path);
            if let Ok(text) = std::fs::read_to_string(&file) {
                let meta = std::fs::metadata(&file).unwrap();
                found.insert(
                    format!("{host} {path}"),
                    (text, meta.mode() & 0o7777, meta.gid()),
                );
            }
        }
    }
    found
}

/// Every server takes NEW and refuses OLD.
async fn is_rotated(cluster: &Cluster) {
    for server in cluster.servers() {
        assert_eq!(
            cluster.knock(&server, &cluster.new).await,
            "405",
            "{server}"
        );
        assert_eq!(
            cluster.knock(&server, &cluster.old).await,
            "401",
            "{server}"
        );
    }
}

/// What must have become of the files that hold a token: OLD is NEW, nothing else has changed, none is readable for others.
fn expected(cluster: &Cluster, before: Configs) -> Configs {
    let rotated = before.into_iter().map(|(name, (text, mode, group))| {
        let held = text.contains(&cluster.old);
        // Plain YAML gets quotes, so that no token is ever read as a number.
        let plain = format!("token: {}", cluster.old);
        let text = text.replace(&plain, &format!("token: \"{}\"", cluster.new));
        let text = text.replace(&cluster.old, &cluster.new);
        (name, (text, if held { mode & 0o600 } else { mode }, group))
    });
    rotated.collect()
}

#[tokio::test]
async fn a_rotation_of_three_servers_and_five_agents_shows_no_secret() {
    let test = "a_rotation_of_three_servers_and_five_agents_shows_no_secret";
    let Some(cluster) = Cluster::install(test, HIGH).await else {
        return;
    };
    chown(
        cluster
            .disk("h5")
            .join("etc/systemd/system/k3s-agent.service.env"),
        Some(0),
        Some(4),
    )
    .unwrap();
    let (before, files) = (cluster.digest().await, configs(&cluster));
    let look = cluster.run("@rotate-token", &["--check"]).await;
    assert_eq!(look.status, 10, "{}", look.text);
    assert_eq!(cluster.digest().await, before, "--check has changed a host");

    let canary = Canary::new(&[&cluster.old, &cluster.new]);
    let mut watched = Watched::default();
    let book = cluster.book();
    let run = tokio::select! {
        run = cluster.run(&book, &[]) => run,
        () = canary.watch(&mut watched) => unreachable!(),
    };
    assert_eq!(run.status, 0, "{}", run.text);
    is_rotated(&cluster).await;
    assert_eq!(configs(&cluster), expected(&cluster, files));

    assert!(watched.rounds > 50 && watched.processes > 1000);
    assert!(watched.found.is_empty(), "{:?}", watched.found);
    assert!(!canary.is_in(look.text.as_bytes()) && !canary.is_in(run.text.as_bytes()));
    no_secret_is_left(&cluster, &canary).await;

    let again = cluster.run(&book, &["--check"]).await;
    assert_eq!(again.status, 0, "{}", again.text);
}

/// On the controller, in journals, and in files that have no business with it.
async fn no_secret_is_left(cluster: &Cluster, canary: &Canary) {
    let own = cluster.file("new").display().to_string();
    assert_eq!(canary.below(cluster.own.path()), [own]);
    let search = "journalctl --no-pager -o cat | grep -cF -f /tmp/canary; \
                  cd / && grep -rlF -f /tmp/canary run home root var/log var/tmp var/lib/rancher etc | sort; \
                  rm /tmp/canary; ls -A /tmp | grep -vE '^(systemd-private|[.].*-unix$)'";
    let may = [
        "etc/rancher/k3s/config.yaml",
        "etc/systemd/system/k3s-agent.service.env",
        "var/lib/rancher/k3s/server/cred/passwd",
        "var/lib/rancher/k3s/server/db/etcd/member/snap/db",
        "var/lib/rancher/k3s/server/token",
    ];
    for host in cluster.hosts() {
        cluster
            .on(
                &host,
                &["sh", "-c", "umask 077; cat >/tmp/canary"],
                &canary.lines(),
            )
            .await;
        let said = cluster.on(&host, &["sh", "-c", search], "").await.stdout;
        let said = String::from_utf8(said).unwrap();
        let mut lines = said.lines();
        assert_eq!(
            lines.next(),
            Some("0"),
            "{host}: a secret is in the journal"
        );
        let wrong: Vec<&str> = lines.filter(|line| !may.contains(line)).collect();
        assert!(wrong.is_empty(), "{host}: {wrong:?}");
    }
}

#[tokio::test]
async fn an_agent_that_never_comes_back_fails_its_task_although_its_node_is_ready() {
    let test = "an_agent_that_never_comes_back_fails_its_task_although_its_node_is_ready";
    let Some(cluster) = Cluster::install_standin(test, LOW).await else {
        return;
    };
    cluster.tune("h3", "STANDIN_START_MS=900000").await;
    let before = cluster.digest().await.remove("h4 units");
    let run = cluster.run(&cluster.book(), &[]).await;
    let nodes = cluster.nodes().await;
    assert_eq!(run.status, 4, "{}", run.text);
    let ready = nodes.lines().find(|line| line.starts_with("h3 ")).unwrap();
    assert!(ready.contains(" Ready "), "{nodes}");
    has_next_step(&run, "h3");
    let units = cluster.digest().await.remove("h4 units");
    assert_eq!(units, before, "h4 was restarted after the failure");
    assert!(run.text.contains("skipped"), "{}", run.text);
}

#[tokio::test]
async fn an_agent_that_dies_in_settle_closes_the_gate() {
    let test = "an_agent_that_dies_in_settle_closes_the_gate";
    let Some(cluster) = Cluster::install_standin(test, LOW).await else {
        return;
    };
    cluster.tune("h3", "STANDIN_DIES_MS=3000").await;
    let run = cluster.run(&cluster.book(), &[]).await;
    assert_eq!(run.status, 5, "{}", run.text);
    has_next_step(&run, "h3");
}

/// The end names the host, and the command that goes on.
fn has_next_step(run: &Ended, host: &str) {
    let next = run
        .text
        .lines()
        .filter(|line| line.trim_start().starts_with("next:"));
    assert!(next.count() > 0, "{}", run.text);
    assert!(run.text.contains(host), "{}", run.text);
}

#[tokio::test]
async fn a_killed_keyroll_is_run_again_and_ends_proven() {
    let test = "a_killed_keyroll_is_run_again_and_ends_proven";
    let Some(cluster) = Cluster::install(test, LOW).await else {
        return;
    };
    let book = cluster.book();
    let mut keyroll = cluster.keyroll(&book, &[]).spawn().unwrap();
    let mut lines = BufReader::new(keyroll.stdout.take().unwrap()).lines();
    let reached = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.starts_with("Agents restart in batches (2 of") {
                return true;
            }
        }
        false
    };
    let reached = tokio::time::timeout(Duration::from_mins(4), reached).await;
    assert!(reached.unwrap(), "the agents' play was not reached");
    // Into the middle of a restart.
    tokio::time::sleep(Duration::from_millis(700)).await;
    keyroll.kill().await.unwrap();
    let run = cluster.run(&book, &[]).await;
    assert_eq!(run.status, 0, "{}", run.text);
    is_rotated(&cluster).await;
    let configs = configs(&cluster);
    assert!(
        configs
            .values()
            .all(|(text, _, _)| !text.contains(&cluster.old))
    );
}

#[tokio::test]
async fn hosts_that_refuse_are_down_or_unknown_end_with_7_and_a_hint() {
    let test = "hosts_that_refuse_are_down_or_unknown_end_with_7_and_a_hint";
    let size = Size {
        servers: 1,
        agents: 1,
    };
    let Some(cluster) = Cluster::install(test, size).await else {
        return;
    };
    let before = cluster.digest().await;
    std::fs::write(cluster.file("wrong"), "wrong\n").unwrap();
    let wrong = cluster.file("wrong").display().to_string();
    let inventory = std::fs::read_to_string(cluster.file("lab.yml")).unwrap();
    std::fs::write(
        cluster.file("lab.yml"),
        inventory.replace("ansible_user: ops", "ansible_user: asker"),
    )
    .unwrap();
    let run = cluster
        .run("@rotate-token", &["--become-password-file", &wrong])
        .await;
    assert_eq!(run.status, 7, "{}", run.text);
    assert!(run.text.contains("password is wrong"), "{}", run.text);
    std::fs::write(cluster.file("lab.yml"), inventory).unwrap();

    let config = std::fs::read_to_string(cluster.lab_file("ssh_config")).unwrap();
    let known = cluster.lab_file("known_hosts").display().to_string();
    let strange = cluster.file("strange").display().to_string();
    std::fs::write(cluster.file("ssh_config"), config.replace(&known, &strange)).unwrap();
    let path = cluster.file("ssh_config").display().to_string();
    let run = cluster.run("@rotate-token", &["-F", &path]).await;
    assert_eq!(run.status, 7, "{}", run.text);
    assert!(run.text.contains("host key"), "{}", run.text);
    assert_eq!(cluster.digest().await, before);

    cluster.lab(&["kill", "h2"]).await;
    let run = cluster.run("@rotate-token", &[]).await;
    cluster.lab(&["start", "h2"]).await;
    assert_eq!(run.status, 7, "{}", run.text);
    assert!(run.text.contains("h2 cannot be reached"), "{}", run.text);
}
