//! What a step proposed, in the words of the cases, and how it differs from what a case says.

use keyroll::k3s::age::{ANNOTATION, parse_stamp};
use keyroll::op::{Act, Op, Until};
use keyroll::steps::Proposal;

use super::case::Case;

/// A moment that is noted depends on how long all before it took.
fn timeless(line: &str) -> String {
    let Some((before, moment)) = line.split_once(&format!("{ANNOTATION}=")) else {
        return line.to_owned();
    };
    assert!(parse_stamp(moment).is_some(), "{line}");
    format!("{before}{ANNOTATION}=TIME")
}

pub(super) fn spell(op: &Op) -> String {
    let act = match &op.act {
        Act::Run { command, .. } | Act::Tell(command) => format!(
            "run {}",
            timeless(&command.argv.join(" ").replace("/usr/local/bin/", ""))
        ),
        Act::WriteFile(file) => format!("write {} {:o}", file.path, file.mode),
        Act::Rename { from, to } => format!("rename {from} to {}", to.file_name().unwrap()),
        Act::Remove { path } => format!("remove {path}"),
        Act::Keep(deposit) => format!("keep {}", deposit.rotation.tag),
        Act::Fetch(parcel) => format!("fetch {}", parcel.begins),
        Act::Wait(wait) => match &wait.until {
            Until::Restarted { unit, .. } => format!("wait restarted {unit}"),
            Until::Accepts(knock) => format!("wait accepted as {}", knock.role.user()),
            Until::CaughtUp { with } => format!("wait caught up with {with}"),
        },
    };
    format!("{} {act}", op.on)
}

/// Notes that are missing, and those that should not be there.
fn misspoken(case: &Case, notes: &[String]) -> Vec<String> {
    let has = |part: &&String| notes.iter().any(|said| said.contains(part.as_str()));
    let missing = case.notes.iter().filter(|part| !has(part));
    let missing = missing.map(|part| format!("no note has {part:?}: {notes:#?}"));
    let odd = case.silent.iter().filter(has);
    let odd = odd.map(|part| format!("a note has {part:?}: {notes:#?}"));
    missing.chain(odd).collect()
}

/// What differs from what the case says.
pub(super) fn compare(case: &Case, proposal: &Proposal) -> Vec<String> {
    let mut wrong = Vec::new();
    if case.error.is_some() {
        wrong.push("it could look".to_owned());
    }
    let ops: Vec<String> = proposal.ops.iter().map(spell).collect();
    if ops != case.ops {
        wrong.push(format!("ops: {ops:#?}"));
    }
    let mut unmet: Vec<&str> = proposal.unmet.iter().map(|unmet| unmet.name).collect();
    unmet.dedup();
    if unmet != case.unmet {
        wrong.push(format!("unmet: {:#?}", proposal.unmet));
    }
    let expected = |said: &&String| case.doubts.iter().any(|part| said.contains(part.as_str()));
    if proposal.doubts.iter().filter(expected).count() != proposal.doubts.len()
        || proposal.doubts.len() < case.doubts.len()
    {
        wrong.push(format!("doubts: {:#?}", proposal.doubts));
    }
    wrong.extend(misspoken(case, &proposal.notes));
    wrong
}
