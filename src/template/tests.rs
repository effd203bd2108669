use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::*;

fn vars(entries: &[(&str, minijinja::Value)]) -> Vars {
    let map: BTreeMap<String, minijinja::Value> = entries
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect();
    Arc::new(map)
}

fn some_vars() -> Vars {
    vars(&[
        ("name", "web".into()),
        ("port", 8080.into()),
        ("url", "http://{{ name }}:{{ port }}".into()),
        ("copy_of_port", "{{ port }}".into()),
        ("list", minijinja::Value::from(vec!["a", "{{ name }}"])),
        ("loop_a", "{{ loop_b }}".into()),
        ("loop_b", "{{ loop_a }}".into()),
    ])
}

fn expression<T>(text: &str) -> Templated<T> {
    Templated::Expression(text.to_owned())
}

fn why<T: std::fmt::Debug>(result: Result<T, TemplateError>) -> String {
    result.expect_err("an error").why
}

#[test]
fn a_single_expression_keeps_its_type() {
    assert_eq!(
        expression::<u16>("{{ port }}").render(&some_vars()),
        Ok(8080)
    );
    assert_eq!(
        expression::<u16>("{{ copy_of_port }}").render(&some_vars()),
        Ok(8080)
    );
    assert_eq!(
        expression::<u16>("80{{ 1 + 1 }}").render(&some_vars()),
        Ok(802)
    );
    assert_eq!(
        expression::<String>("{{ port }}").render(&some_vars()),
        Ok("8080".to_owned())
    );
    assert_eq!(
        expression::<bool>("{{ port > 80 }}").render(&some_vars()),
        Ok(true)
    );
    let list = expression::<Vec<String>>("{{ list }}").render(&some_vars());
    assert_eq!(list, Ok(vec!["a".to_owned(), "web".to_owned()]));
}

#[test]
fn a_variable_that_is_a_template_is_rendered_when_it_is_used() {
    assert_eq!(
        expression::<String>("<{{ url }}>").render(&some_vars()),
        Ok("<http://web:8080>".to_owned())
    );
}

#[test]
fn variables_in_a_circle_are_an_error() {
    assert!(why(expression::<String>("{{ loop_a }}").render(&some_vars())).contains("circle"));
}

#[test]
fn an_unknown_variable_is_named() {
    assert_eq!(
        why(expression::<String>("{{ nmae }}").render(&some_vars())),
        "`nmae` is not defined"
    );
    assert_eq!(
        why(expression::<String>("a {{ nmae }} b").render(&some_vars())),
        "it uses a variable that is not defined"
    );
    assert_eq!(
        why(evaluate("nmae == 1", &some_vars())),
        "`nmae` is not defined"
    );
    assert_eq!(why(evaluate("nmae", &some_vars())), "it is not defined");
}

#[test]
fn a_value_that_does_not_fit_is_an_error_without_the_value() {
    let error = expression::<u16>("{{ name }}")
        .render(&some_vars())
        .expect_err("no number");
    assert_eq!(error.expression, "{{ name }}");
    assert_eq!(
        error.why,
        "found a text, expected a whole number up to 65535"
    );
}

#[test]
fn omit_leaves_an_optional_argument_out() {
    let optional = expression::<String>("{{ escrow_dir | default(omit) }}");
    assert_eq!(optional.render_optional(&some_vars()), Ok(None));
    assert!(why(optional.render(&some_vars())).contains("omit"));
    let given = vars(&[("escrow_dir", "/x".into())]);
    assert_eq!(optional.render_optional(&given), Ok(Some("/x".to_owned())));
    assert!(why(expression::<String>("/a/{{ omit }}").render(&given)).contains("alone"));
}

#[test]
fn conditions_are_read_as_ansible_reads_them() {
    for (text, expected) in [
        ("name == 'web'", true),
        ("name in ['a', 'b']", false),
        ("missing is defined", false),
        ("missing | default(false)", false),
        ("'no' | bool", false),
        ("'Yes' | bool", true),
        ("port | int > 80 and not false", true),
        ("name.startswith('we')", true),
        ("url.split(':') | length == 3", true),
        ("(name | upper) == 'WEB'", true),
        ("'/a/b' | basename == 'b'", true),
        ("true | ternary(1, 0) == 1", true),
    ] {
        assert_eq!(evaluate(text, &some_vars()), Ok(expected), "{text}");
    }
}

#[test]
fn an_endless_template_comes_to_an_end() {
    let text =
        "{% for a in range(9999) %}{% for b in range(9999) %}{{ a * b }}{% endfor %}{% endfor %}";
    assert_eq!(
        why(render_text(text, &some_vars())),
        "it does not come to an end"
    );
}

#[test]
fn a_literal_keeps_its_spelling() {
    #[derive(Deserialize)]
    struct Arguments {
        version: Templated<String>,
        port: Templated<u16>,
        path: Templated<String>,
        nothing: Option<Templated<String>>,
    }
    let read: Arguments =
        serde_yaml::from_str("{version: 1.10, port: 22, path: '{{ p }}', nothing: null}")
            .expect("fits");
    assert_eq!(read.version, Templated::Literal("1.10".to_owned()));
    assert_eq!(read.port, Templated::Literal(22));
    assert_eq!(read.path, Templated::Expression("{{ p }}".to_owned()));
    assert_eq!(read.nothing, None);
    assert!(serde_yaml::from_str::<Templated<u16>>("many").is_err());
    assert_eq!(
        serde_yaml::from_str::<Templated<String>>("''").ok(),
        Some(Templated::Literal(String::new()))
    );
}

#[test]
fn grammar_is_checked_without_variables() {
    assert!(check_template("{{ a | lower }} {% if b %}c{% endif %}").is_ok());
    assert!(check_template("{{ a ").is_err());
    assert!(check_expression("a is defined and b").is_ok());
    assert!(check_expression("a ==").is_err());
}
