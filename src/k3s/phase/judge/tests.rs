use super::*;
use crate::k3s::phase::held::tests::{phases, secret};
use crate::k3s::phase::{Memory, Proven};
use crate::k3s::token;
use crate::model::{HostTime, RunId};
use proptest::prelude::*;

pub(super) const O: &str = "old-secret";
pub(super) const N: &str = "5e1f0c94b7a2d8630f9be4172c6da835";

/// surface, memory, disk (with passwd), kept, staged
pub(super) fn view(name: &str, [surface, memory, disk, kept, staged]: [&str; 5]) -> ServerView {
    ServerView {
        host: HostName::new(name).unwrap(),
        surface: secret(surface),
        on_disk: secret(disk),
        passwd: secret(disk),
        memory: secret(memory).map_or(Memory::Silent("down".to_owned()), Memory::Holds),
        kept: secret(kept),
        staged: secret(staged),
        aside: None,
        proven: None,
        is_starting: false,
        started: Some(HostTime(0)),
        put: None,
        written: None,
        told: None,
        denied: None,
    }
}

pub(super) fn stand(servers: &[ServerView], given: &str) -> Result<Standing, Torn> {
    let given = secret(given);
    let wish = Wish {
        given: given.as_ref(),
        generated: &Secret::new("generated"),
        run: &RunId("now".to_owned()),
        proof_only: false,
    };
    judge(servers, wish)
}

/// As `stand`, where nothing is to be rotated.
fn stand_to_prove(servers: &[ServerView]) -> Result<Standing, Torn> {
    let wish = Wish {
        given: None,
        generated: &Secret::new("generated"),
        run: &RunId("now".to_owned()),
        proof_only: true,
    };
    judge(servers, wish)
}

#[test]
fn an_untouched_cluster_rotates_to_the_given_or_generated_token() {
    let servers = [view("a", [O, O, O, "", ""]), view("b", [O, O, O, "", ""])];
    assert_eq!(stand(&servers, "").unwrap().new, Secret::new("generated"));
    let standing = stand(&servers, N).unwrap();
    assert_eq!(
        (
            standing.old,
            standing.new.expose(),
            phases(&stand(&servers, N).unwrap())
        ),
        (secret(O), N, vec![Phase::Old; 2])
    );
}

#[test]
fn a_cluster_that_has_the_given_token_has_nothing_to_do() {
    let standing = stand(&[view("a", [N, N, N, "", ""])], N).unwrap();
    assert_eq!(
        (
            standing.old.clone(),
            standing.is_rotated(),
            phases(&standing)
        ),
        (None, true, vec![Phase::New])
    );
}

#[test]
fn a_staged_token_is_taken_up_unless_another_was_given() {
    let servers = [view("a", [O, O, O, O, N]), view("b", [O, O, O, O, ""])];
    assert_eq!(stand(&servers, "").unwrap().new.expose(), N);
    assert_eq!(
        phases(&stand(&servers, "").unwrap()),
        [Phase::Staged, Phase::Old]
    );
    assert_eq!(stand(&servers, "third").unwrap().new.expose(), "third");
}

#[test]
fn after_the_rotate_new_is_what_the_rotator_wrote_whatever_was_given() {
    let servers = [view("a", [O, O, N, O, N]), view("b", [O, O, O, O, N])];
    let standing = stand(&servers, "third").unwrap();
    assert_eq!(
        (
            standing.new.expose(),
            standing.given_passed_over,
            standing.rotator.unwrap().as_str()
        ),
        (N, true, "a")
    );
    assert_eq!(
        standing.phases.iter().map(|p| p.1).collect::<Vec<_>>(),
        [Phase::Rotated, Phase::Rotated]
    );
}

#[test]
fn a_rotation_begun_by_hand_is_understood_without_any_mark_of_ours() {
    let standing = stand(
        &[view("a", [O, O, O, "", ""]), view("b", [O, O, N, "", ""])],
        "",
    )
    .unwrap();
    assert_eq!(
        (
            standing.old,
            standing.new.expose(),
            standing.rotator.unwrap().as_str()
        ),
        (secret(O), N, "b")
    );
}

#[test]
fn in_the_middle_of_the_restarts_each_server_has_its_own_phase() {
    let servers = [
        view("a", [N, N, N, O, ""]),
        view("b", [N, O, O, O, ""]),
        view("c", [O, O, O, O, N]),
        view("d", [O, N, N, O, ""]),
    ];
    let standing = stand(&servers, "").unwrap();
    assert_eq!(
        phases(&standing),
        [Phase::New, Phase::Flipped, Phase::Rotated, Phase::Reverted]
    );
    assert_eq!(standing.new.expose(), N);
}

#[test]
fn while_agents_are_left_the_rotation_is_not_overtaken() {
    let standing = stand(&[view("a", [N, N, N, O, ""])], "third").unwrap();
    assert_eq!(
        (
            standing.old,
            standing.new.expose(),
            standing.given_passed_over
        ),
        (secret(O), N, true)
    );
}

#[test]
fn ahead_is_continued_only_when_somebody_vouches_for_it() {
    let ahead = [view("a", [N, O, O, "", ""]), view("b", [O, O, O, "", ""])];
    assert_eq!(stand(&ahead, "").unwrap_err().name, "surface-differs");
    assert_eq!(
        phases(&stand(&ahead, N).unwrap()),
        [Phase::Ahead, Phase::Old]
    );
    let cut = [view("a", [N, O, O, O, ""]), view("b", [O, O, O, O, N])];
    assert_eq!(
        phases(&stand(&cut, "").unwrap()),
        [Phase::Ahead, Phase::Staged]
    );
}

#[test]
fn a_server_without_a_configured_token_is_flipped_by_its_own_file() {
    let mut servers = [view("a", [N, O, N, O, ""]), view("b", [N, O, N, O, ""])];
    servers[1].passwd = secret(O);
    let standing = stand(&servers, "").unwrap();
    assert_eq!(
        (phases(&standing), standing.rotator.unwrap().as_str()),
        (vec![Phase::Flipped; 2], "a")
    );
}

#[test]
fn a_rotation_that_this_run_has_proven_is_not_followed_by_another() {
    let mut servers = [view("a", [N, N, N, "", ""])];
    let proof = |run: &str| {
        Some(Proven {
            run: RunId(run.to_owned()),
            tag: token::tag(&Secret::new(N)),
            pairing: None,
        })
    };
    servers[0].proven = proof("now");
    assert_eq!(stand(&servers, "").unwrap().new.expose(), N);
    servers[0].proven = proof("before");
    assert_eq!(stand(&servers, "").unwrap().new.expose(), "generated");
}

#[test]
fn contradictions_are_refused_by_name() {
    let cases = [
        (
            vec![view("a", [O, O, N, "", ""]), view("b", [O, O, "x", "", ""])],
            "two-rotations",
        ),
        (
            vec![view("a", [O, O, O, O, ""]), view("b", [O, O, O, "x", ""])],
            "two-old-tokens",
        ),
        (vec![view("a", [O, "", O, "", ""])], "no-server-answers"),
        (vec![view("a", ["x", O, N, "", ""])], "foreign-surface"),
        (
            vec![view("a", [O, O, "abcdef.0123456789abcdef", "", ""])],
            "rotated-to-unfit",
        ),
        (
            vec![
                view("a", [O, O, O, "", ""]),
                view("b", [N, N, N, "", ""]),
                view("c", ["x", "x", "x", "", ""]),
            ],
            "memories-differ",
        ),
    ];
    for (servers, name) in cases {
        assert_eq!(stand(&servers, "").unwrap_err().name, name);
    }
}

#[test]
fn what_waits_is_new_only_beside_the_old_one_that_was_kept_and_where_it_may_be_one() {
    let stray = [view("a", [O, O, O, "", N]), view("b", [O, O, O, "", ""])];
    assert_eq!(stand(&stray, "").unwrap().new.expose(), "generated");
    let bootstrap = "abcdef.0123456789abcdef";
    let unfit = [view("a", [O, O, O, O, bootstrap])];
    assert_eq!(stand(&unfit, "").unwrap().new.expose(), "generated");
}

#[test]
fn one_silent_server_does_not_hide_the_others() {
    let standing = stand(
        &[view("a", [N, N, N, O, ""]), view("b", [N, "", O, O, ""])],
        "",
    )
    .unwrap();
    assert_eq!(phases(&standing), [Phase::New, Phase::Silent]);
}

proptest! {
    #[test]
    fn no_fleet_makes_it_panic_and_no_restart_is_ever_right_unless_the_surface_is_the_datastores(
        cells in proptest::collection::vec((0..4_usize, 0..4_usize, 0..4_usize, 0..4_usize, 0..4_usize, 0..90_i64), 1..5),
        given in 0..4_usize,
    ) {
        let words = ["", O, N, "x"];
        let servers: Vec<ServerView> = cells.iter().enumerate().map(|(i, c)| {
            let mut server = view(&format!("s{i}"), [words[c.0], words[c.1], words[c.2], words[c.3], words[c.4]]);
            server.started = Some(HostTime(c.5 * 1_000_000));
            server
        }).collect();
        if let Ok(standing) = stand(&servers, words[given]) {
            for (server, (_, phase)) in servers.iter().zip(&standing.phases) {
                if matches!(phase, Phase::Flipped | Phase::New) {
                    prop_assert_eq!(server.surface.as_ref(), Some(&standing.new));
                }
                if *phase == Phase::Flipped {
                    prop_assert_eq!(&standing.datastore, &standing.new);
                }
            }
            prop_assert!(standing.old.as_ref() != Some(&standing.new));
        }
    }
}

#[test]
fn where_nothing_is_to_be_rotated_the_datastores_token_is_the_new_one() {
    let calm = [view("s1", [N, N, N, "", ""]), view("s2", [N, N, N, "", ""])];
    let standing = stand_to_prove(&calm).unwrap();
    assert_eq!((standing.old, standing.new), (None, Secret::new(N)));
    assert_eq!(standing.phases.first().unwrap().1, Phase::New);
    // A rotation that was done and not forgotten keeps its own OLD.
    let done = [view("s1", [N, N, N, O, ""]), view("s2", [N, N, N, O, ""])];
    let standing = stand_to_prove(&done).unwrap();
    assert_eq!((standing.old, standing.new), (secret(O), Secret::new(N)));
    // One that was begun and not done is not over.
    let begun = [view("s1", [O, O, O, O, N]), view("s2", [O, O, O, O, N])];
    let standing = stand_to_prove(&begun).unwrap();
    assert!(!standing.is_rotated());
    // A configuration that is ahead is no token of the cluster.
    let ahead = [view("s1", [N, O, O, "", ""])];
    assert_eq!(stand_to_prove(&ahead).unwrap_err().name, "surface-differs");
}
