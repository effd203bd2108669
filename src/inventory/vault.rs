//! What Ansible vault has encrypted. It is not read, which is a mistake only where the value is needed.

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, Value};

use crate::source::{Node, Problem, Scalar, SourceSpan, SourceText};

/// How an encrypted text begins.
const SIGN: &str = "$ANSIBLE_VAULT;";

/// Whether a text is encrypted.
pub(super) fn is_encrypted(text: &str) -> bool {
    text.trim_start().starts_with(SIGN)
}

/// Whether anything in it is encrypted.
pub(super) fn has_encrypted(node: &Node) -> bool {
    let mut found = false;
    let mut look = |_: &Node, scalar: &Scalar| found |= is_encrypted(&scalar.text);
    node.scalars(&mut look);
    found
}

/// The value of a variable that is not read: an error to whoever needs it.
pub(super) fn unread(name: &str) -> Value {
    let what = format!("`{name}` is encrypted by Ansible vault, which keyroll does not read");
    Value::from(Error::new(ErrorKind::InvalidOperation, what))
}

/// Whether it stands for something that is not read.
pub(super) fn is_unread(value: &Value) -> bool {
    value.kind() == ValueKind::Invalid
}

/// Said of each.
pub(super) fn warning(what: String, text: &SourceText, at: impl Into<SourceSpan>) -> Problem {
    let problem = Problem::new("inventory::unread", what).at(text, at);
    let help = "keyroll goes on without it; a sudo password is asked for with -K, what else is needed can be given with -e";
    problem.help(help).warning()
}
