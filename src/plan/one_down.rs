//! Never two servers down at once: no plan restarts two servers side by side, whatever the playbook says. Each restart
//! looks at the other servers before it begins, but looks that are taken at the same moment do not see each other.

use super::PlannedPlay;
use crate::inventory::Inventory;
use crate::model::{GroupName, HostName};
use crate::playbook::Playbook;
use crate::source::{Problem, Problems};
use crate::steps::Step;

/// Plays that would restart two servers at the same time.
pub(super) fn check(playbook: &Playbook, plays: &[PlannedPlay], inventory: &Inventory) -> Problems {
    let mut problems = Problems::default();
    let restarting: Vec<usize> = (0..plays.len())
        .filter(|play| most_at_once(plays, *play, inventory) > 0)
        .collect();
    for (at, play) in restarting.iter().enumerate() {
        let name = plays.get(*play).map_or("", |play| play.name.as_str());
        let together = most_at_once(plays, *play, inventory);
        if together > 1 {
            let what = format!("`{name}` would restart {together} servers at once");
            problems.push(problem(playbook, *play, what).help("add `serial: 1` to the play"));
        }
        let beside = restarting
            .iter()
            .take(at)
            .find(|other| !waits(plays, *play, **other) && !waits(plays, **other, *play));
        if let Some(other) = beside.and_then(|other| plays.get(*other)) {
            let what = format!(
                "`{name}` and `{}` would restart servers at the same time",
                other.name
            );
            let help = format!("let one wait for the other: `needs: [{}]`", other.name);
            problems.push(problem(playbook, *play, what).help(help));
        }
    }
    problems
}

fn problem(playbook: &Playbook, play: usize, what: String) -> Problem {
    let problem = Problem::new("plan::two-servers-down", what);
    match playbook.plays.get(play) {
        Some(play) => problem.at(&playbook.text, play.places.hosts),
        None => problem,
    }
}

/// The most servers that one batch of a play restarts.
fn most_at_once(plays: &[PlannedPlay], play: usize, inventory: &Inventory) -> usize {
    let Some(play) = plays.get(play) else {
        return 0;
    };
    let restarts = |once: bool| {
        play.tasks.iter().any(|task| {
            task.run_once == once && matches!(task.step, Step::K3sRestart(_) | Step::K3sRescue(_))
        })
    };
    let servers = GroupName::new("server")
        .ok()
        .and_then(|group| inventory.groups.get(&group));
    let is_server = |host: &&HostName| servers.is_some_and(|servers| servers.contains(*host));
    let of_batch = |hosts: &Vec<HostName>| hosts.iter().filter(is_server).count();
    let most = play.batches.iter().map(of_batch).max().unwrap_or(0);
    match (restarts(false), restarts(true)) {
        (true, _) => most,
        (false, true) => most.min(1),
        (false, false) => 0,
    }
}

/// Whether a play starts only after another has ended.
fn waits(plays: &[PlannedPlay], later: usize, earlier: usize) -> bool {
    let needs = plays.get(later).map_or(&[][..], |play| &play.needs);
    // Circles are refused before, so this ends.
    needs
        .iter()
        .any(|need| *need == earlier || waits(plays, *need, earlier))
}
