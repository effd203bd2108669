//! Filters and string methods that Ansible's users expect and minijinja lacks or reads otherwise.

use minijinja::{Environment, Error, ErrorKind, State, Value};

/// Adds them.
pub(super) fn add(environment: &mut Environment<'static>) {
    environment.add_filter("bool", truth);
    environment.add_filter("basename", |path: String| last_part(&path).to_owned());
    environment.add_filter("dirname", |path: String| parent(&path).to_owned());
    environment.add_filter("mandatory", mandatory);
    environment.add_filter(
        "ternary",
        |yes: bool, a: Value, b: Value| if yes { a } else { b },
    );
    environment.add_filter("to_json", to_json);
    environment.set_unknown_method_callback(method);
}

/// Ansible's idea of a boolean: `yes`, `on`, `1` and `true` in any case.
fn truth(value: &Value) -> bool {
    match value.as_str() {
        Some(text) => {
            ["yes", "on", "1", "true", "y", "t"].contains(&text.to_ascii_lowercase().as_str())
        }
        None => value.is_true(),
    }
}

fn last_part(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

fn mandatory(value: Value) -> Result<Value, Error> {
    if value.is_undefined() {
        return Err(Error::new(
            ErrorKind::UndefinedError,
            "a mandatory variable is not set",
        ));
    }
    Ok(value)
}

fn to_json(value: &Value) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| {
        Error::new(ErrorKind::InvalidOperation, "cannot be written as JSON").with_source(error)
    })
}

fn method(
    _: &State<'_, '_>,
    value: &Value,
    name: &str,
    arguments: &[Value],
) -> Result<Value, Error> {
    let unknown = || {
        Error::new(
            ErrorKind::UnknownMethod,
            format!("there is no method `{name}` here"),
        )
    };
    let text = value.as_str().ok_or_else(unknown)?;
    let argument = |index: usize| arguments.get(index).and_then(Value::as_str);
    Ok(match (name, argument(0), argument(1)) {
        ("lower", None, _) => text.to_lowercase().into(),
        ("upper", None, _) => text.to_uppercase().into(),
        ("strip", None, _) => text.trim().into(),
        ("startswith", Some(start), _) => text.starts_with(start).into(),
        ("endswith", Some(end), _) => text.ends_with(end).into(),
        ("replace", Some(from), Some(to)) => text.replace(from, to).into(),
        ("split", Some(at), _) if !at.is_empty() => text.split(at).map(Value::from).collect(),
        ("split", None, _) => text.split_whitespace().map(Value::from).collect(),
        _ => return Err(unknown()),
    })
}
