//! What playbooks do that bad runbooks do: warnings, each with the place and what to do instead.

use super::super::{BatchSize, Play, Playbook, Task};
use super::words::{Words, restarts, text};
use crate::findings::{Entry, entry};
use crate::inventory::{Inventory, select};
use crate::model::{GroupName, HostName};
use crate::source::{Problem, Problems, SourceSpan, SourceText, cover, is_secret_name};
use crate::steps::Step;

/// All bad habits of a playbook. Secrets that stand in commands are covered in what is shown of it.
pub(super) fn habits(playbook: &Playbook, inventory: &Inventory) -> Problems {
    let mut problems = Problems::default();
    let tasks = || playbook.plays.iter().flat_map(|play| &play.tasks);
    let values: Vec<String> = tasks().flat_map(with_undo).filter_map(value).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let shown = cover(&playbook.text, &values);
    for play in &playbook.plays {
        for task in play.tasks.iter().flat_map(with_undo) {
            for (name, at) in of_task(playbook, task) {
                problems.push(problem(&shown, name, at));
            }
        }
        if at_once(play, inventory) {
            let at = play.places.hosts;
            problems.push(problem(&shown, "restarts-servers-at-once", at));
        }
    }
    problems
}

fn problem(shown: &SourceText, name: &'static str, at: SourceSpan) -> Problem {
    let known = entry(name);
    let text = |of: fn(&Entry) -> &'static str| known.map_or(name, of);
    Problem::new(name, text(|it| it.what))
        .at(shown, at)
        .help(format!("{}; {}", text(|it| it.why), text(|it| it.next)))
        .warning()
}

/// The literal secret in a command's arguments.
fn value(task: &Task) -> Option<String> {
    let Step::Command(command) = &task.step else {
        return None;
    };
    let argv: Vec<&str> = command.argv.iter().map(text).collect();
    secret(&Words::of(&argv))?.value
}

fn with_undo(task: &Task) -> impl Iterator<Item = &Task> {
    std::iter::once(task).chain(&task.undo)
}

/// Names of what one task does, each with the word that gives it away.
fn of_task(playbook: &Playbook, task: &Task) -> Vec<(&'static str, SourceSpan)> {
    let Step::Command(command) = &task.step else {
        return Vec::new();
    };
    let argv: Vec<&str> = command.argv.iter().map(text).collect();
    let words = Words::of(&argv);
    let checks = [
        ("writes-node-token", writes_node_token(&words)),
        ("deletes-agent-db-token", words.ending("agent/db/token")),
        ("widens-token-file", widens(&words)),
        ("rotates-by-command", rotates(&words)),
        ("secret-in-arguments", secret(&words).map(|it| it.sign)),
        ("restarts-by-command", restarts(&words)),
    ];
    let found = checks.into_iter().filter_map(|(name, word)| {
        let place = within(playbook, task.at, &word?);
        Some((name, place))
    });
    found.collect()
}

/// Where a word stands behind the beginning of a step's arguments.
fn within(playbook: &Playbook, at: SourceSpan, word: &str) -> SourceSpan {
    let rest = playbook.text.inner().get(at.offset()..).unwrap_or_default();
    rest.find(word)
        .map_or(at, |from| (at.offset() + from, word.len()).into())
}

fn writes_node_token(words: &Words) -> Option<String> {
    let path = words.ending("node-token")?;
    let changes = [
        "tee", "rm", "mv", "dd", "truncate", "shred", "unlink", ">", ">>",
    ];
    let to_last = ["cp", "install", "ln"];
    let is_last = words.last() == Some(path.as_str());
    let writes = words.has_any(&changes)
        || words.has_any(&to_last) && is_last
        || words.has_any(&["sed"]) && words.has_any(&["-i"]);
    writes.then_some(path)
}

fn widens(words: &Words) -> Option<String> {
    let holds_token = |word: &&str| {
        let name = word.rsplit('/').next().unwrap_or_default();
        matches!(name, "token" | "node-token" | "agent-token")
            || word.ends_with("cred/passwd")
            || word.contains("rancher/k3s/config.yaml")
            || name.starts_with("k3s") && name.rsplit('.').next() == Some("env")
    };
    let mode = words.after("chmod").find(|word| lets_others_read(word))?;
    words.after("chmod").find(holds_token)?;
    Some(mode.to_owned())
}

/// `644`, `0640`, `a+r`, `o=r`, `+r`.
fn lets_others_read(mode: &str) -> bool {
    let digits = mode.len() >= 3 && mode.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    if digits {
        return u32::from_str_radix(mode, 8).is_ok_and(|mode| mode & 0o077 != 0);
    }
    mode.split_once(['+', '=']).is_some_and(|(who, what)| {
        let others = who.is_empty() || who.contains(['g', 'o', 'a']);
        others && who.chars().all(|c| "ugoa".contains(c)) && what.contains('r')
    })
}

fn rotates(words: &Words) -> Option<String> {
    words.program("k3s")?;
    let mut after = words.after("token");
    (after.next() == Some("rotate")).then(|| "rotate".to_owned())
}

/// A secret in the arguments of a command.
struct Spoken {
    /// The word that gives it away.
    sign: String,
    /// The secret itself, when it stands there literally.
    value: Option<String>,
}

/// A flag or variable of a secret's name with a value, a full token, or a secret variable in an expression.
fn secret(words: &Words) -> Option<Spoken> {
    let full = |word: &&str| word.contains("K10") && word.contains("::");
    if let Some(word) = words.iter().find(full) {
        let (sign, value) = (word.to_owned(), Some(word.to_owned()));
        return Some(Spoken { sign, value });
    }
    let mut rest = words.iter().peekable();
    while let Some(word) = rest.next() {
        let (flag, value) = match word.split_once('=') {
            Some((flag, value)) => (flag, Some(value)),
            None if word.starts_with("--") => (word, rest.peek().copied()),
            None => continue,
        };
        let name = flag.trim_start_matches('-').trim_matches(['\'', '"']);
        let value = value.map(|value| value.trim_matches(['\'', '"']));
        let is_value = |value: &&str| !value.is_empty() && !value.starts_with(['/', '-', '$']);
        if let Some(value) = value.filter(is_value).filter(|_| is_secret_name(name)) {
            let sign = flag.to_owned();
            let value = (!value.starts_with("{{")).then(|| value.to_owned());
            return Some(Spoken { sign, value });
        }
    }
    words.expressions().find_map(|expression| {
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let mut names = expression.split(|c| !is_name(c));
        let sign = names.find(|name| is_secret_name(name))?.to_owned();
        Some(Spoken { sign, value: None })
    })
}

/// Whether a batch of the play restarts more than one server.
fn at_once(play: &Play, inventory: &Inventory) -> bool {
    let restarts = play
        .tasks
        .iter()
        .filter(|task| !task.run_once)
        .any(|task| match &task.step {
            Step::K3sRestart(_) => true,
            Step::Command(command) => {
                let argv: Vec<&str> = command.argv.iter().map(text).collect();
                restarts(&Words::of(&argv)).is_some()
            }
            _ => false,
        });
    let hosts = select(inventory, &play.hosts).unwrap_or_default();
    let servers = GroupName::new("server")
        .ok()
        .and_then(|group| inventory.groups.get(&group));
    let is_server = |host: &&HostName| servers.is_some_and(|servers| servers.contains(*host));
    let several = |size: &BatchSize| match size {
        BatchSize::Count(count) => count.get() > 1,
        BatchSize::Share(share) => hosts.len() * usize::from(share.get()) / 100 > 1,
    };
    restarts
        && hosts.iter().filter(is_server).count() > 1
        && (play.serial.is_empty() || play.serial.iter().any(several))
}
