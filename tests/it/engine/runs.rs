//! What is performed, in which order, and how it ends.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keyroll::event::{Event, EventKind, Sink};
use keyroll::exit::Exit;
use keyroll::model::Percent;
use keyroll::playbook::Task;

use super::fleet::{Fate, Hosts, Setup, outcomes, plan, play, task, touch};

fn once(task: Task) -> Task {
    Task {
        run_once: true,
        ..task
    }
}

#[test]
fn an_operation_starts_only_after_its_line_is_written() {
    let hosts = Hosts::default();
    let ended = Setup::new(
        &hosts,
        plan(vec![play(
            "p",
            &[&["a", "b"]],
            vec![touch("/x"), touch("/y")],
        )]),
    )
    .run();
    assert_eq!(ended.exit, Exit::Fine);
    assert_eq!(hosts.changes().len(), 4);
    assert!(hosts.model.lock().unwrap().unannounced.is_empty());
}

#[test]
fn a_second_run_finds_nothing_to_do() {
    let hosts = Hosts::default();
    let book = || plan(vec![play("p", &[&["a"], &["b"]], vec![touch("/x")])]);
    let first = Setup::new(&hosts, book()).run();
    assert_eq!(
        (first.summary.changed, first.summary.changed_hosts.len()),
        (2, 2)
    );
    let second = Setup::new(&hosts, book()).run();
    assert_eq!(
        (
            second.exit,
            second.summary.satisfied,
            second.summary.changed
        ),
        (Exit::Fine, 2, 0)
    );
    assert_eq!(hosts.changes().len(), 2);
}

#[test]
fn a_dry_run_performs_nothing_and_says_what_it_found() {
    let hosts = Hosts::default();
    let book = || plan(vec![play("p", &[&["a", "b"]], vec![touch("/x")])]);
    let ended = Setup::new(&hosts, book()).check().run();
    assert_eq!(ended.exit, Exit::WorkFound);
    assert_eq!(hosts.changes(), Vec::<String>::new());
    Setup::new(&hosts, book()).run();
    let ended = Setup::new(&hosts, book()).check().run();
    assert_eq!(
        (ended.exit, ended.summary.next.as_str()),
        (Exit::Fine, "nothing to be done")
    );
}

#[test]
fn a_failed_task_ends_its_visit_and_the_play_goes_on_with_the_hosts_that_are_left() {
    let hosts = Hosts::default();
    hosts.fate("a", Fate::Fails("no space"));
    let book = plan(vec![
        play("p", &[&["a", "b"]], vec![touch("/x"), touch("/y")]),
        play("q", &[&["a", "b"]], vec![touch("/z")]),
    ]);
    let ended = Setup::new(&hosts, book).run();
    assert_eq!(
        (ended.exit, ended.summary.roots.len()),
        (Exit::TaskFailed, 1)
    );
    assert!(
        ended.summary.roots[0]
            .1
            .what
            .iter()
            .any(|line| line.contains("no space"))
    );
    let all = outcomes(&hosts);
    assert!(
        all.contains(&"p/do /y@a: skipped because of p/do /x@a".to_owned()),
        "{all:?}"
    );
    assert!(
        all.contains(&"q/do /z@a: skipped because of p/do /x@a".to_owned()),
        "{all:?}"
    );
    assert!(all.contains(&"q/do /z@b: changed".to_owned()), "{all:?}");
}

#[test]
fn a_failure_that_is_ignored_is_said_and_ends_nothing() {
    let hosts = Hosts::default();
    hosts.fate("a", Fate::Fails("no space"));
    let ignored = Task {
        ignore_errors: true,
        ..touch("/x")
    };
    let ended = Setup::new(
        &hosts,
        plan(vec![play("p", &[&["a", "b"]], vec![ignored, touch("/y")])]),
    )
    .run();
    assert_eq!((ended.exit, ended.summary.roots.len()), (Exit::Fine, 0));
    assert_eq!((ended.summary.ignored, ended.summary.failed), (1, 0));
    assert!(
        ended.summary.notes.iter().any(|note| note
            .contains("p/do /x@a failed, which its playbook ignores")
            && note.contains("no space")),
        "{:?}",
        ended.summary.notes
    );
    assert_eq!(
        outcomes(&hosts),
        [
            "p/do /x@a: ignored",
            "p/do /x@b: changed",
            "p/do /y@a: changed",
            "p/do /y@b: changed"
        ]
    );
}

#[test]
fn any_errors_fatal_ends_the_run_after_the_visits_that_have_begun() {
    let hosts = Hosts::default();
    hosts.fate("a", Fate::Fails("no"));
    let mut first = play("p", &[&["a", "b"], &["c"]], vec![touch("/x")]);
    first.any_errors_fatal = true;
    Setup::new(
        &hosts,
        plan(vec![first, play("q", &[&["b"]], vec![touch("/z")])]),
    )
    .run();
    assert_eq!(
        outcomes(&hosts),
        [
            "p/do /x@a: failed",
            "p/do /x@b: changed",
            "p/do /x@c: skipped because of p/do /x@a",
            "q/do /z@b: skipped because of p/do /x@a"
        ]
    );
}

#[test]
fn max_fail_percentage_ends_the_play_only_when_it_is_exceeded() {
    for (percent, last) in [(50, "changed"), (49, "skipped because of p/do /x@a")] {
        let hosts = Hosts::default();
        hosts.fate("a", Fate::Fails("no"));
        let mut first = play("p", &[&["a", "b"], &["c"]], vec![touch("/x")]);
        first.max_fail_percentage = Percent::new(percent);
        Setup::new(&hosts, plan(vec![first])).run();
        assert_eq!(
            outcomes(&hosts).last().unwrap(),
            &format!("p/do /x@c: {last}"),
            "{percent}"
        );
    }
}

#[test]
fn a_barrier_is_skipped_after_a_failed_predecessor() {
    let hosts = Hosts::default();
    hosts.fate("b", Fate::Fails("no"));
    let tasks = vec![touch("/staged"), once(touch("/rotated")), touch("/active")];
    Setup::new(&hosts, plan(vec![play("p", &[&["a", "b"]], tasks)])).run();
    assert_eq!(hosts.changes(), ["a: touch /staged"]);
}

#[test]
fn a_barrier_overlooks_hosts_that_were_lost_and_waits_for_those_that_are_held_back() {
    let run = |first: &[&[&str]]| {
        let hosts = Hosts::default();
        hosts.fate("a", Fate::Fails("no"));
        let later = vec![touch("/y"), once(touch("/z"))];
        let plays = vec![
            play("p", first, vec![touch("/x")]),
            play("q", &[&["b", "a"]], later),
        ];
        Setup::new(&hosts, plan(plays)).run();
        hosts.changes()
    };
    assert_eq!(
        run(&[&["a", "b"]]),
        ["b: touch /x", "b: touch /y", "b: touch /z"]
    );
    // The play has lost all its hosts: what follows it never starts, on whatever host.
    assert!(run(&[&["a"]]).is_empty());
}

#[test]
fn a_barrier_stands_between_all_hosts_before_and_after() {
    let hosts = Hosts::default();
    let tasks = vec![touch("/staged"), once(touch("/rotated")), touch("/active")];
    Setup::new(&hosts, plan(vec![play("p", &[&["a", "b"]], tasks)])).run();
    assert_eq!(
        hosts.changes(),
        [
            "a: touch /staged",
            "b: touch /staged",
            "a: touch /rotated",
            "a: touch /active",
            "b: touch /active"
        ]
    );
}

#[test]
fn what_was_performed_and_is_proposed_again_has_not_converged() {
    let hosts = Hosts::default();
    let ended = Setup::new(
        &hosts,
        plan(vec![play(
            "p",
            &[&["a"]],
            vec![task(&["true"], Some("/never"))],
        )]),
    )
    .run();
    assert_eq!(ended.exit, Exit::TaskFailed);
    assert!(ended.summary.roots[0].1.what[0].contains("not converged"));
    assert_eq!(hosts.changes().len(), 1);
}

#[test]
fn a_command_that_promises_nothing_is_not_proposed_again() {
    let hosts = Hosts::default();
    let ended = Setup::new(
        &hosts,
        plan(vec![play("p", &[&["a"]], vec![task(&["true"], None)])]),
    )
    .run();
    assert_eq!((ended.exit, hosts.changes().len()), (Exit::Fine, 1));
}

#[test]
fn a_change_that_was_never_started_is_sent_again() {
    let hosts = Hosts::default();
    hosts.fate("a", Fate::NotStarted);
    hosts.fate("a", Fate::NotStarted);
    let ended = Setup::new(
        &hosts,
        plan(vec![play("p", &[&["a"]], vec![task(&["true"], None)])]),
    )
    .run();
    assert_eq!((ended.exit, hosts.changes().len()), (Exit::Fine, 1));
}

#[test]
fn after_a_lost_connection_it_looks_and_repeats_only_what_is_not_there() {
    for done in [true, false] {
        let hosts = Hosts::default();
        hosts.fate("a", Fate::Lost { done });
        let ended = Setup::new(&hosts, plan(vec![play("p", &[&["a"]], vec![touch("/x")])])).run();
        assert_eq!(
            (ended.exit, hosts.changes().len(), ended.summary.changed),
            (Exit::Fine, 1, 1)
        );
    }
    let hosts = Hosts::default();
    hosts.fate("a", Fate::Lost { done: true });
    let ended = Setup::new(
        &hosts,
        plan(vec![play("p", &[&["a"]], vec![task(&["true"], None)])]),
    )
    .run();
    assert_eq!((ended.exit, hosts.changes().len()), (Exit::TaskFailed, 1));
}

#[test]
fn a_connection_that_is_lost_each_time_is_given_up() {
    let hosts = Hosts::default();
    (0..9).for_each(|_| hosts.fate("a", Fate::Lost { done: false }));
    let ended = Setup::new(&hosts, plan(vec![play("p", &[&["a"]], vec![touch("/x")])])).run();
    assert_eq!(ended.exit, Exit::TaskFailed);
    assert_eq!(hosts.model.lock().unwrap().fates["a"].len(), 5);
}

#[test]
fn an_unreachable_host_is_seven_with_the_hint() {
    let hosts = Hosts::default();
    hosts.fate("a", Fate::Unreachable);
    let ended = Setup::new(&hosts, plan(vec![play("p", &[&["a"]], vec![touch("/x")])])).run();
    assert_eq!(ended.exit, Exit::Unreachable);
    assert_eq!(ended.summary.roots[0].1.next, ["see that sshd runs there"]);
}

#[test]
fn a_task_that_exceeds_its_time_fails_and_names_what_it_was_doing() {
    let hosts = Hosts::default();
    hosts.fate("a", Fate::Hangs);
    let slow = Task {
        timeout: Some(Duration::from_secs(90)),
        ..touch("/x")
    };
    let ended = Setup::new(&hosts, plan(vec![play("p", &[&["a"]], vec![slow])])).run();
    assert_eq!(ended.exit, Exit::TaskFailed);
    assert!(
        ended.summary.roots[0].1.what[0].contains("run `touch /x`"),
        "{:?}",
        ended.summary.roots
    );
}

#[test]
fn undo_is_performed_where_the_task_had_started_one_host_after_the_other() {
    let hosts = Hosts::default();
    hosts.fate("b", Fate::Says(""));
    hosts.fate("b", Fate::Fails("no"));
    let active = Task {
        undo: vec![task(&["undo"], None)],
        ..touch("/active")
    };
    let mut first = play("p", &[&["a", "b", "c"]], vec![touch("/staged"), active]);
    first.any_errors_fatal = true;
    let ended = Setup::new(
        &hosts,
        plan(vec![first, play("q", &[&["a"]], vec![touch("/z")])]),
    )
    .run();
    assert_eq!(ended.exit, Exit::TaskFailed);
    let changes = hosts.changes();
    assert_eq!(
        changes[changes.len() - 3..],
        ["a: undo", "b: undo", "c: undo"]
    );
    assert!(outcomes(&hosts).contains(&"undo:p/do it@a: changed".to_owned()));
    assert!(outcomes(&hosts).contains(&"q/do /z@a: skipped because of p/do /active@b".to_owned()));
}

#[test]
fn when_is_looked_at_before_anything_else() {
    let hosts = Hosts::default();
    let never = Task {
        when: vec!["1 > 2".into()],
        ..touch("/x")
    };
    Setup::new(&hosts, plan(vec![play("p", &[&["a"]], vec![never])])).run();
    assert_eq!(outcomes(&hosts), ["p/do /x@a: not applicable"]);
    assert_eq!(hosts.model.lock().unwrap().looks, 0);
}

/// A journal that is full after some calls.
struct Full(usize, Arc<Mutex<Vec<Event>>>);

impl Sink for Full {
    fn on_events(&mut self, events: &[Event]) -> io::Result<()> {
        if self.0 == 0 {
            return Err(io::Error::other("no space left on device"));
        }
        self.0 -= 1;
        self.1.lock().unwrap().extend_from_slice(events);
        Ok(())
    }
}

#[test]
fn a_journal_that_cannot_be_written_ends_the_run_before_anything_is_changed() {
    for calls in 0..3 {
        let hosts = Hosts::default();
        let mut setup = Setup::new(&hosts, plan(vec![play("p", &[&["a"]], vec![touch("/x")])]));
        setup.journal = Some(Box::new(Full(calls, Arc::clone(&hosts.journal))));
        let ended = setup.run();
        assert_eq!(ended.exit, Exit::Journal, "{calls}");
        let announced = hosts
            .journal
            .lock()
            .unwrap()
            .iter()
            .any(|e| matches!(e.kind, EventKind::OpStarted { .. }));
        assert_eq!(!hosts.changes().is_empty(), announced, "{calls}");
    }
}

#[test]
fn a_run_that_only_looks_refuses_every_change() {
    let hosts = Hosts::default();
    let mut setup = Setup::new(&hosts, plan(vec![play("p", &[&["a"]], vec![touch("/x")])]));
    setup.read_only = true;
    assert_eq!(setup.run().exit, Exit::Internal);
    assert!(hosts.changes().is_empty());
}

#[test]
fn a_screen_that_is_gone_does_not_stop_the_run() {
    let hosts = Hosts::default();
    let mut setup = Setup::new(&hosts, plan(vec![play("p", &[&["a"]], vec![touch("/x")])]));
    setup.screens.push(Box::new(Full(0, Arc::default())));
    assert_eq!((setup.run().exit, hosts.changes().len()), (Exit::Fine, 1));
}
