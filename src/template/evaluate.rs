//! Renders templates and evaluates expressions.

use minijinja::{Error, Value};

use super::environment::shared;
use super::scope::Scope;
use super::{TemplateError, Vars, is_template};

/// Whether an expression (of `when` or `assert`) is true on a host.
///
/// # Errors
/// When it is not an expression or names an unknown variable.
pub fn evaluate(expression: &str, vars: &Vars) -> Result<bool, TemplateError> {
    let value = shared()
        .compile_expression(expression)
        .and_then(|compiled| compiled.eval(Scope::value(vars)));
    match value {
        Ok(value) if value.is_undefined() => Err(TemplateError {
            expression: expression.to_owned(),
            why: "it is not defined".to_owned(),
        }),
        Ok(value) => Ok(value.is_true()),
        Err(error) => Err(failure(expression, &error)),
    }
}

/// A text with its expressions replaced, if it has any.
///
/// # Errors
/// When its expressions are none or name an unknown variable.
pub fn render_text(template: &str, vars: &Vars) -> Result<String, TemplateError> {
    if !is_template(template) {
        return Ok(template.to_owned());
    }
    render(template, vars).map(|value| value.to_string())
}

/// The value of a template: typed when it is one expression, else a text.
pub(super) fn render(template: &str, vars: &Vars) -> Result<Value, TemplateError> {
    render_in(template, Scope::value(vars)).map_err(|error| failure(template, &error))
}

/// The same within a scope that may be nested.
pub(super) fn render_in(template: &str, scope: Value) -> Result<Value, Error> {
    if let Some(expression) = single(template)
        && let Ok(compiled) = shared().compile_expression(expression)
    {
        return match compiled.eval(scope)? {
            value if value.is_undefined() => Err(Error::new(
                minijinja::ErrorKind::UndefinedError,
                format!("`{}` is not defined", expression.trim()),
            )),
            value => Ok(value),
        };
    }
    shared().render_str(template, scope).map(Value::from)
}

/// The expression of a template that is nothing else.
fn single(template: &str) -> Option<&str> {
    let inner = template.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    let inner = inner.strip_prefix('-').unwrap_or(inner);
    let inner = inner.strip_suffix('-').unwrap_or(inner);
    (!inner.contains("}}") && !is_template(inner)).then_some(inner)
}

fn failure(expression: &str, error: &Error) -> TemplateError {
    let mut root = error;
    while let Some(inner) = std::error::Error::source(root).and_then(|e| e.downcast_ref::<Error>())
    {
        root = inner;
    }
    let why = match (root.kind(), root.detail()) {
        (minijinja::ErrorKind::OutOfFuel, _) => "it does not come to an end".to_owned(),
        (minijinja::ErrorKind::UndefinedError, None) => unknown_name(expression),
        (_, Some(detail)) => detail.to_owned(),
        (kind, None) => kind.to_string(),
    };
    TemplateError {
        expression: expression.to_owned(),
        why,
    }
}

/// Names the variables that the expression takes from its host: one of them is the unknown one.
fn unknown_name(expression: &str) -> String {
    let inner = single(expression).unwrap_or(expression);
    let names = shared()
        .compile_expression(inner)
        .map(|compiled| compiled.undeclared_variables(true))
        .unwrap_or_default();
    let mut names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    names.sort();
    match names.as_slice() {
        [] => "it uses a variable that is not defined".to_owned(),
        [name] => format!("{name} is not defined"),
        names => format!("one of {} is not defined", names.join(", ")),
    }
}
