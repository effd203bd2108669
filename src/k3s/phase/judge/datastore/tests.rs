use super::super::tests::{N, O, stand, view};
use super::*;
use crate::k3s::phase::Phase;
use crate::k3s::phase::held::tests::{phases, secret};

#[test]
fn without_a_mark_the_later_start_tells_the_datastore() {
    let mut servers = [view("a", [N, N, N, "", ""]), view("b", [O, O, O, "", ""])];
    assert_eq!(stand(&servers, "").unwrap_err().name, "memories-differ");
    servers[0].started = Some(HostTime(60_000_000));
    assert_eq!(stand(&servers, "").unwrap().new.expose(), N);
}

/// A server that reboots between the flip and a roll back comes up with NEW, and the datastore has OLD again.
#[test]
fn a_rotate_that_was_taken_back_beside_a_server_with_new_is_not_gone_on_with() {
    let mut servers = [
        view("a", [O, O, O, O, ""]),
        view("b", [O, O, O, O, ""]),
        view("c", [O, N, N, O, ""]),
    ];
    servers[2].started = Some(HostTime(60_000_000));
    for (put, name) in [(75, "taken-back-beside"), (55, "taken-back-beside")] {
        servers[0].put = Some(HostTime(put * 1_000_000));
        let torn = stand(&servers, "").unwrap_err();
        assert_eq!(torn.name, name);
        assert!(torn.what.contains("while c had started"), "{}", torn.what);
    }
    // A rotate to OLD long before that start has nothing to do with it.
    servers[0].put = Some(HostTime(40_000_000));
    assert_eq!(stand(&servers, "").unwrap().datastore.expose(), N);
}

#[test]
fn what_a_stopped_servers_files_tell_of_is_over_where_it_was_rotated_onwards() {
    let servers = [
        view("a", ["x", N, "x", O, ""]),
        view("b", ["x", "", N, O, ""]),
    ];
    let standing = stand(&servers, "").unwrap();
    assert_eq!(standing.datastore.expose(), "x");
    assert_eq!(standing.rotator.unwrap().as_str(), "a");
}

#[test]
fn a_rotator_that_is_away_still_tells_what_it_did() {
    let servers = [
        view("a", [N, "", N, O, ""]),
        view("b", [N, O, O, O, ""]),
        view("c", [O, O, O, O, N]),
    ];
    let standing = stand(&servers, "").unwrap();
    assert_eq!(
        phases(&standing),
        [Phase::Silent, Phase::Flipped, Phase::Rotated]
    );
    assert_eq!(standing.rotator.unwrap().as_str(), "a");
}

/// Of two rotates the server is asked first that is down.
#[test]
fn two_rotations_name_a_server_that_is_down_before_one_that_runs() {
    let other = "0c94b7a2d8630f9be4172c6da8355e1f";
    let mut servers = [
        view("a", [O, O, N, O, ""]),
        view("b", [O, O, other, O, ""]),
        view("c", [O, O, O, O, ""]),
    ];
    for server in &mut servers {
        server.put = (server.on_disk != secret(O)).then_some(HostTime(9));
    }
    let next = |servers: &[ServerView]| {
        let torn = stand(servers, "").unwrap_err();
        assert_eq!(torn.name, TWO);
        torn.next
    };
    assert!(next(&servers).contains("keyroll rescue a "));
    servers[1].memory = Memory::Silent("down".to_owned());
    assert!(next(&servers).contains("keyroll rescue b "));
    let mut servers = servers.map(|server| ServerView {
        memory: Memory::Holds(Secret::new(O)),
        ..server
    });
    servers[2].memory = Memory::Silent("down".to_owned());
    assert!(next(&servers).contains("keyroll rescue c "));
}

/// A server without a configured token is flipped by its own file, which is no rotate that came after the answer.
#[test]
fn the_datastores_answer_counts_beside_servers_that_were_flipped_by_their_own_file() {
    let third = "0c94b7a2d8630f9be4172c6da8355e1f";
    let rotator = ServerView {
        put: Some(HostTime(9)),
        told: Some(HostTime(10)),
        ..view("a", [third, O, third, O, ""])
    };
    let flipped = ServerView {
        passwd: secret(O),
        ..view("b", [N, O, N, O, ""])
    };
    let down = ServerView {
        written: Some(HostTime(8)),
        ..view("c", [N, "", N, O, ""])
    };
    let servers = [rotator, flipped, down].map(|server| ServerView {
        surface: None,
        ..server
    });
    let standing = stand(&servers, "").unwrap();
    assert_eq!(standing.datastore, Secret::new(third));
}

#[test]
fn a_server_that_is_being_started_is_waited_for_before_it_is_rescued() {
    let mut servers = vec![view("a", [O, "", O, "", ""]), view("b", [O, "", O, "", ""])];
    let next = |servers: &[ServerView]| stand(servers, "").unwrap_err().next;
    assert!(next(&servers).contains("keyroll rescue a "));
    servers[1].is_starting = true;
    assert!(next(&servers).contains("wait until b is up"));
}

/// As when somebody rotates by hand to a third token while servers take the second one.
#[test]
fn of_three_tokens_the_last_to_be_started_with_is_the_datastores() {
    const M: &str = "0c4d5e6f708192a3b4c5d6e7f8091a2b";
    let mut servers = [
        view("a", [M, M, M, O, ""]),
        view("b", [M, N, N, O, ""]),
        view("c", [M, O, O, O, ""]),
    ];
    assert_eq!(stand(&servers, "").unwrap_err().name, "memories-differ");
    servers[0].started = Some(HostTime(60_000_000));
    let standing = stand(&servers, "").unwrap();
    assert_eq!(
        phases(&standing),
        [Phase::New, Phase::Flipped, Phase::Flipped]
    );
    assert_eq!(standing.new.expose(), M);
}

/// Seconds after the servers were started.
fn at(seconds: i64) -> HostTime {
    HostTime(seconds * 1_000_000)
}

#[test]
fn of_two_rotates_the_datastores_answer_tells_which_has_ended_well() {
    const M: &str = "0c4d5e6f708192a3b4c5d6e7f8091a2b";
    let mut servers = [
        view("a", [O, O, M, "", ""]),
        view("b", [N, N, N, "", ""]),
        view("c", [O, O, O, "", ""]),
    ];
    (servers[0].put, servers[1].started) = (Some(at(90)), Some(at(60)));
    assert_eq!(stand(&servers, "").unwrap_err().name, TWO);
    // Asked there, the datastore had not what the later one wrote.
    servers[0].denied = Some((token::tag(&Secret::new(M)), at(120)));
    assert_eq!(stand(&servers, "").unwrap().datastore.expose(), N);
    // Or it had.
    (servers[0].denied, servers[0].told) = (None, Some(at(120)));
    servers[1].surface = secret(O);
    let standing = stand(&servers, "").unwrap();
    assert_eq!(
        (
            standing.datastore.expose(),
            standing.rotator.unwrap().as_str()
        ),
        (M, "a")
    );
    // What was told before another process started with its token is of then.
    servers[1].started = Some(at(180));
    servers[0].surface = secret(N);
    assert_eq!(stand(&servers, "").unwrap().datastore.expose(), N);
}

#[test]
fn a_rotate_after_which_a_server_started_with_the_token_of_before_has_failed() {
    let mut servers = [view("a", [O, O, N, "", ""]), view("b", [O, O, O, "", ""])];
    servers[0].put = Some(at(90));
    assert!(stand(&servers, "").unwrap().is_rotated());
    servers[1].started = Some(at(105));
    assert!(!stand(&servers, "").unwrap().is_rotated());
    // Clocks of two hosts may differ by some seconds.
    servers[1].started = Some(at(95));
    assert!(stand(&servers, "").unwrap().is_rotated());
}

#[test]
fn of_the_same_rotate_on_several_servers_the_last_is_the_rotator() {
    let mut servers = [
        view("a", [O, O, N, "", ""]),
        view("b", [O, O, N, "", ""]),
        view("c", [O, O, N, "", ""]),
    ];
    for (server, put) in servers.iter_mut().zip([90, 110, 100]) {
        server.put = Some(at(put));
    }
    assert_eq!(stand(&servers, "").unwrap().rotator.unwrap().as_str(), "b");
}

#[test]
fn a_server_that_does_not_run_may_have_taken_another_rotate() {
    let servers = [
        view("a", [O, "", N, "", ""]),
        view("b", [O, O, "third", "", ""]),
        view("c", [O, O, O, "", ""]),
    ];
    let torn = stand(&servers, "").unwrap_err();
    assert_eq!(torn.name, TWO);
    assert!(torn.what.contains("b and a"), "{}", torn.what);
}

#[test]
fn old_that_a_server_has_started_with_last_is_the_clusters_again_and_that_is_said() {
    let mut servers = [view("a", [O, O, O, O, ""]), view("b", [N, N, N, O, ""])];
    servers[0].started = Some(at(60));
    let standing = stand(&servers, "").unwrap();
    assert_eq!((standing.old, standing.new), (secret(N), Secret::new(O)));
    assert!(standing.is_back);
    servers[1].started = Some(at(120));
    let standing = stand(&servers, "").unwrap();
    assert_eq!((standing.new.expose(), standing.is_back), (N, false));
}

#[test]
fn a_rotate_that_a_server_which_ran_with_it_has_followed_by_another_is_over() {
    const M: &str = "third-secret";
    let mut servers = [
        view("a", [N, O, N, "", ""]),
        view("b", [N, N, M, "", ""]),
        view("c", [N, O, O, "", ""]),
    ];
    (servers[0].put, servers[1].put) = (Some(at(30)), Some(at(90)));
    let torn = stand(&servers, "").unwrap_err();
    assert_eq!(torn.name, "foreign-surface");
    // Of the same time, or later, it may be the one that counts.
    servers[0].put = Some(at(90));
    assert_eq!(stand(&servers, "").unwrap_err().name, TWO);
}

#[test]
fn where_somebody_has_removed_passwd_its_own_file_tells_of_a_rotate() {
    let mut servers = [view("a", [O, O, N, "", ""]), view("b", [O, O, O, "", ""])];
    servers[0].passwd = None;
    let standing = stand(&servers, "").unwrap();
    assert_eq!(standing.datastore.expose(), N);
    assert_eq!(standing.rotator.unwrap().as_str(), "a");
    // With nothing configured that file is what it starts with.
    servers[0].surface = secret(N);
    assert!(!stand(&servers, "").is_ok_and(|standing| standing.is_rotated()));
}
