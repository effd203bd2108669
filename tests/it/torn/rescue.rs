//! Servers that reboot between the PUT and their flip, and their rescue, cut in each of its parts: run again it ends well,
//! and the rotation goes on until it is proven.

use std::io::Write as _;

use keyroll::exit::Exit;

use super::mend::{put_of, torn};
use super::rig::{Inner, Rig, made};
use super::wire::{Cut, Way};

/// What the other servers have in memory while one is rescued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Peers {
    Old,
    /// Somebody has given them the new token, and restarted them.
    New,
}

/// A fleet, its server that reboots while its configuration still has OLD, and what the others have by then.
type Trap = (&'static str, &'static str, Peers);

const TRAPS: [Trap; 10] = [
    ("sim:1+1", "server-1", Peers::Old),
    ("sim:3+0", "server-1", Peers::Old),
    ("sim:3+0", "server-2", Peers::Old),
    ("sim:3+0?surface=nothing", "server-3", Peers::Old),
    ("sim:2+1?datastore=external", "server-2", Peers::Old),
    ("sim:3+0", "server-1", Peers::New),
    ("sim:3+0", "server-2", Peers::New),
    ("sim:3+0", "server-3", Peers::New),
    ("sim:3+0?surface=nothing", "server-3", Peers::New),
    ("sim:2+1?datastore=external", "server-2", Peers::New),
];

/// Ways in which a rescue ends at its n-th change.
const CUTS: [Way; 6] = [
    ("killed before", Cut::AllGone),
    ("killed after", Cut::AllGoneAfter),
    ("host away", Cut::HostGone),
    ("lost, done", Cut::UnknownDone),
    ("lost, not done", Cut::UnknownUndone),
    ("Ctrl-C", Cut::Stop),
];

/// Makes a trap; what is wrong with how the next run tells of it.
async fn spring(rig: &mut Inner, put: usize, (_, server, peers): Trap) -> Vec<String> {
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
    let is_named = refused.roots.iter().any(|root| root.contains(&command));
    if refused.exit == Exit::Fine || !is_named {
        return vec![format!("the rescue is not named: {refused:?}")];
    }
    Vec::new()
}

/// Rescues from a trap with a cut at one change, rescues again, and goes on with the rotation; what is wrong, and how many
/// changes the rescue tried.
async fn rescue(rig: &mut Inner, put: usize, trap: Trap, cut: Cut) -> (Vec<String>, usize) {
    let mut wrong = spring(rig, put, trap).await;
    rig.book = ("@rescue", Some(trap.1));
    let first = rig.run(3, cut, false).await;
    let seen = rig.tried();
    rig.sleep(1).await;
    let again = rig.run(4, Cut::Never, false).await;
    if again.exit != Exit::Fine {
        wrong.push(format!("rescued again: {again:?}\n   first: {first:?}"));
        return (wrong, seen);
    }
    for book in ["@rotate-token", "@verify"] {
        rig.book = (book, None);
        let last = rig.run(5, Cut::Never, false).await;
        if last.exit != Exit::Fine {
            wrong.push(format!("{book} afterwards: {last:?}"));
        }
    }
    wrong.extend(rig.wrong(&made(1)));
    if cut == Cut::Never && seen < 6 {
        wrong.push(format!("only {seen} changes"));
    }
    (wrong, seen)
}

/// The same, cut at each change in turn; what is wrong, and at how many changes it was cut.
fn cut_everywhere(trap: Trap, (name, cut): Way) -> (Vec<String>, usize) {
    let (fleet, server, peers) = trap;
    let put = put_of(fleet);
    let mut all = Vec::new();
    for change in 0.. {
        let mut rig = Rig::new(fleet);
        let (wrong, tried) = rig.block_on(async |rig| rescue(rig, put, trap, cut(change)).await);
        let at = format!("{fleet}, {server}, peers {peers:?}, {name}, change {change}");
        all.extend(wrong.into_iter().map(|wrong| format!("{at}: {wrong}")));
        if tried <= change {
            return (all, change);
        }
    }
    unreachable!("a rescue has an end")
}

#[test]
fn every_trap_is_named_rescued_from_and_the_rotation_goes_on() {
    for trap in TRAPS {
        let put = put_of(trap.0);
        let (wrong, _) =
            Rig::new(trap.0).block_on(async |rig| rescue(rig, put, trap, Cut::Never).await);
        assert!(wrong.is_empty(), "{trap:?}: {wrong:#?}");
    }
}

/// Those traps whose peers have this: each is cut in one way by turns, with the whole table in every way.
fn rescues_are_cut(peers: Peers) {
    let is_whole =
        crate::e2e::wish("KEYROLL_TABLE").is_some_and(|wish| wish == "all" || wish == "rescue");
    let mut all = Vec::new();
    for (at, trap) in TRAPS.into_iter().enumerate() {
        for (turn, cut) in CUTS.into_iter().enumerate() {
            let is_turn = is_whole || turn == at % CUTS.len();
            if trap.2 != peers || !is_turn {
                continue;
            }
            let (wrong, changes) = cut_everywhere(trap, cut);
            let text = format!(
                "rescue of {} in {}, peers have {peers:?} | {:14} | {changes} changes | wrong {}\n",
                trap.1,
                trap.0,
                cut.0,
                wrong.len()
            );
            if is_whole {
                std::io::stderr().write_all(text.as_bytes()).unwrap();
            }
            all.extend(wrong);
        }
    }
    super::nothing_is(&all);
}

#[test]
fn a_rescue_beside_peers_with_the_old_token_goes_on_wherever_it_is_cut() {
    rescues_are_cut(Peers::Old);
}

#[test]
fn a_rescue_beside_peers_with_the_new_token_goes_on_wherever_it_is_cut() {
    rescues_are_cut(Peers::New);
}
