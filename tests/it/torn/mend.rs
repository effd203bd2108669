//! Rotations that are cut right after the PUT, and the way back: cut at every change and run again.

use keyroll::exit::Exit;
use keyroll::model::HostName;
use keyroll::sim::fault::Fault;

use super::hand::{restarts, rotates, stops};
use super::rig::{Inner, Rig, made};
use super::wire::Cut;

/// The number of the change at which a fleet's datastore is re-encrypted.
pub(super) fn put_of(fleet: &str) -> usize {
    Rig::new(fleet).block_on(async |rig| {
        let whole = rig.run(1, Cut::Never, false).await;
        assert_eq!(whole.exit, Exit::Fine, "{whole:?}");
        rig.put()
    })
}

/// A rotation that loses every host right after its PUT.
pub(super) async fn torn(rig: &mut Inner, put: usize) {
    let first = rig.run(1, Cut::AllGoneAfter(put), false).await;
    assert_ne!(first.exit, Exit::Fine, "{first:?}");
    assert_eq!(rig.datastore(), Some(made(1)));
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

/// The rotate back leaves files that look as if it had ended well, and a datastore that still has NEW.
#[test]
fn a_rotate_back_that_fails_half_way_is_never_taken_for_a_roll_back() {
    for fleet in ["sim:1+1", "sim:3+1", "sim:3+0?surface=nothing"] {
        let put = put_of(fleet);
        for forward in [false, true] {
            let mut rig = Rig::new(fleet);
            rig.block_on(async |rig| {
                torn(rig, put).await;
                rig.book = ("@rollback", None);
                rig.wire.with(|fleet| {
                    let server = fleet.host_mut(&HostName::new("server-1").unwrap()).unwrap();
                    server.faults.push(Fault::PutTorn);
                });
                let first = rig.run(2, Cut::Never, false).await;
                assert_ne!(first.exit, Exit::Fine, "{fleet}: {first:?}");
                assert_eq!(rig.datastore(), Some(made(1)), "{fleet}");
                let second = rig.run(3, Cut::Never, false).await;
                assert_eq!(second.exit, Exit::Red, "{fleet}: {second:?}");
                assert_eq!(rig.datastore(), Some(made(1)), "{fleet}");
                if forward {
                    rig.book = ("@rotate-token", None);
                }
                let last = rig.run(4, Cut::Never, false).await;
                assert_eq!(last.exit, Exit::Fine, "{fleet}, {forward}: {last:?}");
                let right = if forward { made(1) } else { rig.old() };
                let wrong = rig.wrong(&right);
                assert!(wrong.is_empty(), "{fleet}, {forward}: {wrong:#?}");
            });
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

/// Two members of etcd have no quorum while one is down, so that nobody can be asked which token the datastore has: the one of
/// the rotator's files is tried, and when its start is refused the other one is right.
#[test]
fn one_of_two_members_that_was_rotated_by_hand_comes_back_whether_the_rotate_ended_well_or_not() {
    for is_torn in [false, true] {
        Rig::new("sim:2+0").block_on(async |rig| {
            let server = HostName::new("server-2").unwrap();
            rig.wire.with(|fleet| {
                if is_torn {
                    let host = fleet.host_mut(&server).unwrap();
                    host.faults.push(Fault::PutTorn);
                }
                rotates(fleet, &server);
                restarts(fleet, &server);
            });
            rig.sleep(30).await;
            let right = rig.datastore().unwrap();
            assert_eq!(right == rig.old(), is_torn);
            rig.book = ("@rescue", Some("server-2"));
            let first = rig.run(1, Cut::Never, false).await;
            assert_eq!(first.exit == Exit::Fine, !is_torn, "{first:?}");
            if is_torn {
                let again = rig.run(2, Cut::Never, false).await;
                assert_eq!(again.exit, Exit::Fine, "{again:?}");
            } else {
                rig.book = ("@rotate-token", None);
                let last = rig.run(2, Cut::Never, false).await;
                assert_eq!(last.exit, Exit::Fine, "{last:?}");
            }
            let wrong = rig.wrong(&right);
            assert!(wrong.is_empty(), "{is_torn}: {wrong:#?}");
        });
    }
}

/// The only server was stopped after a rotate that failed half way: the token of its files is tried, and what it replaces is
/// not lost.
#[test]
fn a_token_that_a_rescue_has_replaced_in_vain_is_put_back() {
    Rig::new("sim:1+0").block_on(async |rig| {
        let server = HostName::new("server-1").unwrap();
        rig.wire.with(|fleet| {
            let host = fleet.host_mut(&server).unwrap();
            host.faults.push(Fault::PutTorn);
            rotates(fleet, &server);
            stops(fleet, &server);
        });
        rig.sleep(5).await;
        rig.book = ("@rescue", Some("server-1"));
        let first = rig.run(1, Cut::Never, false).await;
        let root = first.roots.concat();
        assert!(
            root.contains("its starts are refused for their token"),
            "{root}"
        );
        // With its own token it finds a passwd that the rotate has left, which goes then.
        rig.run(2, Cut::Never, false).await;
        let last = rig.run(3, Cut::Never, false).await;
        assert_eq!(last.exit, Exit::Fine, "{last:?}");
        let wrong = rig.wrong(&rig.old());
        assert!(wrong.is_empty(), "{wrong:#?}");
    });
}
