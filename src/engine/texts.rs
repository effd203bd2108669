//! Every text in an event, so that redaction reaches all of them.
//!
//! Each pattern names every field: a new field does not compile until it is dealt with here.

use camino::Utf8PathBuf;

use super::redact::Redactor;
use crate::event::{Event, EventKind, Failure, OpOutcome, Summary, TaskOutcome};
use crate::k3s::knock::{Door, Knock};
use crate::model::{RunId, TaskKey};
use crate::op::custody::{Deposit, Parcel, Source};
use crate::op::{Act, Op, Until, Wait};
use crate::wire::{Become, Command, Guard, Holds, Owner, WriteFile};

/// Covers every secret in an event. Host names stay: they come from the inventory and name no secret.
pub(super) fn redact(event: &mut Event, by: &Redactor) {
    let Event {
        seq: _,
        at: _,
        kind,
    } = event;
    match kind {
        EventKind::RunStarted {
            run: RunId(run),
            format: _,
            playbook,
            inventory,
            check: _,
            plays,
        } => {
            for text in [run, playbook, inventory] {
                by.redact(text);
            }
            for (name, _) in plays {
                by.redact(name);
            }
        }
        EventKind::BatchStarted {
            play,
            batch: _,
            of: _,
            hosts: _,
        } => by.redact(play),
        EventKind::RunEnded { exit: _, summary } => redact_summary(summary, by),
        EventKind::Stopping { text } => by.redact(text),
        EventKind::GateStarted {
            key: TaskKey(key),
            hosts: _,
        } => by.redact(key),
        EventKind::GateWaiting {
            key: TaskKey(key),
            because,
        } => {
            by.redact(key);
            all(because, by);
        }
        EventKind::GateEnded {
            key: TaskKey(key),
            failure,
        } => {
            by.redact(key);
            if let Some(failure) = failure {
                redact_failure(failure, by);
            }
        }
        kind => redact_task(kind, by),
    }
}

fn redact_task(kind: &mut EventKind, by: &Redactor) {
    match kind {
        EventKind::TaskStarted {
            key: TaskKey(key),
            host: _,
            name: text,
        }
        | EventKind::Note {
            key: TaskKey(key),
            host: _,
            text,
        }
        | EventKind::Left {
            key: TaskKey(key),
            host: _,
            text,
        } => {
            by.redact(key);
            by.redact(text);
        }
        EventKind::Proved {
            key: TaskKey(key),
            host: _,
            verdict: _,
            because,
        } => {
            by.redact(key);
            all(because, by);
        }
        EventKind::Proposed {
            key: TaskKey(key),
            host: _,
            ops,
            not_known,
        } => {
            by.redact(key);
            for op in ops {
                redact_op(op, by);
            }
            all(not_known, by);
        }
        EventKind::TaskEnded {
            key: TaskKey(key),
            host: _,
            outcome,
        } => {
            by.redact(key);
            redact_outcome(outcome, by);
        }
        kind => redact_performed(kind, by),
    }
}

fn redact_performed(kind: &mut EventKind, by: &Redactor) {
    match kind {
        EventKind::OpStarted {
            key: TaskKey(key),
            index: _,
            op,
        } => {
            by.redact(key);
            redact_op(op, by);
        }
        EventKind::OpEnded {
            key: TaskKey(key),
            index: _,
            outcome,
        } => {
            by.redact(key);
            redact_end(outcome, by);
        }
        EventKind::Window {
            key: TaskKey(key),
            name,
            began_ms: _,
            hosts: _,
            open: _,
        } => {
            by.redact(key);
            by.redact(name);
        }
        EventKind::RunStarted { .. }
        | EventKind::TaskStarted { .. }
        | EventKind::Note { .. }
        | EventKind::Left { .. }
        | EventKind::Proved { .. }
        | EventKind::Proposed { .. }
        | EventKind::TaskEnded { .. }
        | EventKind::BatchStarted { .. }
        | EventKind::GateStarted { .. }
        | EventKind::GateWaiting { .. }
        | EventKind::GateEnded { .. }
        | EventKind::Stopping { .. }
        | EventKind::RunEnded { .. } => {}
    }
}

fn redact_end(outcome: &mut OpOutcome, by: &Redactor) {
    match outcome {
        OpOutcome::Done => {}
        OpOutcome::Failed(failure) => redact_failure(failure, by),
        OpOutcome::Unknown(why) | OpOutcome::Moved(why) => by.redact(why),
    }
}

fn redact_outcome(outcome: &mut TaskOutcome, by: &Redactor) {
    match outcome {
        TaskOutcome::Satisfied | TaskOutcome::Changed | TaskOutcome::NotApplicable => {}
        TaskOutcome::Failed(failure) | TaskOutcome::Ignored(failure) => redact_failure(failure, by),
        TaskOutcome::Skipped {
            because: TaskKey(because),
        } => by.redact(because),
    }
}

fn all(texts: &mut [String], by: &Redactor) {
    for text in texts {
        by.redact(text);
    }
}

fn redact_failure(failure: &mut Failure, by: &Redactor) {
    let Failure {
        what,
        next,
        exit: _,
    } = failure;
    all(what, by);
    all(next, by);
}

fn redact_summary(summary: &mut Summary, by: &Redactor) {
    let Summary {
        satisfied: _,
        changed: _,
        failed: _,
        stopped: _,
        ignored: _,
        skipped: _,
        changed_hosts: _,
        verdict: _,
        doubts,
        roots,
        notes,
        next,
    } = summary;
    for (TaskKey(key), failure) in roots {
        by.redact(key);
        redact_failure(failure, by);
    }
    all(doubts, by);
    all(notes, by);
    by.redact(next);
}

fn redact_op(op: &mut Op, by: &Redactor) {
    let Op {
        on: _,
        r#become,
        why,
        act,
        reload: _,
        guards,
        at_once,
    } = op;
    by.redact(why);
    all(at_once.as_mut_slice(), by);
    redact_guards(guards, by);
    match r#become {
        Become::Login | Become::Root => {}
        Become::User(user) => by.redact(user),
    }
    match act {
        Act::Tell(command) => redact_command(command, by),
        Act::Run { command, leaves } => {
            redact_command(command, by);
            for (path, _) in leaves {
                redact_path(path, by);
            }
        }
        Act::WriteFile(WriteFile {
            path,
            content: _,
            mode: _,
            owner,
            make_parent: _,
        }) => {
            redact_path(path, by);
            match owner {
                Owner::Runner => {}
                Owner::Like(path) => redact_path(path, by),
            }
        }
        Act::Keep(deposit) => redact_deposit(deposit, by),
        Act::Fetch(parcel) => redact_parcel(parcel, by),
        Act::Remove { path } => redact_path(path, by),
        Act::Rename { from, to } => {
            redact_path(from, by);
            redact_path(to, by);
        }
        Act::Wait(Wait {
            until,
            timeout: _,
            interval: _,
        }) => redact_until(until, by),
    }
}

fn redact_guards(guards: &mut [Guard], by: &Redactor) {
    for Guard { path, holds } in guards {
        redact_path(path, by);
        match holds {
            Holds::Bytes(_) | Holds::Nothing => {}
            Holds::Names(names) => all(names, by),
        }
    }
}

/// Standard input and descriptor 3 print as their number of bytes.
fn redact_command(command: &mut Command, by: &Redactor) {
    let Command {
        argv,
        stdin: _,
        fd3: _,
        timeout: _,
        direct: _,
    } = command;
    all(argv, by);
}

fn redact_deposit(deposit: &mut Deposit, by: &Redactor) {
    let Deposit {
        folder,
        rotation: _,
        servers: _,
        snapshots,
        to_come,
        old: _,
        note,
    } = deposit;
    let paths = snapshots.iter_mut().chain(to_come).map(|(_, path)| path);
    for path in paths.chain(folder) {
        redact_path(path, by);
    }
    by.redact(note);
}

fn redact_parcel(parcel: &mut Parcel, by: &Redactor) {
    let Parcel {
        rotation: _,
        begins,
        source: Source::File(path) | Source::In(path),
    } = parcel;
    by.redact(begins);
    redact_path(path, by);
}

fn redact_until(until: &mut Until, by: &Redactor) {
    match until {
        Until::Restarted { unit, before } => {
            by.redact(unit);
            by.redact(before);
        }
        Until::Accepts(Knock {
            door:
                Door {
                    k3s,
                    url,
                    ca,
                    name: _,
                },
            role: _,
            secret: _,
        }) => {
            redact_path(&mut k3s.path, by);
            redact_path(&mut k3s.data_dir, by);
            by.redact(url);
            redact_path(ca, by);
        }
        Until::CaughtUp { with: _ } => {}
    }
}

fn redact_path(path: &mut Utf8PathBuf, by: &Redactor) {
    let mut text = path.as_str().to_owned();
    by.redact(&mut text);
    if text != path.as_str() {
        *path = text.into();
    }
}
