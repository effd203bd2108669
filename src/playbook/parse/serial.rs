//! `serial`: a number, a percentage, or a list of them.

use std::num::NonZeroUsize;

use super::Reader;
use crate::model::Percent;
use crate::playbook::BatchSize;
use crate::source::Node;

/// Reads `serial`.
pub(super) fn read(node: &Node, reader: &mut Reader<'_>) -> Vec<BatchSize> {
    match node.items() {
        Some([]) => {
            reader.wrong(node, "serial", "a number, a percentage or a list of them");
            Vec::new()
        }
        Some(items) => items.iter().filter_map(|item| size(item, reader)).collect(),
        None => size(node, reader).into_iter().collect(),
    }
}

fn size(node: &Node, reader: &mut Reader<'_>) -> Option<BatchSize> {
    let text = node.text().unwrap_or_default();
    let size = match text.strip_suffix('%') {
        Some(share) => share
            .trim()
            .parse()
            .ok()
            .and_then(Percent::new)
            .filter(|share| share.get() > 0)
            .map(BatchSize::Share),
        None => text
            .parse()
            .ok()
            .and_then(NonZeroUsize::new)
            .map(BatchSize::Count),
    };
    if size.is_none() {
        let found = if text.is_empty() { node.noun() } else { text };
        let what = format!("`serial` is a number of hosts or a percentage, not `{found}`");
        let help = "write `1`, `25%` or a list such as `[1, 10%, 50%]`; leave it out to take all hosts at once";
        reader.problem("playbook::serial", what, node.at, help);
    }
    size
}

/// Reads `max_fail_percentage`.
pub(super) fn percent(node: &Node, reader: &mut Reader<'_>) -> Option<Percent> {
    let text = node.text().unwrap_or_default();
    let percent = text
        .trim_end_matches('%')
        .trim()
        .parse()
        .ok()
        .and_then(Percent::new);
    if percent.is_none() {
        let what = "`max_fail_percentage` is a whole number from 0 to 100";
        reader.problem(
            "playbook::percent",
            what,
            node.at,
            "0 means that no host may fail",
        );
    }
    percent
}
