//! Variables as templates see them: a text that is itself a template is rendered when it is used, as in Ansible.

use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ValueKind};
use minijinja::{Error, ErrorKind, Value};

use super::evaluate::render_in;
use super::{Vars, is_template};

const DEEPEST: usize = 20;

/// The variables of one host, and how many templates stand around this look-up.
#[derive(Debug)]
pub(super) struct Scope {
    vars: Vars,
    depth: usize,
}

impl Scope {
    /// What a template over these variables sees.
    pub(super) fn value(vars: &Vars) -> Value {
        Self::at(vars, 0)
    }

    fn at(vars: &Vars, depth: usize) -> Value {
        let vars = vars.clone();
        Value::from_object(Self { vars, depth })
    }

    fn resolve(&self, value: &Value, levels: usize) -> Result<Value, Error> {
        if let Some(text) = value.as_str() {
            return self.resolve_text(text, value);
        }
        if levels == 0 || !holds_template(value, levels) {
            return Ok(value.clone());
        }
        match value.kind() {
            ValueKind::Seq => value
                .try_iter()?
                .map(|item| self.resolve(&item, levels - 1))
                .collect(),
            ValueKind::Map => value
                .try_iter()?
                .map(|key| {
                    let item = self.resolve(&value.get_item(&key)?, levels - 1)?;
                    Ok((key, item))
                })
                .collect::<Result<std::collections::BTreeMap<_, _>, Error>>()
                .map(Value::from_iter),
            _ => Ok(value.clone()),
        }
    }

    fn resolve_text(&self, text: &str, value: &Value) -> Result<Value, Error> {
        if !is_template(text) {
            return Ok(value.clone());
        }
        if self.depth >= DEEPEST {
            let why = "variables name each other in a circle";
            return Err(Error::new(ErrorKind::InvalidOperation, why));
        }
        render_in(text, Self::at(&self.vars, self.depth + 1))
    }
}

/// Whether plain data holds a template. Live objects (`groups`, `hostvars`) resolve themselves.
fn holds_template(value: &Value, levels: usize) -> bool {
    if value.downcast_object_ref::<LazyVars>().is_some() {
        return false;
    }
    if let Some(text) = value.as_str() {
        return is_template(text);
    }
    if levels == 0 || !matches!(value.kind(), ValueKind::Seq | ValueKind::Map) {
        return false;
    }
    let Ok(mut items) = value.try_iter() else {
        return false;
    };
    match value.kind() {
        ValueKind::Map => items.any(|key| {
            value
                .get_item(&key)
                .is_ok_and(|v| holds_template(&v, levels - 1))
        }),
        _ => items.any(|item| holds_template(&item, levels - 1)),
    }
}

impl Object for Scope {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let value = self.vars.get(key.as_str()?)?;
        Some(self.resolve(value, 8).unwrap_or_else(Value::from))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(
            self.vars
                .keys()
                .map(|key| Value::from(key.as_str()))
                .collect(),
        )
    }
}

/// `hostvars`: the variables of every host, each in its own scope.
#[derive(Debug)]
pub struct LazyVars(pub std::collections::HashMap<String, Vars>);

impl Object for LazyVars {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.0.get(key.as_str()?).map(Scope::value)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let mut names: Vec<&str> = self.0.keys().map(String::as_str).collect();
        names.sort_unstable();
        Enumerator::Values(names.into_iter().map(Value::from).collect())
    }
}
