//! The built-in rotation, cut after every change it makes, on every kind of fleet: run again, it ends proven, with the
//! token of the first run, and no server was ever in danger.

mod agents;
mod escrow;
mod hand;
mod kept;
mod mend;
mod rescue;
mod rig;
mod state;
mod table;
mod wire;

use keyroll::exit::Exit;

use rig::Rig;
use wire::Cut;

/// Fleets that each way of cutting is tried on.
const SMALL: [&str; 4] = [
    "sim:1+1",
    "sim:2+1?datastore=external",
    "sim:2+0?surface=nothing",
    "sim:1+1?surface=argument",
];

/// Cuts a rotation of a fleet at each of its changes in one way; what went wrong.
fn cut_everywhere(fleet: &str, cut: impl Fn(usize) -> Cut) -> Vec<String> {
    let mut wrong = Vec::new();
    for change in 0.. {
        let mut rig = Rig::new(fleet);
        let (first, second) = rig.block_on(async |rig| {
            let first = rig.run(1, cut(change), false).await;
            let wrong = rig.go_on(&first).await;
            (first, wrong)
        });
        wrong.extend(
            second
                .into_iter()
                .map(|what| format!("{fleet}, change {change}: {what}\n   first: {first:?}")),
        );
        if rig.seen() <= change {
            assert_eq!(first.exit, Exit::Fine, "{fleet}: uncut: {first:?}");
            assert!(change > 5, "{fleet}: only {change} changes");
            break;
        }
    }
    wrong
}

fn every_fleet(fleets: &[&str], cut: impl Fn(usize) -> Cut) {
    let wrong: Vec<String> = fleets
        .iter()
        .flat_map(|fleet| cut_everywhere(fleet, &cut))
        .collect();
    nothing_is(&wrong);
}

fn nothing_is(wrong: &[String]) {
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn a_run_that_loses_every_host_before_a_change_goes_on() {
    every_fleet(&SMALL, Cut::AllGone);
}

#[test]
fn a_run_that_loses_every_host_just_after_a_change_goes_on() {
    every_fleet(&SMALL, Cut::AllGoneAfter);
}

#[test]
fn a_run_that_loses_one_host_before_a_change_goes_on_or_rolls_back() {
    every_fleet(&SMALL, Cut::HostGone);
}

#[test]
fn a_change_of_unknown_end_that_was_done_is_found_done() {
    every_fleet(&SMALL, Cut::UnknownDone);
}

#[test]
fn a_change_of_unknown_end_that_was_not_done_is_done() {
    every_fleet(&SMALL, Cut::UnknownUndone);
}

#[test]
fn a_rotate_that_fails_half_way_restarts_no_server_and_is_taken_back() {
    for fleet in [
        "sim:1+1?fault=server-1:put-torn",
        "sim:3+1?fault=server-1:put-torn",
    ] {
        let wrong = Rig::new(fleet).block_on(async |rig| {
            let first = rig.run(1, Cut::Never, false).await;
            assert_eq!(first.exit, Exit::TaskFailed, "{first:?}");
            rig.go_on(&first).await
        });
        assert!(wrong.is_empty(), "{fleet}: {wrong:?}");
    }
}

#[test]
fn a_host_that_reboots_after_any_change_leaves_no_cluster_half_way_unsaid() {
    every_fleet(&SMALL, Cut::Reboot);
}

#[test]
fn three_servers_that_lose_every_host_before_a_change_go_on() {
    every_fleet(&["sim:3+1"], Cut::AllGone);
}

#[test]
fn a_config_file_that_is_put_back_just_before_a_change_endangers_no_server() {
    let fleets = ["sim:1+1", "sim:2+1?datastore=external"];
    every_fleet(&fleets, Cut::PutBack);
}

#[test]
fn a_stop_leaves_no_server_between_the_rotate_and_its_flip() {
    let mut wrong = Vec::new();
    for change in 0.. {
        let mut rig = Rig::new("sim:3+0");
        let (ended, between) = rig.block_on(async |rig| {
            let ended = rig.run(1, Cut::Stop(change), false).await;
            (ended, rig.between())
        });
        if !between.is_empty() {
            wrong.push(format!("change {change}: {between:?} after {ended:?}"));
        }
        if rig.seen() <= change {
            assert!(change > 5 && ended.exit == Exit::Fine, "{ended:?}");
            break;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn servers_are_flipped_at_once_and_the_time_until_then_is_said() {
    let mut rig = Rig::new("sim:3+0");
    let windows = rig.block_on(async |rig| {
        rig.run(1, Cut::Never, false).await;
        rig.windows.clone()
    });
    // A round trip of the simulated fleet takes 5 ms: three one after the other would take 15.
    let each = "server-1 0.01 s, server-2 0.01 s, server-3 0.01 s";
    assert_eq!(
        windows,
        [format!("wrong-token window: 0.01 s on 3 hosts ({each})")]
    );
}

#[test]
fn wherever_a_run_is_cut_the_old_token_was_kept_before_the_rotate() {
    for cut in [Cut::AllGoneAfter, Cut::UnknownDone] {
        for change in 0.. {
            let mut rig = Rig::escrowing("sim:1+1");
            let wrong = rig.block_on(async |rig| {
                let first = rig.run(1, cut(change), false).await;
                let mut wrong: Vec<String> = rig.not_kept().into_iter().collect();
                wrong.extend(rig.go_on(&first).await);
                wrong.extend(rig.not_kept());
                wrong
            });
            assert!(wrong.is_empty(), "change {change}: {wrong:?}");
            if rig.seen() <= change {
                break;
            }
        }
    }
}
