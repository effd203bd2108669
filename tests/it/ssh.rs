//! The transport over a real sshd on loopback, which runs as the current user.

use std::time::Duration;

use futures::future::join_all;
use keyroll::facts::{Digest, Fact as _, Piece, Replaceable};
use keyroll::transport::script::{Nonce, render};
use keyroll::transport::ssh::SshTransport;
use keyroll::wire::{
    Become, Change, Command, Guard, Holds, Query, Request, Response, Transport, TransportError,
};

use sha2::{Digest as _, Sha256};

use crate::ssh_rig::{Sshd, batch, bytes, change, host, only, query, run, sh, text};

macro_rules! sshd {
    ($test:literal) => {
        sshd!($test, "")
    };
    ($test:literal, $more:expr) => {
        match Sshd::start($test, $more).await {
            Some(sshd) => sshd,
            None => return,
        }
    };
}

#[tokio::test]
async fn two_megabytes_go_in_and_three_come_out() {
    let sshd = sshd!("two_megabytes_go_in_and_three_come_out");
    let transport = sshd.transport();
    let into = bytes(2 << 20);
    let ran = run(&transport, Command::new(["cat"]).stdin(into.clone()))
        .await
        .unwrap();
    assert_eq!((ran.status, ran.stdout), (0, into));
    let out = run(&transport, sh("yes | head -c 3145728; echo >&2"))
        .await
        .unwrap();
    assert_eq!(
        (out.stdout.bytes().len(), out.stderr.bytes()),
        (3 << 20, &b"\n"[..])
    );
    transport.close().await;
}

#[tokio::test]
async fn a_long_file_comes_over_in_pieces_with_its_digest() {
    let sshd = sshd!("a_long_file_comes_over_in_pieces_with_its_digest");
    let transport = sshd.transport();
    let path = camino::Utf8PathBuf::try_from(sshd.path("long")).unwrap();
    let whole = bytes((5 << 20) + 17);
    std::fs::write(&path, whole.bytes()).unwrap();
    let ask = async |queries: Vec<Query>| {
        let all = queries.into_iter().map(Request::Query).collect();
        transport.exec(&host(), &batch(all)).await.unwrap()
    };
    let (mut came, size) = (Vec::new(), 2 << 20);
    for at in 0.. {
        let piece = Piece {
            path: path.clone(),
            size,
            at,
        };
        let next = piece.parse(&ask(piece.queries()).await).unwrap();
        if next.bytes().is_empty() {
            assert_eq!(at, 3);
            break;
        }
        came.extend_from_slice(next.bytes());
    }
    assert!(came == whole.bytes(), "{} bytes came", came.len());
    let digest = Digest(path.clone());
    let said = digest.parse(&ask(digest.queries()).await).unwrap();
    assert_eq!(said, format!("{:x}", Sha256::digest(whole.bytes())));
    let gone = Digest(path.with_extension("gone"));
    let error = gone.parse(&ask(gone.queries()).await).unwrap_err();
    assert!(error.to_string().contains("No such file"), "{error}");
    transport.close().await;
}

#[tokio::test]
async fn nuls_and_a_missing_final_newline_are_kept() {
    let sshd = sshd!("nuls_and_a_missing_final_newline_are_kept");
    let transport = sshd.transport();
    let ran = run(&transport, sh(r"printf 'a\0b'; printf '\0' >&2; exit 9"))
        .await
        .unwrap();
    assert_eq!(
        (ran.status, ran.stdout.bytes(), ran.stderr.bytes()),
        (9, &b"a\0b"[..], &b"\0"[..])
    );
    transport.close().await;
}

#[tokio::test]
async fn files_are_written_looked_at_and_removed() {
    let sshd = sshd!("files_are_written_looked_at_and_removed");
    let transport = sshd.transport();
    let path = camino::Utf8PathBuf::try_from(sshd.path("written")).unwrap();
    let file = keyroll::wire::WriteFile {
        path: path.clone(),
        content: bytes(1000),
        mode: 0o600,
        owner: keyroll::wire::Owner::Runner,
        make_parent: false,
    };
    let all = batch(vec![
        Request::Change(Change::WriteFile(file)),
        Request::Query(Query::read(path.clone())),
        Request::Change(Change::Remove { path: path.clone() }),
        Request::Query(Query::stat(path)),
    ]);
    let answers = transport.exec(&host(), &all).await.unwrap();
    let expected = [
        Response::Done,
        Response::Content(Some(bytes(1000))),
        Response::Done,
        Response::Stat(None),
    ];
    assert_eq!(answers, expected);
    transport.close().await;
}

#[tokio::test]
async fn a_file_that_was_changed_since_it_was_read_is_not_replaced() {
    let sshd = sshd!("a_file_that_was_changed_since_it_was_read_is_not_replaced");
    let transport = sshd.transport();
    let path = camino::Utf8PathBuf::try_from(sshd.path("config")).unwrap();
    std::fs::write(&path, "changed by somebody").unwrap();
    let write = |expected: &str| {
        let guard = Guard {
            path: path.clone(),
            holds: Holds::Bytes(expected.into()),
        };
        let file = keyroll::wire::WriteFile {
            path: path.clone(),
            content: "new".into(),
            mode: 0o600,
            owner: keyroll::wire::Owner::Like(path.clone()),
            make_parent: false,
        };
        batch(vec![
            Request::Guard(guard),
            Request::Change(Change::WriteFile(file)),
        ])
    };
    let answers = transport.exec(&host(), &write("as read")).await.unwrap();
    assert!(
        matches!(answers.as_slice(), [Response::Moved(what)] if what.contains("was changed")),
        "{answers:?}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), b"changed by somebody");
    let answers = transport
        .exec(&host(), &write("changed by somebody"))
        .await
        .unwrap();
    assert_eq!(answers, [Response::Done, Response::Done]);
    assert_eq!(std::fs::read(&path).unwrap(), b"new");
    transport.close().await;
}

#[tokio::test]
async fn an_immutable_file_is_found_without_trying_to_change_it() {
    let test = "an_immutable_file_is_found_without_trying_to_change_it";
    let sshd = sshd!("an_immutable_file_is_found_without_trying_to_change_it");
    let path = camino::Utf8PathBuf::try_from(sshd.path("config")).unwrap();
    std::fs::write(&path, "old").unwrap();
    let chattr = |flag: &str| {
        assert_cmd::Command::new("chattr")
            .args([flag, path.as_str()])
            .ok()
    };
    if let Err(why) = chattr("+i") {
        return crate::ssh_rig::cannot(test, &format!("chattr +i needs root: {why}"));
    }
    let transport = sshd.transport();
    let fact = Replaceable([path.clone()].into());
    let queries = fact.queries().into_iter().map(Request::Query).collect();
    let answers = transport.exec(&host(), &batch(queries)).await.unwrap();
    chattr("-i").unwrap();
    let found = fact.parse(&answers).unwrap();
    assert_eq!(
        found
            .iter()
            .map(|o| (o.path.as_str(), o.what))
            .collect::<Vec<_>>(),
        [(path.as_str(), "immutable")]
    );
    transport.close().await;
}

#[tokio::test]
async fn a_script_that_was_cut_on_its_way_has_run_nothing() {
    let sshd = sshd!("a_script_that_was_cut_on_its_way_has_run_nothing");
    let mark = sshd.path("mark");
    let touch = batch(vec![change(Command::new([
        "touch",
        mark.to_str().unwrap(),
    ]))]);
    let text = render(&touch, &Nonce::from_bytes([7; 16]), None).text;
    for cut in [
        1,
        text.len() / 2,
        text.len() - 40,
        text.len() - 2,
        text.len() - 1,
    ] {
        sshd.feed(&text[..cut]).await;
        assert!(!mark.exists(), "cut at {cut} of {}", text.len());
    }
    sshd.feed(&text).await;
    assert!(mark.exists());
}

#[tokio::test]
async fn a_killed_shell_is_unknown_with_the_answers_before_it() {
    let sshd = sshd!("a_killed_shell_is_unknown_with_the_answers_before_it");
    let transport = sshd.transport();
    let kill = sh("kill -9 $(cut -d' ' -f4 /proc/$PPID/stat)");
    let error = transport
        .exec(&host(), &batch(vec![query(sh("echo one")), change(kill)]))
        .await;
    let Err(TransportError::Unknown { done, .. }) = error else {
        panic!("{error:?}");
    };
    assert_eq!(text(&only(done)), "one\n");
    transport.close().await;
}

#[tokio::test]
async fn a_command_that_never_ends_is_ended_on_the_host() {
    let sshd = sshd!("a_command_that_never_ends_is_ended_on_the_host");
    let transport = sshd.transport();
    let marker = format!("86400.{}", sshd.port);
    let endless = Command::new(["sleep", &marker]).within(Duration::from_secs(1));
    let ran = run(&transport, endless).await.unwrap();
    assert!(ran.timed_out);
    assert_eq!(Sshd::pids(&marker), Vec::<u32>::new());
    transport.close().await;
}

#[tokio::test]
async fn twenty_batches_at_once_share_one_connection() {
    let sshd = sshd!("twenty_batches_at_once_share_one_connection");
    let transport = sshd.transport();
    let say = |number: u32| run(&transport, sh("echo $PPID; sleep 0.2")).map_number(number);
    let answers = join_all((0..20).map(say)).await;
    assert!(
        answers
            .iter()
            .all(|(_, ran)| ran.as_ref().is_ok_and(|ran| ran.status == 0)),
        "{answers:?}"
    );
    let log = std::fs::read_to_string(sshd.path("sshd.log")).unwrap();
    assert_eq!(log.matches("Accepted publickey").count(), 1);
    transport.close().await;
}

trait MapNumber: Future + Sized {
    async fn map_number(self, number: u32) -> (u32, Self::Output) {
        (number, self.await)
    }
}
impl<F: Future> MapNumber for F {}

#[tokio::test]
async fn sessions_that_the_server_refuses_are_asked_for_again() {
    let sshd = sshd!(
        "sessions_that_the_server_refuses_are_asked_for_again",
        "MaxSessions 3"
    );
    let transport = sshd.transport();
    let answers = join_all((0..8).map(|_| run(&transport, sh("sleep 0.1")))).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    transport.close().await;
}

#[tokio::test]
async fn a_connect_that_the_server_drops_is_tried_again() {
    let sshd = sshd!(
        "a_connect_that_the_server_drops_is_tried_again",
        "MaxStartups 2:100:3"
    );
    let hosts: Vec<_> = (0..6)
        .map(|n| keyroll::model::HostName::new(&format!("box{n}")).unwrap())
        .collect();
    let transport = SshTransport::new(
        hosts.iter().map(|host| (host.clone(), sshd.connect())),
        sshd.options(),
    )
    .unwrap();
    let one = batch(vec![query(sh("true"))]);
    let answers = join_all(hosts.iter().map(|host| transport.exec(host, &one))).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let log = std::fs::read_to_string(sshd.path("sshd.log")).unwrap();
    assert!(log.contains("MaxStartups"), "{log}");
    transport.close().await;
}

#[tokio::test]
async fn unknown_and_changed_host_keys_are_refused_and_told_apart() {
    let sshd = sshd!("unknown_and_changed_host_keys_are_refused_and_told_apart");
    std::fs::write(sshd.path("known"), "").unwrap();
    let unknown = run(&sshd.transport(), sh("true")).await.unwrap_err();
    assert!(
        matches!(&unknown, TransportError::Unreachable { why, .. } if why.contains("is not known")),
        "{unknown}"
    );
    assert!(unknown.hint().unwrap().contains("fingerprint"));
    sshd.know("stranger.pub");
    let changed = run(&sshd.transport(), sh("true")).await.unwrap_err();
    assert!(
        matches!(&changed, TransportError::Unreachable { why, .. } if why.contains("has changed")),
        "{changed}"
    );
}

#[tokio::test]
async fn settings_that_accept_unknown_host_keys_are_told() {
    let sshd = sshd!("settings_that_accept_unknown_host_keys_are_told");
    assert_eq!(sshd.transport().lax_host_keys().await, []);
    let mut connect = sshd.connect();
    connect
        .args
        .extend(["-o", "StrictHostKeyChecking=no"].map(String::from));
    let lax = SshTransport::new([(host(), connect)], sshd.options()).unwrap();
    assert_eq!(lax.lax_host_keys().await, [(host(), "no")]);
}

#[tokio::test]
async fn a_refused_key_is_denied() {
    let sshd = sshd!("a_refused_key_is_denied");
    let mut connect = sshd.connect();
    connect.private_key = Some(sshd.path("stranger").display().to_string());
    let transport = SshTransport::new([(host(), connect)], sshd.options()).unwrap();
    let error = run(&transport, sh("true")).await.unwrap_err();
    assert!(
        matches!(&error, TransportError::Denied { why, .. } if why.contains("ermission denied")),
        "{error}"
    );
}

#[tokio::test]
async fn a_refused_port_an_unknown_name_and_a_bad_config_are_unreachable() {
    let sshd = sshd!("a_refused_port_an_unknown_name_and_a_bad_config_are_unreachable");
    let mut closed = sshd.connect();
    closed.port = Some(1);
    let mut nameless = sshd.connect();
    nameless.address = Some("no-such-host.invalid".to_owned());
    let mut bad = sshd.connect();
    bad.args = vec!["-o".to_owned(), "NoSuchThing=1".to_owned()];
    for (connect, expected) in [(closed, "refused"), (nameless, "name"), (bad, "ssh_config")] {
        let transport = SshTransport::new([(host(), connect)], sshd.options()).unwrap();
        let error = run(&transport, sh("true")).await.unwrap_err();
        assert!(
            matches!(&error, TransportError::Unreachable { why, .. } if why.contains(expected)),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_host_that_accepts_and_says_nothing_is_given_up() {
    let sshd = sshd!("a_host_that_accepts_and_says_nothing_is_given_up");
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut connect = sshd.connect();
    connect.port = Some(silent.local_addr().unwrap().port());
    let mut options = sshd.options();
    options.connect_timeout = Duration::from_secs(1);
    let transport = SshTransport::new([(host(), connect)], options).unwrap();
    let error = run(&transport, sh("true")).await.unwrap_err();
    assert!(
        matches!(&error, TransportError::Unreachable { why, .. } if why.contains("timed out")),
        "{error}"
    );
}

#[tokio::test]
async fn a_socket_that_nobody_answers_is_replaced() {
    let sshd = sshd!("a_socket_that_nobody_answers_is_replaced");
    let transport = sshd.transport();
    run(&transport, sh("true")).await.unwrap();
    kill_master(&sshd);
    std::fs::remove_file(socket(&sshd)).ok();
    drop(std::os::unix::net::UnixListener::bind(socket(&sshd)).unwrap());
    assert!(socket(&sshd).exists());
    let ran = run(&sshd.transport(), sh("echo on")).await.unwrap();
    assert_eq!(text(&ran), "on\n");
    transport.close().await;
    kill_master(&sshd);
}

#[tokio::test]
async fn a_master_that_died_is_replaced_for_the_next_batch() {
    let sshd = sshd!("a_master_that_died_is_replaced_for_the_next_batch");
    let transport = sshd.transport();
    run(&transport, sh("true")).await.unwrap();
    kill_master(&sshd);
    assert_eq!(text(&run(&transport, sh("echo on")).await.unwrap()), "on\n");
    transport.close().await;
    assert!(!socket(&sshd).exists());
}

#[tokio::test]
async fn a_master_that_dies_during_a_batch_makes_it_unknown() {
    let sshd = sshd!("a_master_that_dies_during_a_batch_makes_it_unknown");
    let transport = sshd.transport();
    let mark = sshd.path("mark");
    let wait = sh(&format!("touch {}; sleep 30", mark.display()));
    let work = run(&transport, wait);
    let cut = async {
        while !mark.exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        kill_master(&sshd);
    };
    let (answer, ()) = tokio::join!(work, cut);
    assert!(
        matches!(answer, Err(TransportError::Unknown { .. })),
        "{answer:?}"
    );
    transport.close().await;
}

#[tokio::test]
async fn a_next_run_uses_the_connection_that_is_there_and_leaves_it() {
    let sshd = sshd!("a_next_run_uses_the_connection_that_is_there_and_leaves_it");
    let first = sshd.transport();
    run(&first, sh("true")).await.unwrap();
    let second = sshd.transport();
    run(&second, sh("true")).await.unwrap();
    second.close().await;
    assert!(socket(&sshd).exists());
    first.close().await;
    assert!(!socket(&sshd).exists());
    let log = std::fs::read_to_string(sshd.path("sshd.log")).unwrap();
    assert_eq!(log.matches("Accepted publickey").count(), 1);
}

#[tokio::test]
async fn a_folder_for_sockets_that_others_can_enter_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let sshd = sshd!("a_folder_for_sockets_that_others_can_enter_is_refused");
    std::fs::create_dir(sshd.path("ctl")).unwrap();
    std::fs::set_permissions(sshd.path("ctl"), PermissionsExt::from_mode(0o755)).unwrap();
    let refused = SshTransport::new([(host(), sshd.connect())], sshd.options());
    assert!(
        refused
            .err()
            .unwrap()
            .to_string()
            .contains("only you can enter")
    );
}

#[tokio::test]
async fn root_needs_no_sudo_and_others_without_one_are_denied() {
    let sshd = sshd!("root_needs_no_sudo_and_others_without_one_are_denied");
    let transport = sshd.transport();
    let mut as_root = batch(vec![query(sh("id -u"))]);
    as_root.r#become = Become::Root;
    match transport.exec(&host(), &as_root).await {
        Ok(answers) => assert_eq!(text(&only(answers)), "0\n"),
        Err(error) => assert!(matches!(error, TransportError::Denied { .. }), "{error}"),
    }
    transport.close().await;
}

fn socket(sshd: &Sshd) -> std::path::PathBuf {
    std::fs::read_dir(sshd.path("ctl"))
        .unwrap()
        .next()
        .map_or_else(
            || sshd.path("ctl").join("none"),
            |entry| entry.unwrap().path(),
        )
}

/// Kills the master of this sshd alone: its command line holds the path of our own folder.
fn kill_master(sshd: &Sshd) {
    for pid in Sshd::pids(sshd.path("ctl").to_str().unwrap()) {
        let killed = assert_cmd::Command::new("kill")
            .args(["-9", &pid.to_string()])
            .ok();
        assert!(killed.is_ok() || Sshd::pids(sshd.path("ctl").to_str().unwrap()).is_empty());
    }
}
