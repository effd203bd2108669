//! Where playbooks come from: a file, or the product itself.

use std::path::Path;

use super::{Playbook, parse};
use crate::source::{Problem, Problems, Source, nearest, read_file};
use crate::steps::Step;

/// Playbooks that are part of the product, with their texts.
const BUILTINS: &[(&str, &str)] = &[
    ("@heal", include_str!("../../playbooks/heal.yml")),
    (
        "@join-token",
        include_str!("../../playbooks/join-token.yml"),
    ),
    ("@rescue", include_str!("../../playbooks/rescue.yml")),
    (
        "@revoke-join-token",
        include_str!("../../playbooks/revoke-join-token.yml"),
    ),
    ("@rollback", include_str!("../../playbooks/rollback.yml")),
    (
        "@rotate-agent-token",
        include_str!("../../playbooks/rotate-agent-token.yml"),
    ),
    (
        "@rotate-token",
        include_str!("../../playbooks/rotate-token.yml"),
    ),
    (
        "@rotate-tokens",
        include_str!("../../playbooks/rotate-tokens.yml"),
    ),
    ("@verify", include_str!("../../playbooks/verify.yml")),
];

/// Reads a playbook from a path, or a built-in one by its name: `@rotate-token`.
///
/// # Errors
/// With every mistake that its text alone shows.
pub fn read(name: &str) -> Result<Playbook, Problems> {
    if name.starts_with('@') {
        return parse(&builtin(name)?);
    }
    parse(&read_file("playbook", Path::new(name), Step::NAMES)?)
}

fn builtin(name: &str) -> Result<Source, Problem> {
    let found = BUILTINS.iter().find(|(known, _)| *known == name);
    let names = || BUILTINS.iter().map(|(name, _)| *name);
    found
        .map(|(name, text)| Source::new(name, *text, Step::NAMES))
        .ok_or_else(|| {
            let problem = Problem::new(
                "playbook::no-such-builtin",
                format!("there is no built-in playbook `{name}`"),
            );
            match nearest(name, names()) {
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None => problem.help(format!(
                    "built in: {}",
                    names().collect::<Vec<_>>().join(", ")
                )),
            }
        })
}
