//! Tasks: keywords and exactly one step.

use super::{Reader, command};
use crate::playbook::Task;
use crate::playbook::keywords::{IN_TASK, MODULES_LATER, TASK, TASK_LATER};
use crate::source::{Entry, Node, SourceSpan, nearest};
use crate::steps::Step;

/// Which list a task stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Below {
    /// `tasks` of a play.
    Tasks,
    /// `undo` of a task.
    Undo,
}

/// Reads the list of tasks below `tasks` or `undo`.
pub(super) fn list(entry: &Entry, below: Below, reader: &mut Reader<'_>) -> Vec<Task> {
    let node = &entry.value;
    let Some(items) = node.items() else {
        if !node.is_null() {
            reader.wrong(node, &entry.key, "a list of tasks");
        }
        return Vec::new();
    };
    let mut tasks: Vec<Task> = Vec::new();
    for item in items {
        if let Some(mut task) = read(item, below, reader) {
            task.name = free_name(&task.name, &tasks);
            tasks.push(task);
        }
    }
    tasks
}

/// Task names are parts of keys, so that a second one of the same name is counted.
fn free_name(name: &str, earlier: &[Task]) -> String {
    let taken = |name: &str| earlier.iter().any(|task| task.name == name);
    let mut free = name.to_owned();
    let mut count = 1;
    while taken(&free) {
        count += 1;
        free = format!("{name} ({count})");
    }
    free
}

fn read(node: &Node, below: Below, reader: &mut Reader<'_>) -> Option<Task> {
    let Some(entries) = node.entries() else {
        let what = format!("a task is a map, not {}", node.noun());
        reader.problem(
            "playbook::type",
            what,
            node.at,
            "write a step and its arguments: `- k3s_restart: {}`",
        );
        return None;
    };
    let (keywords, others): (Vec<&Entry>, Vec<&Entry>) = entries
        .iter()
        .partition(|entry| TASK.contains(&entry.key.as_str()));
    let step = step(node, &others, reader);
    let mut draft = Draft::default();
    for entry in keywords {
        draft.take(entry, below, reader);
    }
    let (step, default_name, at) = step?;
    if let Some(entry) = draft.ignore_errors
        && step.is_relied_on()
    {
        relied_on(&step, entry, reader);
    }
    Some(Task {
        name: draft.name.unwrap_or(default_name),
        step,
        at,
        when: draft.when,
        run_once: draft.run_once,
        timeout: draft.timeout,
        ignore_errors: draft.ignore_errors.is_some(),
        undo: draft.undo,
    })
}

/// Keywords read so far.
#[derive(Default)]
struct Draft<'a> {
    name: Option<String>,
    when: Vec<String>,
    run_once: bool,
    timeout: Option<std::time::Duration>,
    /// Where it says that errors are ignored.
    ignore_errors: Option<&'a Entry>,
    undo: Vec<Task>,
}

impl<'a> Draft<'a> {
    fn take(&mut self, entry: &'a Entry, below: Below, reader: &mut Reader<'_>) {
        let value = &*entry.value;
        match entry.key.as_str() {
            "name" => self.name = reader.text(value, "name"),
            "when" => self.when = when(value, reader),
            "run_once" => self.run_once = reader.boolean(value, "run_once").unwrap_or_default(),
            "timeout" => self.timeout = reader.duration(value, "timeout"),
            "ignore_errors" => {
                let ignored = reader.boolean(value, "ignore_errors").unwrap_or_default();
                self.ignore_errors = ignored.then_some(entry);
            }
            _ => self.undo = undo(entry, below, reader),
        }
    }
}

fn when(node: &Node, reader: &mut Reader<'_>) -> Vec<String> {
    let expressions = reader.texts(node, "when");
    for (text, at) in &expressions {
        reader.expression(text, *at, "when");
    }
    expressions.into_iter().map(|(text, _)| text).collect()
}

/// What comes after such a step takes for granted that it went well.
fn relied_on(step: &Step, entry: &Entry, reader: &mut Reader<'_>) {
    let what = format!(
        "a failure of `{}` cannot be ignored: what comes after it would go on from a half-way cluster",
        step.name()
    );
    let help =
        "remove `ignore_errors`; a run that is started again goes on from where the cluster is";
    reader.problem("playbook::ignore-errors", what, entry.at, help);
}

/// `undo` is performed when its task fails: what undoes has no `undo` of its own, and is done on every host.
fn undo(entry: &Entry, below: Below, reader: &mut Reader<'_>) -> Vec<Task> {
    if below == Below::Undo {
        let help = "let each task of `undo` be safe to repeat instead";
        reader.problem(
            "playbook::undo",
            "an `undo` cannot have an `undo` of its own",
            entry.at,
            help,
        );
        return Vec::new();
    }
    let tasks = list(entry, Below::Undo, reader);
    if let Some(index) = tasks.iter().position(|task| task.run_once) {
        let item = entry.value.items().and_then(|items| items.get(index));
        let at = item
            .and_then(|item| item.entries())
            .and_then(|entries| entries.iter().find(|e| e.key == "run_once"))
            .map_or(entry.at, |entry| entry.at);
        let what =
            "a task of `undo` is performed on every host of the batch: it cannot be `run_once`";
        reader.problem("playbook::undo", what, at, "remove `run_once`");
    }
    tasks
}

fn step(
    node: &Node,
    others: &[&Entry],
    reader: &mut Reader<'_>,
) -> Option<(Step, String, SourceSpan)> {
    let (steps, strangers): (Vec<&Entry>, Vec<&Entry>) = others
        .iter()
        .partition(|entry| Step::NAMES.contains(&entry.key.as_str()));
    for entry in &strangers {
        stranger(entry, !steps.is_empty(), reader);
    }
    match steps.as_slice() {
        [] if strangers.is_empty() => {
            let help = format!("add one of {}", Step::NAMES.join(", "));
            reader.problem("playbook::no-step", "this task has no step", node.at, help);
            None
        }
        [] => None,
        [entry] => arguments(entry, reader),
        [first, second, ..] => {
            let what = format!(
                "a task has one step, and this one has `{}` and `{}`",
                first.key, second.key
            );
            reader.problem(
                "playbook::two-steps",
                what,
                second.at,
                "make them two tasks",
            );
            None
        }
    }
}

/// A key that is neither a keyword nor a step.
fn stranger(entry: &Entry, has_step: bool, reader: &mut Reader<'_>) {
    let key = entry.key.as_str();
    let short = key.rsplit('.').next().unwrap_or(key);
    if TASK_LATER.contains(&key) || has_step && !MODULES_LATER.contains(&short) {
        return reader.unknown(key, entry.at, &IN_TASK);
    }
    let known = Step::NAMES.iter().chain(TASK).copied();
    let (what, help) = if short != key && Step::NAMES.contains(&short) {
        (
            format!("there is no step `{key}`"),
            format!("write `{short}`, without the collection"),
        )
    } else if MODULES_LATER.contains(&short) {
        let what = format!("`{key}` is a module of Ansible and not a step of keyroll yet");
        (what, format!("steps are {}", Step::NAMES.join(", ")))
    } else if let Some(near) = nearest(key, known) {
        (
            format!("there is no step `{key}`"),
            format!("did you mean `{near}`?"),
        )
    } else {
        (
            format!("there is no step `{key}`"),
            format!("steps are {}", Step::NAMES.join(", ")),
        )
    };
    reader.problem("playbook::unknown-step", what, entry.at, help);
}

fn arguments(entry: &Entry, reader: &mut Reader<'_>) -> Option<(Step, String, SourceSpan)> {
    reader.templates(&entry.value);
    let name = match entry.value.get("state").and_then(|state| state.text()) {
        Some(state) => format!("{}: {state}", entry.key),
        None => entry.key.clone(),
    };
    let written = match entry.key.as_str() {
        "command" => command::written_out(&entry.value),
        _ => entry.value.clone(),
    };
    match Step::arguments(&entry.key, &*written)? {
        Ok(step) => {
            conditions(entry, &step, reader);
            Some((step, name, entry.value.at))
        }
        Err(misfit) => {
            let at = if entry.value.at.is_empty() {
                entry.at
            } else {
                entry.value.at
            };
            let misfit = crate::source::Misfit {
                at: misfit.at.filter(|at| !at.is_empty()),
                ..misfit
            };
            reader.misfit(misfit, at, &format!("`{}`", entry.key));
            None
        }
    }
}

/// `assert` holds expressions, as `when` does.
fn conditions(entry: &Entry, step: &Step, reader: &mut Reader<'_>) {
    if !matches!(step, Step::Assert(_)) {
        return;
    }
    let Some(that) = entry.value.get("that") else {
        return;
    };
    for (text, at) in reader.texts(that, "that") {
        reader.expression(&text, at, "that");
    }
}
