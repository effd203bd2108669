//! Which texts an inventory states, with their places: a token that was rotated may still stand among them.

use std::collections::BTreeMap;
use std::sync::Arc;

use minijinja::Value;
use minijinja::value::ValueKind;

use super::raw::{Var, VarMap};
use super::{Inventory, vault};
use crate::secret::{Secret, Stated};
use crate::source::SourceText;
use crate::template::{Vars, render_text};

/// Variables of hosts, each place once: by file, place in it and name. They are not looked into before somebody asks.
#[derive(Clone, Default)]
pub(super) struct Places(BTreeMap<(usize, usize, String), (Var, Vars)>);

impl std::fmt::Debug for Places {
    // Variables may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "<{} variables>", self.0.len())
    }
}

impl Places {
    /// Takes the variables of a host; those that say how it is reached are no tokens of K3s.
    pub(super) fn take(&mut self, places: &VarMap, vars: &Vars) {
        for (name, var) in places {
            if !name.starts_with("ansible_") {
                let file = Arc::as_ptr(&var.text) as usize;
                let key = (file, var.at.offset(), name.clone());
                let taken = || (var.clone(), Arc::clone(vars));
                self.0.entry(key).or_insert_with(taken);
            }
        }
    }
}

impl Inventory {
    /// Texts that stand in it, of hosts in the groups `server` and `agent`, with their places, file by file.
    #[must_use]
    pub fn stated(&self) -> Vec<Stated> {
        let mut all = Vec::new();
        let mut lines = Lines::default();
        for ((file, offset, name), (var, vars)) in &self.places.0 {
            let line = lines.count(*file, *offset, &var.text);
            let texts = (!vault::is_unread(&var.value)).then(|| texts(&var.value, vars, 8));
            if texts.as_ref().is_none_or(|texts| !texts.is_empty()) {
                let stated = Stated {
                    name: name.clone(),
                    place: format!("{}:{line}", var.text.name()),
                    texts,
                };
                all.push((var.text.name(), line, stated));
            }
        }
        all.sort_by(|a, b| (a.0, a.1, &a.2.name).cmp(&(b.0, b.1, &b.2.name)));
        all.into_iter().map(|(_, _, stated)| stated).collect()
    }
}

/// Counts the lines of files whose places come in order, going over each file once.
#[derive(Default)]
struct Lines {
    file: usize,
    offset: usize,
    line: usize,
}

impl Lines {
    /// The line of this place, from 1.
    fn count(&mut self, file: usize, offset: usize, text: &SourceText) -> usize {
        if self.file != file {
            *self = Self {
                file,
                ..Self::default()
            };
        }
        let passed = text.inner().get(self.offset..offset).unwrap_or_default();
        self.line += passed.matches('\n').count();
        self.offset = offset;
        self.line + 1
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
