//! Which values of an inventory must not be seen.

use std::collections::BTreeSet;

use minijinja::Value;
use minijinja::value::ValueKind;

use super::Inventory;
use crate::secret::Secret;
use crate::source::is_secret_name;
use crate::template::{Vars, render_text};

impl Inventory {
    /// Values of variables called `token`, `…_token`, `…_password`, … on any host, so that they are redacted
    /// wherever they turn up. Of a token in its `K10…` form the bare secret too.
    #[must_use]
    pub fn secrets(&self) -> Vec<Secret> {
        let mut texts = BTreeSet::new();
        for host in self.hosts.values() {
            for (name, value) in host.vars.iter() {
                if name != "hostvars" && name != "groups" {
                    collect(name, value, &host.vars, 8, &mut texts);
                }
            }
            if let Some(password) = &host.connect.become_password {
                texts.insert(password.expose().to_owned());
            }
        }
        texts.into_iter().map(Secret::new).collect()
    }
}

fn collect(name: &str, value: &Value, vars: &Vars, levels: usize, texts: &mut BTreeSet<String>) {
    if value.kind() == ValueKind::Map && levels > 0 {
        for key in value.try_iter().into_iter().flatten() {
            let item = value.get_item(&key).unwrap_or_default();
            collect(&key.to_string(), &item, vars, levels - 1, texts);
        }
    } else if value.kind() == ValueKind::Seq && levels > 0 {
        for item in value.try_iter().into_iter().flatten() {
            collect(name, &item, vars, levels - 1, texts);
        }
    } else if is_secret_name(name) && matches!(value.kind(), ValueKind::String | ValueKind::Number)
    {
        let text = render_text(&value.to_string(), vars).unwrap_or_default();
        if text.starts_with("K10")
            && let Some((_, bare)) = text.rsplit_once(':')
        {
            texts.insert(bare.to_owned());
        }
        texts.insert(text);
    }
    texts.remove("");
}
