use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;
use crate::source::{Problems, Source, tree};

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Colour {
    Red,
    Green,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Thing {
    name: String,
    size: Option<u16>,
    #[serde(default)]
    colours: Vec<Colour>,
}

fn read<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, Misfit> {
    let source = Source::new("x.yml", text, &[]);
    let root = tree(&source, &mut Problems::default()).expect("a tree");
    T::deserialize(&*root)
}

/// What is pointed at, and said.
fn told(text: &str) -> (String, String) {
    let misfit = read::<Thing>(text).expect_err("a misfit");
    let at = misfit.at.expect("a place");
    (
        text[at.offset()..at.offset() + at.len()].to_owned(),
        misfit.what,
    )
}

#[test]
fn a_value_that_fits_is_read() {
    let thing: Thing = read("name: 1.10\nsize: 5\ncolours: [red, green]\n").expect("fits");
    assert_eq!(thing.name, "1.10");
    assert_eq!(thing.size, Some(5));
    assert_eq!(thing.colours, [Colour::Red, Colour::Green]);
}

#[test]
fn each_mistake_points_at_the_innermost_value() {
    assert_eq!(told("{name: x, sise: 3}").0, "sise");
    assert_eq!(told("{name: x, size: many}").0, "many");
    assert_eq!(told("{name: x, size: 70000}").0, "70000");
    assert_eq!(told("{name: x, colours: [red, blue]}").0, "blue");
    assert_eq!(told("{name: x, colours: red}").0, "red");
    assert_eq!(told("{name: [x]}").0, "[x]");
    assert_eq!(told("{size: 3}").0, "{size: 3}");
}

#[test]
fn a_mistake_never_repeats_a_text_that_may_be_secret() {
    assert_eq!(
        told("{name: x, size: hunter2}").1,
        "found a text, expected a whole number up to 65535"
    );
}

#[test]
fn yaml_types_are_those_of_serde_yaml() {
    let values: BTreeMap<String, serde_json::Value> =
        read("{a: yes, b: 010, c: ~, d: true, e: 1.5, f: -3, g: '5', h: 0x10}").expect("fits");
    let text = serde_json::to_string(&values).expect("JSON");
    assert_eq!(
        text,
        r#"{"a":"yes","b":"010","c":null,"d":true,"e":1.5,"f":-3,"g":"5","h":16}"#
    );
}
