//! The transport on lab hosts with real systemd, sshd and sudo; faults included. `tests/lab/lab.sh` raises them.

use std::time::Duration;

use futures::future::join_all;
use keyroll::inventory::Connect;
use keyroll::model::HostName;
use keyroll::secret::Secret;
use keyroll::transport::ssh::{SshOptions, SshTransport};
use keyroll::wire::{Batch, Become, Command, Response, Transport, TransportError};

use crate::ssh_hosts::Lab;
use crate::ssh_rig::{change, only, query, sh, text};

const HOSTS: usize = 3;

/// How long a held host waits to hear of its run.
const PATIENCE: Duration = Duration::from_secs(8);

fn transport(lab: &Lab, user: &str, password: Option<&str>) -> SshTransport {
    transport_of(lab, user, password, user)
}

/// The same with connections of its own, as another workstation has.
fn transport_of(lab: &Lab, user: &str, password: Option<&str>, sockets: &str) -> SshTransport {
    let connect = Connect {
        user: Some(user.to_owned()),
        become_password: password.map(Secret::new),
        ..Connect::default()
    };
    let hosts = (1..=HOSTS).map(|number| (host(number), connect.clone()));
    let mut options = SshOptions::new(lab.sockets().join(sockets).to_str().unwrap());
    options.config = Some(lab.file("ssh_config").try_into().unwrap());
    options.connect_timeout = Duration::from_secs(4);
    options.slack = Duration::from_secs(5);
    options.patience = PATIENCE;
    SshTransport::new(hosts, options).unwrap()
}

fn password(lab: &Lab) -> String {
    std::fs::read_to_string(lab.file("keys/asker.password")).unwrap()
}
fn host(number: usize) -> HostName {
    HostName::new(&format!("h{number}")).unwrap()
}

fn as_root(command: Command) -> Batch {
    Batch {
        r#become: Become::Root,
        requests: vec![query(command)],
    }
}

async fn ask(
    transport: &SshTransport,
    number: usize,
    batch: &Batch,
) -> Result<String, TransportError> {
    Ok(text(&only(transport.exec(&host(number), batch).await?)))
}

/// One test, since all of it shares the hosts, and faults must not meet the others' work.
#[tokio::test]
async fn sudo_and_faults_on_lab_hosts() {
    let Some(lab) = Lab::raise("sudo_and_faults_on_lab_hosts", HOSTS).await else {
        return;
    };
    sudo_without_a_password(&lab).await;
    one_run_at_a_time(&lab).await;
    sudo_with_a_password(&lab).await;
    refusals_of_sudo(&lab).await;
    many_hosts_at_once(&lab).await;
    a_frozen_host(&lab).await;
    a_pulled_cable(&lab).await;
    a_power_cut(&lab).await;
    drop(lab);
}

async fn one_run_at_a_time(lab: &Lab) {
    let hosts: Vec<HostName> = (1..=HOSTS).map(host).collect();
    let (first, second) = (
        transport(lab, "ops", None),
        transport_of(lab, "ops", None, "other"),
    );
    let mut held = first.hold(hosts.iter(), "run 1").await.unwrap();
    assert_eq!(held.free, []);
    let taken = second.hold(hosts[2..].iter(), "run 2").await.err().unwrap();
    assert_eq!((taken.host, taken.by.as_str()), (host(3), "run 1"));
    // As long as it lets itself be heard.
    let keep = tokio::time::timeout(PATIENCE * 2, held.keep()).await;
    assert!(keep.is_err() && second.hold(hosts.iter(), "run 2").await.is_err());
    tokio::select! {
        never = held.keep() => match never {},
        () = refused_by_a_held_server(lab) => {}
    }
    drop(held);
    let held = second.hold(hosts.iter(), "run 2").await.unwrap();
    // A run that nobody hears of any more: its workstation has lost its power.
    assert!(first.hold(hosts.iter(), "run 3").await.is_err());
    tokio::time::sleep(PATIENCE + Duration::from_secs(2)).await;
    let newer = first.hold(hosts.iter(), "run 1").await.unwrap();
    // And wakes up beside the one that has taken its place: it may look, and change nothing.
    let touch = Batch {
        r#become: Become::Root,
        requests: vec![change(sh("touch /root/was-here"))],
    };
    let error = second.exec(&host(1), &touch).await.unwrap_err();
    assert!(
        error.to_string().contains("another works there now: run 1"),
        "{error}"
    );
    let look = as_root(sh("test -e /root/was-here || echo untouched"));
    assert_eq!(ask(&second, 1, &look).await.unwrap(), "untouched\n");
    assert!(first.exec(&host(1), &touch).await.is_ok());
    drop((held, newer));
    first.close().await;
    second.close().await;
    a_host_with_one_session(lab).await;
}

/// It is needed for the work.
async fn a_host_with_one_session(lab: &Lab) {
    let conf = "/etc/ssh/sshd_config.d/one.conf";
    let reload = "systemctl reload ssh && sleep 1 && echo done";
    let before = transport(lab, "ops", None);
    let one = sh(&format!("echo MaxSessions 1 >{conf} && {reload}"));
    assert_eq!(ask(&before, 3, &as_root(one)).await.unwrap(), "done\n");
    before.close().await;
    let strict = transport(lab, "ops", None);
    let held = strict.hold([host(3)].iter(), "run 4").await.unwrap();
    assert_eq!(
        held.free,
        [(host(3), "its sshd allows one session alone".to_owned())]
    );
    let all = sh(&format!("rm {conf} && {reload}"));
    assert_eq!(ask(&strict, 3, &as_root(all)).await.unwrap(), "done\n");
    strict.close().await;
}

/// What the operator of a second run sees.
async fn refused_by_a_held_server(lab: &Lab) {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write(
        "inventory",
        "[server]\nh1 ansible_user=ops\nh2 ansible_user=ops\n",
    );
    write(
        "book.yml",
        "- hosts: server\n  become: true\n  tasks:\n    - command: touch /root/was-here\n",
    );
    let run = |more: &str| {
        let mut keyroll = assert_cmd::Command::cargo_bin("keyroll").unwrap();
        keyroll
            .current_dir(&folder)
            .args([
                "run",
                "book.yml",
                "-i",
                "inventory",
                "--yes",
                "--state-dir",
                "state",
                "-F",
            ])
            .arg(lab.file("ssh_config"))
            .args(more.split_whitespace())
            .timeout(Duration::from_mins(1));
        tokio::task::spawn_blocking(move || keyroll.output().unwrap())
    };
    let refused = run("").await.unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(6), "{said}");
    assert!(said.contains("is held by run 1"), "{said}");
    let look = as_root(sh("test -e /root/was-here || echo untouched"));
    let found = ask(&transport(lab, "ops", None), 1, &look).await.unwrap();
    assert_eq!(found, "untouched\n");
    // A dry run changes nothing, and is in nobody's way.
    assert_ne!(run("--check").await.unwrap().status.code(), Some(6));
}

async fn sudo_without_a_password(lab: &Lab) {
    // The password is not asked for; sent all the same, it would be run as a command.
    let transport = transport(lab, "ops", Some("touch /tmp/ran-the-password"));
    let look = as_root(sh(
        "id -u; ls /tmp; command -v ip; cat /proc/self/environ | tr '\\0' '\\n' | grep -c SUDO_USER",
    ));
    assert_eq!(
        ask(&transport, 1, &look).await.unwrap(),
        "0\n/usr/sbin/ip\n1\n"
    );
    let mut other = as_root(sh("id -un; echo $HOME"));
    other.r#become = Become::User("plain".to_owned());
    assert_eq!(
        ask(&transport, 1, &other).await.unwrap(),
        "plain\n/home/plain\n"
    );
    transport.close().await;
}

async fn sudo_with_a_password(lab: &Lab) {
    let right = transport(lab, "asker", Some(&password(lab)));
    assert_eq!(ask(&right, 1, &as_root(sh("id -u"))).await.unwrap(), "0\n");
    let big = Command::new(["wc", "-c"]).stdin(crate::ssh_rig::bytes(2 << 20));
    assert_eq!(ask(&right, 1, &as_root(big)).await.unwrap(), "2097152\n");
    right.close().await;

    let wrong = transport(lab, "asker", Some("wrong"));
    let look = as_root(sh("id -u"));
    for answer in join_all((0..4).map(|_| ask(&wrong, 2, &look))).await {
        let error = answer.unwrap_err();
        assert!(
            matches!(&error, TransportError::Denied { why, .. } if why.contains("password is wrong")),
            "{error}"
        );
    }
    let ops = transport(lab, "ops", None);
    let tries = as_root(sh(
        "journalctl -q | grep -c 'authentication failure.*user=asker'",
    ));
    assert_eq!(ask(&ops, 2, &tries).await.unwrap(), "1\n");
    ops.close().await;
    let mut look = as_root(sh("id -un"));
    look.r#become = Become::Login;
    assert_eq!(ask(&wrong, 2, &look).await.unwrap(), "asker\n");
    wrong.close().await;

    let none = transport(lab, "asker", None);
    let error = ask(&none, 2, &as_root(sh("id -u"))).await.unwrap_err();
    assert!(
        matches!(&error, TransportError::Denied { hint, .. } if hint.contains("-K")),
        "{error}"
    );
    none.close().await;
}

async fn refusals_of_sudo(lab: &Lab) {
    let password = password(lab);
    for (user, password, expected) in [
        ("teller", None, "requiretty"),
        ("plain", Some(password.as_str()), "sudo"),
        ("plain", None, "password"),
    ] {
        let transport = transport(lab, user, password);
        let error = ask(&transport, 1, &as_root(sh("id -u"))).await.unwrap_err();
        assert!(
            matches!(&error, TransportError::Denied { why, .. } if why.contains(expected)),
            "{user}: {error}"
        );
        transport.close().await;
    }
}

async fn many_hosts_at_once(lab: &Lab) {
    let transport = transport(lab, "ops", None);
    let batch = as_root(sh("cat /etc/hostname"));
    let answers = join_all((0..30).map(|at| ask(&transport, at % HOSTS + 1, &batch))).await;
    for (at, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer.unwrap(), format!("h{}\n", at % HOSTS + 1));
    }
    transport.close().await;
}

async fn a_frozen_host(lab: &Lab) {
    let transport = transport(lab, "ops", None);
    ask(&transport, 3, &as_root(sh("true"))).await.unwrap();
    let slow = as_root(sh("sleep 2").within(Duration::from_secs(3)));
    let freeze = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        lab.call(&["pause", "h3"]).await;
    };
    let (answer, ()) = tokio::join!(ask(&transport, 3, &slow), freeze);
    assert!(
        matches!(answer, Err(TransportError::Unknown { .. })),
        "{answer:?}"
    );
    // The connection looks alive here, but no session opens; a new one does not come up either.
    let next = ask(&transport, 3, &as_root(sh("true"))).await;
    assert!(
        matches!(next, Err(TransportError::Unreachable { .. })),
        "{next:?}"
    );
    lab.call(&["resume", "h3"]).await;
    assert_eq!(
        ask(&transport, 3, &as_root(sh("echo on"))).await.unwrap(),
        "on\n"
    );
    transport.close().await;
}

async fn a_pulled_cable(lab: &Lab) {
    let transport = transport(lab, "ops", None);
    let slow = as_root(sh("sleep 2").within(Duration::from_secs(3)));
    let pull = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        lab.call(&["link", "h2", "down"]).await;
    };
    let (answer, ()) = tokio::join!(ask(&transport, 2, &slow), pull);
    assert!(
        matches!(answer, Err(TransportError::Unknown { .. })),
        "{answer:?}"
    );
    let next = ask(&transport, 2, &as_root(sh("true"))).await;
    assert!(
        matches!(next, Err(TransportError::Unreachable { .. })),
        "{next:?}"
    );
    lab.call(&["link", "h2", "up"]).await;
    assert_eq!(
        ask(&transport, 2, &as_root(sh("echo on"))).await.unwrap(),
        "on\n"
    );
    transport.close().await;
}

async fn a_power_cut(lab: &Lab) {
    let transport = transport(lab, "ops", None);
    let mut work = as_root(sh("echo one"));
    work.requests
        .push(change(sh("sleep 30").within(Duration::from_mins(1))));
    let cut = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        lab.call(&["kill", "h1"]).await;
    };
    let at = host(1);
    let (answer, ()) = tokio::join!(transport.exec(&at, &work), cut);
    let Err(TransportError::Unknown { done, .. }) = answer else {
        panic!("{answer:?}");
    };
    assert!(
        matches!(done.as_slice(), [Response::Ran(ran)] if text(ran) == "one\n"),
        "{done:?}"
    );
    lab.call(&["start", "h1"]).await;
    assert_eq!(
        ask(&transport, 1, &as_root(sh("echo on"))).await.unwrap(),
        "on\n"
    );
    transport.close().await;
}
