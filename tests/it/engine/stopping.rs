//! Each stop level ends what it says, and nothing more.

use keyroll::engine::StopLevel;
use keyroll::event::{EventKind, TaskOutcome};
use keyroll::exit::Exit;
use tokio::sync::watch;

use super::fleet::{Hosts, Setup, outcomes, plan, play, touch};

/// Raises the level while the first operation on `a` is under way.
fn stopped_at(level: StopLevel) -> (Hosts, Exit) {
    let hosts = Hosts::default();
    let (sender, stop) = watch::channel(StopLevel::Run);
    hosts.model.lock().unwrap().raise = Some(("a".into(), sender.clone(), level));
    let book = plan(vec![play(
        "p",
        &[&["a"], &["b"]],
        vec![touch("/x"), touch("/y")],
    )]);
    let ended = Setup::new(&hosts, book).run_with(stop);
    (hosts, ended.exit)
}

#[test]
fn the_first_signal_finishes_visits_begun_and_starts_nothing_new() {
    let (hosts, exit) = stopped_at(StopLevel::FinishVisits);
    assert_eq!(exit, Exit::Stopped);
    assert_eq!(hosts.changes(), ["a: touch /x", "a: touch /y"]);
    assert!(outcomes(&hosts).contains(&"p/do /x@b: skipped because of stopped".to_owned()));
}

#[test]
fn the_second_signal_finishes_the_operation() {
    let (hosts, exit) = stopped_at(StopLevel::FinishOps);
    assert_eq!(exit, Exit::Stopped);
    assert_eq!(hosts.changes(), ["a: touch /x"]);
    assert!(outcomes(&hosts).contains(&"p/do /y@a: skipped because of stopped".to_owned()));
}

#[test]
fn the_third_signal_leaves_at_once_and_still_writes_the_end() {
    let (hosts, exit) = stopped_at(StopLevel::Abandon);
    assert_eq!(exit, Exit::Stopped);
    assert_eq!(hosts.changes(), Vec::<String>::new());
    let journal = hosts.journal.lock().unwrap();
    assert!(matches!(
        journal.last().unwrap().kind,
        EventKind::RunEnded { .. }
    ));
    assert!(
        journal
            .iter()
            .any(|event| matches!(event.kind, EventKind::Stopping { .. }))
    );
    let left = journal.iter().find_map(|event| match &event.kind {
        EventKind::TaskEnded {
            outcome: TaskOutcome::Failed(failure),
            ..
        } => Some(failure),
        _ => None,
    });
    let left = left.unwrap();
    assert_eq!(
        left.what,
        [
            "left at once, as the user asked, before it was done",
            "a: run `touch /x`: was begun, and goes on there until its deadline",
        ]
    );
    assert_eq!(left.exit, Exit::Stopped);
}
