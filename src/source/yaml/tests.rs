use super::*;

fn read(text: &str) -> (Option<Arc<Node>>, Problems) {
    let mut problems = Problems::default();
    let root = tree(&Source::new("x.yml", text, &[]), &mut problems);
    (root, problems)
}

fn codes(text: &str) -> Vec<&'static str> {
    read(text).1.iter().map(|problem| problem.code).collect()
}

#[test]
fn a_place_is_counted_in_bytes_whatever_stands_before_it() {
    let text = "a: größe\nb: [\"ü\", x]  # ß\n";
    let root = read(text).0.expect("a tree");
    let list = root.get("b").expect("b");
    let second = &list.items().expect("a list")[1];
    let written = |at: SourceSpan| &text[at.offset()..at.offset() + at.len()];
    assert_eq!(written(second.at), "x");
    assert_eq!(written(list.at), "[\"ü\", x]");
    assert_eq!(written(root.get("a").expect("a").at), "größe");
}

#[test]
fn what_stands_behind_an_alias_has_the_place_of_its_anchor() {
    let root = read("a: &x [1]\nb: *x\n").0.expect("a tree");
    assert_eq!(root.get("b").expect("b").at.offset(), 6);
}

#[test]
fn deep_nesting_is_refused_and_not_followed() {
    assert_eq!(codes(&"- ".repeat(1000)), ["yaml::too-deep"]);
    let flow = codes(&"[".repeat(100_000));
    assert!(
        flow == ["yaml::too-deep"] || flow == ["yaml::syntax"],
        "{flow:?}"
    );
    let mut indented = String::new();
    for depth in 0..1000 {
        indented += &" ".repeat(depth);
        indented += "a:\n";
    }
    assert_eq!(codes(&indented), ["yaml::too-deep"]);
}

#[test]
fn aliases_that_multiply_are_refused() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for n in 1..12 {
        let list = vec![format!("*a{}", n - 1); 10].join(", ");
        text += &[
            "a",
            &n.to_string(),
            ": &a",
            &n.to_string(),
            " [",
            &list,
            "]\n",
        ]
        .concat();
    }
    assert_eq!(codes(&text), ["yaml::too-large"]);
}

#[test]
fn a_large_text_is_read() {
    let text = "- {a: 1, b: [x, y], c: \"zzz\"}\n".repeat(20_000);
    let (root, problems) = read(&text);
    assert!(problems.is_empty());
    assert_eq!(
        root.and_then(|root| Some(root.items()?.len())),
        Some(20_000)
    );
}

#[test]
fn nothing_is_null() {
    assert!(read("").0.is_none_or(|root| root.is_null()));
    assert!(
        read("a:\n")
            .0
            .expect("a tree")
            .get("a")
            .expect("a")
            .is_null()
    );
    assert!(
        !read("a: ''\n")
            .0
            .expect("a tree")
            .get("a")
            .expect("a")
            .is_null()
    );
}
