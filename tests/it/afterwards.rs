//! What is said of a fleet after something went wrong on it: that all is well only where it is.

use crate::verify::{Place, place};

/// A rotation that meets a fault and does not end well; then the fault is over.
fn failed(shape: &str, exit: i32) -> (Place, String) {
    let place = place(shape);
    let (code, said) = place.run(&["run", "@rotate-token"]);
    assert_eq!(code, exit, "{said}");
    (place.without_faults(), said)
}

/// The lines that `where` has of one host.
fn whereabouts(place: &Place, host: &str) -> String {
    let (_, said) = place.run(&["where"]);
    let lines = said.lines().skip_while(|line| !line.starts_with(host));
    let mut lines = lines.peekable();
    let first = lines.next().unwrap_or_default().to_owned();
    let rest = lines.take_while(|line| line.starts_with(' '));
    rest.fold(first, |all, line| all + " " + line.trim())
}

#[test]
fn heal_does_not_call_well_what_it_has_not_seen() {
    let away = ["server-1", "server-2", "server-3"].map(|host| format!("fault={host}:unreachable"));
    let (code, said) = place(&format!("3+1?{}&", away.join("&"))).run(&["heal"]);
    assert_eq!(code, 7, "{said}");
    for host in ["server-1", "server-2", "server-3"] {
        assert!(
            said.contains(&format!("{host} cannot be reached")),
            "{said}"
        );
    }
    let away: Vec<String> = (1..=5)
        .map(|at| format!("fault=server-{at}:unreachable"))
        .collect();
    let (code, said) = place(&format!("5+0?{}&", away.join("&"))).run(&["heal"]);
    assert_eq!(code, 7, "{said}");
    assert!(
        said.contains("nor could server-4 and server-5 be asked"),
        "{said}"
    );
    let (code, said) = place("3+1?fault=server-3:unreachable&").run(&["heal"]);
    assert_eq!(code, 7, "{said}");
    assert!(said.contains("server-3 cannot be reached"), "{said}");
    let (code, said) = place("1+0?fault=server-1:unit-missing&").run(&["heal"]);
    assert_eq!(code, 4, "{said}");
    assert_eq!(place("3+1?").run(&["heal"]).0, 0);
}

#[test]
fn a_rotation_that_was_taken_back_is_over_and_another_one_begins() {
    for fault in ["server-1:put-500", "server-1:writer-reverts"] {
        let (place, _) = failed(&format!("3+2?fault={fault}&"), 4);
        let (code, said) = place.run(&["verify"]);
        assert_eq!(code, 8, "{fault}: {said}");
        let (code, said) = place.run(&["rollback"]);
        assert_eq!(code, 0, "{fault}: {said}");
        assert!(
            said.contains("the old token is accepted"),
            "{fault}: {said}"
        );
        let (code, said) = place.run(&["verify"]);
        assert_eq!(code, 0, "{fault}: {said}");
        assert!(!said.contains("rotation-unfinished"), "{fault}: {said}");
        let (code, said) = place.run(&["rollback"]);
        assert_eq!(code, 0, "{fault}: {said}");
        assert!(
            said.contains("no rotation is unfinished"),
            "{fault}: {said}"
        );
        let (code, said) = place.run(&["run", "@rotate-token"]);
        assert_eq!(code, 0, "{fault}: {said}");
        assert!(said.contains("proof: green"), "{fault}: {said}");
    }
}

#[test]
fn doctor_and_where_tell_of_units_that_do_not_run() {
    for (fault, exit, weight, state, means) in [
        (
            "server-2:never-returns",
            4,
            4,
            "is activating (start), for ",
            "it does not answer; k3s.service is activating (start)",
        ),
        (
            "agent-1:unit-failing",
            4,
            4,
            "restarted 48 times: ",
            "is not up; k3s-agent.service is activating (auto-restart)",
        ),
        (
            "agent-1:dies-in-settle",
            5,
            4,
            "is failed (failed)",
            "is not up; k3s-agent.service is failed (failed)",
        ),
    ] {
        let (place, _) = failed(&format!("3+2?fault={fault}&"), exit);
        let (code, said) = place.run(&["doctor", "--hosts"]);
        assert_eq!(code, weight, "{fault}: {said}");
        assert!(said.contains(state), "{fault}: {said}");
        let (host, _) = fault.split_once(':').unwrap();
        let line = whereabouts(&place, host);
        assert!(line.contains(means), "{fault}: {line}");
        assert!(!line.contains("it was started with"), "{fault}: {line}");
    }
}

#[test]
fn after_a_gate_that_stays_closed_nothing_later_is_started() {
    let (_, said) = failed("3+3?fault=agent-1:dies-in-settle&", 5);
    let (_, later) = said.split_once("stays closed").unwrap();
    assert!(!later.contains("  changed  "), "{later}");
}

fn next(said: &str) -> &str {
    let mut lines = said.lines();
    lines.find(|line| line.starts_with("next: ")).unwrap()
}

#[test]
fn a_limit_that_leaves_servers_out_changes_nothing() {
    let place = place("3+1?");
    let (code, said) = place.run(&["run", "@rotate-token", "--limit", "server-1"]);
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("(limit-leaves-out-servers)"), "{said}");
    assert!(!said.contains("  changed  "), "{said}");
    assert_eq!(place.run(&["run", "@rotate-token"]).0, 0);
}

#[test]
fn too_late_to_roll_back_the_last_line_names_the_way_forward() {
    let place = place("3+1?");
    let (code, said) = place.run(&["run", "@rotate-token", "--limit", "!agent"]);
    assert_eq!(code, 0, "{said}");
    let (code, said) = place.run(&["rollback"]);
    assert_eq!(code, 4, "{said}");
    assert!(next(&said).contains("keyroll run @rotate-token"), "{said}");
    assert!(!next(&said).contains("rollback"), "{said}");
}

#[test]
fn a_run_that_left_hosts_out_says_so_and_what_comes_next() {
    let place = place("3+2?");
    let (code, said) = place.run(&["run", "@rotate-token", "--limit", "!agent"]);
    assert_eq!(code, 0, "{said}");
    let next = next(&said);
    assert!(
        next.contains("agent-1 and agent-2 may still have the old token")
            && next.contains("where a machine is gone for good, take it out of the inventory"),
        "{next}"
    );
    assert_eq!(place.run(&["verify"]).0, 8);
    assert_eq!(place.run(&["run", "@rotate-token"]).0, 0);
    assert_eq!(place.run(&["verify"]).0, 0);
}
