use super::*;
use crate::k3s::phase::Proven;
use crate::k3s::phase::held::tests::{phases, secret};
use crate::model::{HostName, RunId};

const S: &str = "server-secret";
const O: &str = "old-agent-secret";
const N: &str = "5e1f0c94b7a2d8630f9be4172c6da835";

/// surface, memory, kept, staged
fn view(name: &str, [surface, memory, kept, staged]: [&str; 4]) -> ServerView {
    ServerView {
        host: HostName::new(name).unwrap(),
        surface: secret(surface),
        on_disk: None,
        passwd: None,
        memory: secret(memory).map_or(Memory::Silent("down".to_owned()), Memory::Holds),
        kept: secret(kept),
        staged: secret(staged),
        aside: None,
        proven: None,
        is_starting: false,
        started: None,
        put: None,
        written: None,
        told: None,
        denied: None,
    }
}

fn stand(servers: &[ServerView], given: &str) -> Result<Standing, Torn> {
    let given = secret(given);
    let wish = Wish {
        given: given.as_ref(),
        generated: &Secret::new("generated"),
        run: &RunId("now".to_owned()),
        proof_only: false,
    };
    judge_agents(servers, &[Secret::new(S)], wish)
}

#[test]
fn each_server_counts_by_itself_from_old_to_new() {
    use Phase::{Flipped, New, Old, Reverted, Silent, Staged};
    let servers = [
        view("a", [O, O, O, ""]),
        view("b", [O, O, O, N]),
        view("c", [N, O, O, ""]),
        view("d", [N, N, O, ""]),
        view("e", [O, N, O, ""]),
        view("f", [N, "", O, ""]),
    ];
    let standing = stand(&servers, "").unwrap();
    assert_eq!(
        phases(&standing),
        [Old, Staged, Flipped, New, Reverted, Silent]
    );
    assert_eq!((standing.old, standing.new), (secret(O), Secret::new(N)));
    // One server has taken it, so that there is no way back.
    assert_eq!(standing.datastore, Secret::new(N));
}

#[test]
fn while_no_server_has_taken_new_the_way_back_is_open() {
    let servers = [view("a", [N, O, O, ""]), view("b", [O, O, O, N])];
    let standing = stand(&servers, "").unwrap();
    assert!(!standing.is_rotated());
    assert_eq!(standing.new, Secret::new(N));
}

#[test]
fn a_rotation_begins_with_the_given_the_waiting_or_the_generated_token() {
    let fresh = [view("a", [O, O, "", ""]), view("b", [O, O, "", ""])];
    assert_eq!(stand(&fresh, "").unwrap().new, Secret::new("generated"));
    assert_eq!(stand(&fresh, N).unwrap().new, Secret::new(N));
    let begun = [view("a", [O, O, O, N]), view("b", [O, O, "", ""])];
    assert_eq!(stand(&begun, "").unwrap().new, Secret::new(N));
    let done = stand(&[view("a", [N, N, "", ""])], N).unwrap();
    assert_eq!(
        (
            done.old,
            phases(&stand(&[view("a", [N, N, "", ""])], N).unwrap())
        ),
        (None, vec![Phase::New])
    );
}

#[test]
fn a_begun_rotation_keeps_its_own_token_whatever_is_given() {
    let servers = [view("a", [N, N, O, ""]), view("b", [N, O, O, ""])];
    let standing = stand(&servers, "given-too-late").unwrap();
    assert!(standing.given_passed_over);
    assert_eq!(standing.new, Secret::new(N));
}

#[test]
fn a_third_token_goes_on_where_all_servers_are_configured_with_it_and_it_is_given() {
    let third = "third-agent-token";
    let mut servers = [view("a", [third, N, O, ""]), view("b", [N, O, O, ""])];
    for given in ["", third] {
        assert_eq!(
            stand(&servers, given).unwrap_err().name,
            "agent-tokens-differ"
        );
    }
    servers[1].surface = secret(third);
    assert_eq!(stand(&servers, N).unwrap_err().name, "agent-tokens-differ");
    let standing = stand(&servers, third).unwrap();
    assert_eq!(phases(&standing), [Phase::Flipped; 2]);
    assert_eq!(standing.new, Secret::new(third));
    // Both must die, and one server has taken one of them: there is no way back.
    assert_eq!(
        standing.dead().cloned().collect::<Vec<_>>(),
        [Secret::new(O), Secret::new(N)]
    );
    assert!(standing.is_rotated());
}

#[test]
fn what_this_run_has_proven_is_not_rotated_again() {
    let mut server = view("a", [N, N, "", ""]);
    server.proven = Some(Proven {
        run: RunId("now".to_owned()),
        tag: crate::k3s::token::tag(&Secret::new(N)),
        pairing: None,
    });
    let standing = stand(std::slice::from_ref(&server), "").unwrap();
    assert_eq!((standing.old, standing.new.expose()), (None, N));
    server.proven.as_mut().unwrap().run = RunId("before".to_owned());
    assert_eq!(stand(&[server], "").unwrap().new, Secret::new("generated"));
}

#[test]
fn one_that_was_written_by_hand_goes_on_when_it_is_given() {
    // Agents used the server token until now.
    let servers = [view("a", [N, S, "", ""]), view("b", [N, S, "", ""])];
    assert_eq!(stand(&servers, "").unwrap_err().name, "agent-tokens-differ");
    let standing = stand(&servers, N).unwrap();
    assert_eq!(
        (standing.old.clone(), phases(&standing)),
        (secret(S), vec![Phase::Flipped; 2])
    );
}

#[test]
fn one_that_was_half_taken_by_hand_goes_on() {
    let servers = [view("a", [N, N, "", ""]), view("b", [N, O, "", ""])];
    for given in ["", N] {
        let standing = stand(&servers, given).unwrap();
        assert_eq!(phases(&standing), [Phase::New, Phase::Flipped]);
        assert_eq!((standing.old, standing.new), (secret(O), Secret::new(N)));
    }
    let third = [
        view("a", [N, N, "", ""]),
        view("b", [N, "x", "", ""]),
        view("c", [N, O, "", ""]),
    ];
    assert_eq!(stand(&third, N).unwrap_err().name, "agent-tokens-differ");
}

#[test]
fn servers_that_disagree_are_named_with_what_each_has() {
    for servers in [
        [view("a", [O, O, "", ""]), view("b", [N, N, "", ""])],
        [view("a", [O, O, "", ""]), view("b", [N, O, "", ""])],
        [view("a", ["x", O, O, ""]), view("b", [N, O, O, ""])],
    ] {
        let torn = stand(&servers, "").unwrap_err();
        assert_eq!(torn.name, "agent-tokens-differ");
        for said in ["a is configured with no.", "b is configured with no."] {
            assert!(torn.what.contains(said), "{}", torn.what);
        }
    }
    let some = [view("a", [O, O, "", ""]), view("b", ["", S, "", ""])];
    let torn = stand(&some, "").unwrap_err();
    assert_eq!(torn.name, "agent-tokens-differ");
    assert!(torn.what.starts_with("no agent token is configured on b"));
}

#[test]
fn a_cluster_without_one_is_sent_to_the_rotation_of_the_server_token() {
    let torn = stand(&[view("a", ["", S, "", ""])], "").unwrap_err();
    assert_eq!(torn.name, "no-agent-token");
    assert!(
        torn.next.contains("keyroll run @rotate-token -i INVENTORY"),
        "{}",
        torn.next
    );
}

#[test]
fn the_server_token_is_no_new_agent_token() {
    let torn = stand(&[view("a", [O, O, "", ""])], S).unwrap_err();
    assert_eq!(torn.name, "agent-token-equals-server-token");
}

#[test]
fn old_tokens_of_two_rotations_are_not_chosen_between() {
    let servers = [view("a", [N, O, O, ""]), view("b", [N, O, "x", ""])];
    assert_eq!(stand(&servers, "").unwrap_err().name, "two-old-tokens");
    let silent = [view("a", [O, "", "", ""])];
    assert_eq!(stand(&silent, "").unwrap_err().name, "no-server-answers");
}
