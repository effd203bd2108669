//! The built-in rotation of the agent token, cut at every change: run again it ends proven, and then every server can be
//! restarted twice in a row.

use keyroll::exit::Exit;

use super::rig::{Inner, Rig, made_for_agents};
use super::wire::Cut;

const AGENT_TOKEN: &str = "@rotate-agent-token";
const BOTH: &str = "@rotate-tokens";

const ONE: &str = "sim:1+1?agent-token=separate";
const THREE: &str = "sim:3+1?agent-token=separate";
const TWO: &str = "sim:2+1?agent-token=separate&datastore=external";

/// All hosts run with one new agent token, over two rounds of restarts.
async fn wrong_at_the_end(rig: &Inner) -> Vec<String> {
    let made = [1, 2, 5].map(made_for_agents);
    let mut wrong = Vec::new();
    for round in 0..3 {
        let tokens = rig.agent_tokens();
        let first = tokens.first().and_then(|(_, token)| token.clone());
        let is_made = first.as_ref().is_some_and(|token| made.contains(token));
        if !is_made || tokens.iter().any(|(_, token)| *token != first) {
            wrong.push(format!("after {round} rounds of restarts: {tokens:?}"));
            break;
        }
        for server in rig.servers() {
            rig.reboot(&server).await;
        }
    }
    wrong
}

/// Runs again until nothing is left to do; a server that met its second start is rescued, as the run says.
async fn go_on(rig: &mut Inner, book: &'static str, first: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    rig.sleep(1).await;
    let trapped = rig.trapped_server();
    let again = rig.run(2, Cut::Never, false).await;
    if let Some(server) = trapped {
        let command = format!("keyroll rescue {server}");
        if !again.roots.iter().any(|root| root.contains(&command)) {
            return vec![format!(
                "the rescue is not named: {again:?}\n   first: {first}"
            )];
        }
        rig.book = ("@rescue", Some(server));
        let rescued = rig.run(4, Cut::Never, false).await;
        if rescued.exit != Exit::Fine {
            return vec![format!("rescued: {rescued:?}\n   first: {first}")];
        }
        rig.book = (book, None);
        let last = rig.run(5, Cut::Never, false).await;
        if last.exit != Exit::Fine {
            wrong.push(format!("after the rescue: {last:?}\n   first: {first}"));
        }
    } else if again.exit != Exit::Fine {
        wrong.push(format!("again: {again:?}\n   first: {first}"));
    }
    wrong.extend(wrong_at_the_end(rig).await);
    wrong
}

fn cut_everywhere(book: &'static str, fleet: &str, cut: impl Fn(usize) -> Cut) {
    for change in 0.. {
        let mut rig = Rig::new(fleet);
        let (wrong, is_fine, seen) = rig.block_on(async |rig| {
            rig.book = (book, None);
            let first = rig.run(1, cut(change), false).await;
            let (seen, is_fine) = (rig.tried(), first.exit == Exit::Fine);
            let wrong = if is_fine {
                wrong_at_the_end(rig).await
            } else {
                go_on(rig, book, &format!("{first:?}")).await
            };
            (wrong, is_fine, seen)
        });
        assert!(wrong.is_empty(), "{fleet}, change {change}: {wrong:#?}");
        if seen <= change {
            assert!(is_fine && change > 7, "{fleet}: {change} changes");
            break;
        }
    }
}

#[test]
fn one_that_loses_every_host_before_a_change_goes_on() {
    for fleet in [ONE, THREE, TWO] {
        cut_everywhere(AGENT_TOKEN, fleet, Cut::AllGone);
    }
}

#[test]
fn one_that_loses_every_host_just_after_a_change_goes_on() {
    for fleet in [ONE, TWO] {
        cut_everywhere(AGENT_TOKEN, fleet, Cut::AllGoneAfter);
    }
}

#[test]
fn one_that_loses_one_host_before_a_change_goes_on() {
    for fleet in [ONE, TWO] {
        cut_everywhere(AGENT_TOKEN, fleet, Cut::HostGone);
    }
}

#[test]
fn one_whose_changes_have_an_unknown_end_goes_on() {
    cut_everywhere(AGENT_TOKEN, ONE, Cut::UnknownDone);
    cut_everywhere(AGENT_TOKEN, TWO, Cut::UnknownUndone);
}

#[test]
fn one_that_is_stopped_goes_on() {
    cut_everywhere(AGENT_TOKEN, ONE, Cut::Stop);
}

#[test]
fn hosts_that_reboot_after_any_change_are_saved_or_rescued() {
    for fleet in [ONE, TWO] {
        cut_everywhere(AGENT_TOKEN, fleet, Cut::Reboot);
    }
}

#[test]
fn a_rotation_of_both_that_loses_every_host_before_a_change_goes_on() {
    cut_everywhere(BOTH, ONE, Cut::AllGone);
}

#[test]
fn a_stop_leaves_no_server_between_its_restart_and_its_save() {
    for change in 0.. {
        let mut rig = Rig::new(ONE);
        let (unsaved, seen) = rig.block_on(async |rig| {
            rig.book = (AGENT_TOKEN, None);
            let stopped = rig.run(1, Cut::Stop(change), false).await;
            rig.sleep(1).await;
            rig.reboot("server-1").await;
            let dead = rig.trapped_server();
            (
                dead.map(|_| format!("change {change}: {stopped:?}")),
                rig.tried(),
            )
        });
        assert_eq!(unsaved, None);
        if seen <= change {
            break;
        }
    }
}
