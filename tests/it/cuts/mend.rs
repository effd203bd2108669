//! Rotations that are cut right after the PUT, servers that reboot before they are flipped, and the ways out: each cut
//! at every change and run again.

use keyroll::exit::Exit;

use super::rig::{Inner, Rig, made};
use super::wire::Cut;

/// Fleets and the server of each that reboots while its configuration still has OLD.
const TRAPS: [(&str, &str); 5] = [
    ("sim:1+1", "server-1"),
    ("sim:3+0", "server-1"),
    ("sim:3+0", "server-2"),
    ("sim:3+0?surface=nothing", "server-3"),
    ("sim:2+1?datastore=external", "server-2"),
];

/// The number of the change at which a fleet's datastore is re-encrypted.
fn put_of(fleet: &str) -> usize {
    Rig::new(fleet).block_on(async |rig| {
        let whole = rig.run(1, Cut::Never, false).await;
        assert_eq!(whole.exit, Exit::Fine, "{whole:?}");
        rig.put()
    })
}

/// What the other servers have in memory while one is rescued.
#[derive(Clone, Copy, PartialEq)]
enum Peers {
    Old,
    /// Somebody has given them the new token, and restarted them.
    New,
}

/// A rotation that loses every host right after its PUT.
async fn torn(rig: &mut Inner, put: usize) {
    let first = rig.run(1, Cut::AllGoneAfter(put), false).await;
    assert_ne!(first.exit, Exit::Fine, "{first:?}");
    assert_eq!(rig.datastore(), Some(made(1)));
}

/// Makes a trap, rescues from it with a cut at one change, rescues again, and goes on with the rotation; what is wrong.
async fn rescue(
    rig: &mut Inner,
    put: usize,
    (server, peers): (&'static str, Peers),
    cut: Cut,
) -> (Vec<String>, usize) {
    torn(rig, put).await;
    rig.reboot(server).await;
    assert!(rig.trapped(), "{server} is trapped");
    if peers == Peers::New {
        for other in rig.servers().iter().filter(|other| *other != server) {
            rig.configure(other, &made(1));
            rig.reboot(other).await;
        }
        assert!(rig.trapped(), "{server} is trapped still");
    }
    let refused = rig.run(2, Cut::Never, false).await;
    let command = format!("keyroll rescue {server}");
    if refused.exit == Exit::Fine || !refused.roots.iter().any(|root| root.contains(&command)) {
        return (vec![format!("the rescue is not named: {refused:?}")], 0);
    }
    rig.book = ("@rescue", Some(server));
    let first = rig.run(3, cut, false).await;
    let seen = rig.tried();
    rig.sleep(1).await;
    let again = rig.run(4, Cut::Never, false).await;
    if again.exit != Exit::Fine {
        let wrong = format!("rescued again: {again:?}\n   first: {first:?}");
        return (vec![wrong], seen);
    }
    rig.book = ("@rotate-token", None);
    let last = rig.run(5, Cut::Never, false).await;
    let mut wrong = rig.wrong(&made(1));
    if last.exit != Exit::Fine {
        wrong.push(format!("the rotation afterwards: {last:?}"));
    }
    if cut == Cut::Never && seen < 6 {
        wrong.push(format!("only {seen} changes"));
    }
    (wrong, seen)
}

/// The same, cut at each change in turn.
fn rescue_cut_everywhere(fleet: &str, trap: (&'static str, Peers), cut: impl Fn(usize) -> Cut) {
    let put = put_of(fleet);
    for change in 0.. {
        let mut rig = Rig::new(fleet);
        let (wrong, tried) = rig.block_on(async |rig| rescue(rig, put, trap, cut(change)).await);
        assert!(
            wrong.is_empty(),
            "{fleet}, {}, change {change}: {wrong:#?}",
            trap.0
        );
        if tried <= change {
            break;
        }
    }
}

#[test]
fn every_trap_is_named_rescued_from_and_the_rotation_goes_on() {
    for (fleet, server) in TRAPS {
        let put = put_of(fleet);
        let (wrong, _) = Rig::new(fleet)
            .block_on(async |rig| rescue(rig, put, (server, Peers::Old), Cut::Never).await);
        assert!(wrong.is_empty(), "{fleet}, {server}: {wrong:#?}");
    }
}

#[test]
fn a_rescue_that_loses_every_host_before_a_change_goes_on() {
    for (fleet, server) in TRAPS {
        rescue_cut_everywhere(fleet, (server, Peers::Old), Cut::AllGone);
    }
}

#[test]
fn a_server_whose_peers_have_the_new_token_is_rescued_wherever_the_rescue_is_cut() {
    rescue_cut_everywhere("sim:3+0", ("server-2", Peers::New), Cut::AllGone);
    // The rest of the same is part of the whole table.
    if crate::e2e::wish("KEYROLL_TABLE").is_none() {
        return;
    }
    for cut in [Cut::AllGoneAfter, Cut::UnknownDone, Cut::UnknownUndone] {
        rescue_cut_everywhere("sim:3+0", ("server-2", Peers::New), cut);
    }
    for (fleet, server) in [
        ("sim:3+0", "server-1"),
        ("sim:3+0", "server-3"),
        ("sim:2+1?datastore=external", "server-2"),
    ] {
        rescue_cut_everywhere(fleet, (server, Peers::New), Cut::AllGone);
    }
}

#[test]
fn a_rescue_whose_changes_have_an_unknown_end_goes_on() {
    rescue_cut_everywhere("sim:3+0", ("server-2", Peers::Old), Cut::UnknownDone);
    rescue_cut_everywhere("sim:1+1", ("server-1", Peers::Old), Cut::UnknownUndone);
}

#[test]
fn a_roll_back_that_is_cut_anywhere_ends_with_the_old_token_everywhere() {
    for fleet in ["sim:1+1", "sim:3+1", "sim:3+0?surface=nothing"] {
        let put = put_of(fleet);
        for change in 0.. {
            let mut rig = Rig::new(fleet);
            let (wrong, tried) = rig.block_on(async |rig| {
                torn(rig, put).await;
                rig.book = ("@rollback", None);
                let first = rig.run(2, Cut::AllGone(change), false).await;
                let tried = rig.tried();
                rig.sleep(1).await;
                let again = rig.run(3, Cut::Never, false).await;
                let mut wrong = rig.wrong(&rig.old());
                if again.exit != Exit::Fine {
                    wrong.push(format!("again: {again:?}\n   first: {first:?}"));
                }
                rig.book = ("@rotate-token", None);
                let last = rig.run(4, Cut::Never, false).await;
                wrong.extend(rig.wrong(&made(4)));
                if last.exit != Exit::Fine {
                    wrong.push(format!("the rotation afterwards: {last:?}"));
                }
                (wrong, tried)
            });
            assert!(wrong.is_empty(), "{fleet}, change {change}: {wrong:#?}");
            if tried <= change {
                assert!(change > 3, "{fleet}: only {change} changes");
                break;
            }
        }
    }
}

#[test]
fn a_failed_run_offers_the_roll_back_only_while_it_is_possible() {
    for (fleet, offered) in [
        ("sim:3+0?fault=server-1:writer-reverts", true),
        ("sim:3+0?fault=server-1:never-returns", false),
    ] {
        Rig::new(fleet).block_on(async |rig| {
            let first = rig.run(1, Cut::Never, false).await;
            assert_ne!(first.exit, Exit::Fine, "{fleet}");
            let is_offered = first.next.contains("keyroll rollback -i sim");
            assert_eq!(is_offered, offered, "{fleet}: {}", first.next);
        });
    }
}
