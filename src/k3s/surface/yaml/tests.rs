use super::*;

fn written<'a>(text: &'a str, key: &str) -> &'a str {
    let entries = entries(text).unwrap();
    let entry = entries.iter().find(|entry| entry.key == key).unwrap();
    &text[entry.slot().unwrap().range]
}

#[test]
fn the_bytes_of_a_value_are_found_exactly() {
    for (text, token) in [
        ("token: abc\n", "abc"),
        ("token: abc   # why\nserver: x\n", "abc"),
        ("# häßlich\ntoken: 'abc'\n", "'abc'"),
        (
            "a:\n  - b\n  - c: d\ntoken:    \"ab\\\"c\"  \r\nz: 1\r\n",
            "\"ab\\\"c\"",
        ),
        ("{token: abc, server: x}", "abc"),
        ("token: '''a''' # 'keep'\n", "'''a'''"),
        ("a: b # grün\ntoken: 'a''b' # 'keep'\r\nz: ü\n", "'a''b'"),
        (
            "a: \"grün\" # ö\ntoken: \"a\\\\\" # \"keep\"\n",
            "\"a\\\\\"",
        ),
        ("---\ntoken: K10::server:x\n...\n", "K10::server:x"),
    ] {
        assert_eq!(written(text, "token"), token, "{text:?}");
    }
}

#[test]
fn what_cannot_be_edited_says_what_it_is_and_where() {
    for (text, what, at) in [
        ("a: b\ntoken: {a: b}", "a map", "2:8"),
        ("token: [a]", "a list", "1:8"),
        (
            "token: &~\u{feff}",
            "a text right behind its anchor",
            "1:10",
        ),
        (
            "token: ' a'\n",
            "a text that begins or ends with white space, which may count to the token",
            "1:8",
        ),
        ("token:\n  - a\n", "a list", "2:3"),
        ("token: |\n  abc\n", "a block of lines", "2:3"),
        ("token: >-\n  abc\n", "a block of lines", "2:3"),
        ("token: a\n  b\n", "a text of several lines", "1:8"),
        ("token: \"a\n  b\"\n", "a text of several lines", "1:8"),
        (
            "a: &x abc\ntoken: *x",
            "an alias (`*`) of a text that stands elsewhere",
            "2:8",
        ),
        (
            "token: &x abc\na: *x",
            "a text that another setting names with `*`",
            "1:11",
        ),
        (
            "token: &x abc\na: {b: [*x]}",
            "a text that another setting names with `*`",
            "1:11",
        ),
        ("token: !!str abc\n", "a text with a tag (`!`)", "1:14"),
        ("token: !vault abc\n", "a text with a tag (`!`)", "1:15"),
        (
            "ä: ü\ntoken: 0123\n",
            "a number, yes or no for YAML, which K3s writes in another way",
            "2:8",
        ),
        ("token:\na: b\n", "empty", "1:6"),
        ("token: ''\n", "empty", "1:8"),
        (
            "token: ~\n",
            "a number, yes or no for YAML, which K3s writes in another way",
            "1:8",
        ),
    ] {
        let entries = entries(text).unwrap();
        let entry = entries.iter().find(|entry| entry.key == "token").unwrap();
        assert_eq!(
            (entry.slot(), entry.at.to_string().as_str()),
            (Err(what), at),
            "{text:?}"
        );
    }
}

#[test]
fn an_anchor_that_nobody_names_stays() {
    assert_eq!(written("token: &t abc # x\n", "token"), "abc");
    assert_eq!(written("token: &t \"abc\"\n", "token"), "\"abc\"");
}

#[test]
fn an_alias_is_read_as_what_it_names() {
    let read = entries("a: &x abc\ntoken: *x\nlist: [*x, d]\n").unwrap();
    assert_eq!(read[1].values.as_deref().unwrap(), ["abc"]);
    assert_eq!(read[2].values.as_deref().unwrap(), ["abc", "d"]);
}

#[test]
fn keys_that_are_merged_in_are_refused_and_so_is_endless_depth() {
    let merged = entries("x: &x {token: a}\n<<: *x\n").unwrap_err();
    assert_eq!(
        (merged.at.to_string().as_str(), merged.why.contains("<<")),
        ("2:1", true)
    );
    assert!(entries(&"[".repeat(100_000)).is_err());
    assert!(entries(&format!("a: {}{}", "[".repeat(200), "]".repeat(200))).is_err());
}

#[test]
fn lists_and_appending_keys_are_read() {
    let read = entries("node-label:\n  - a=b\n  - c=d\nkubelet-arg+: x\nempty:\n").unwrap();
    assert_eq!(read[0].values.as_deref().unwrap(), ["a=b", "c=d"]);
    assert!(read[1].appends && read[1].key == "kubelet-arg");
    assert_eq!(entries("").unwrap(), []);
    assert_eq!(entries("# only a comment\n").unwrap(), []);
}

#[test]
fn broken_files_say_where() {
    assert!(entries("token: \"abc\nserver: x\n").is_err());
    assert!(
        entries("- a\n- b\n")
            .unwrap_err()
            .at
            .to_string()
            .contains("1:1")
    );
    assert!(entries("a: b\n\tc: d\n").is_err());
}
