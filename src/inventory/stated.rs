//! Which texts an inventory states, with their places: a token that was rotated may still stand among them.

use std::collections::BTreeMap;
use std::sync::Arc;

use minijinja::Value;
use minijinja::value::ValueKind;

use super::raw::VarMap;
use super::vault;
use crate::secret::{Secret, Stated};
use crate::source::{Problem, SourceSpan, SourceText};
use crate::template::{Vars, render_text};

/// Collects variables of hosts, each place once.
#[derive(Default)]
pub(super) struct Collector(BTreeMap<(usize, usize, String), Stated>);

impl Collector {
    /// Takes the variables of a host; those that say how it is reached are no tokens of K3s.
    pub(super) fn take(&mut self, places: &VarMap, vars: &Vars) {
        for (name, var) in places {
            let file = Arc::as_ptr(&var.text) as usize;
            let key = (file, var.at.offset(), name.clone());
            if name.starts_with("ansible_") || self.0.contains_key(&key) {
                continue;
            }
            let texts = (!vault::is_unread(&var.value)).then(|| texts(&var.value, vars, 8));
            if texts.as_ref().is_none_or(|texts| !texts.is_empty()) {
                let stated = Stated {
                    name: name.clone(),
                    place: place(&var.text, var.at),
                    texts,
                };
                self.0.insert(key, stated);
            }
        }
    }

    /// All of them, file by file.
    pub(super) fn all(self) -> Vec<Stated> {
        let mut all: Vec<Stated> = self.0.into_values().collect();
        all.sort_by(|a, b| (&a.place, &a.name).cmp(&(&b.place, &b.name)));
        all
    }
}

fn place(text: &SourceText, at: SourceSpan) -> String {
    let problem = Problem::new("", "").at(text, at);
    match problem.position() {
        Some((file, line, _)) => format!("{file}:{line}"),
        None => text.name().to_owned(),
    }
}

fn texts(value: &Value, vars: &Vars, levels: usize) -> Vec<Secret> {
    match value.kind() {
        ValueKind::String => {
            let text = render_text(&value.to_string(), vars).unwrap_or_default();
            let text = Some(text).filter(|text| !text.is_empty());
            text.map(Secret::new).into_iter().collect()
        }
        ValueKind::Map if levels > 0 => {
            let keys = value.try_iter().into_iter().flatten();
            let items = keys.map(|key| value.get_item(&key).unwrap_or_default());
            items.flat_map(|it| texts(&it, vars, levels - 1)).collect()
        }
        ValueKind::Seq if levels > 0 => {
            let items = value.try_iter().into_iter().flatten();
            items.flat_map(|it| texts(&it, vars, levels - 1)).collect()
        }
        _ => Vec::new(),
    }
}
