//! What is covered in a text that is shown, and what stays.

use super::{is_secret_name, mask};

#[test]
fn the_secret_of_a_join_token_is_covered_wherever_it_stands() {
    let text = "id: abcdef.0123456789abcdef, \"K10ab::abcdef.fedcba9876543210\" but a file.0123456789abcdef";
    let shown = mask(text, &[]);
    let stars = "*".repeat(16);
    assert_eq!(
        shown,
        format!("id: abcdef.{stars}, \"K10ab::abcdef.{stars}\" but a file.{stars}")
    );
    assert_eq!(mask("at: 10.0.0.1 abc.def", &[]), "at: 10.0.0.1 abc.def");
}

#[test]
fn a_secret_name_is_known_by_its_last_word() {
    for name in [
        "token",
        "k3s_token",
        "ansible_become_password",
        "ansible_sudo_pass",
        "K3S_TOKEN",
    ] {
        assert!(is_secret_name(name), "{name}");
    }
    for name in ["tokens", "token_file", "bypass", "user"] {
        assert!(!is_secret_name(name), "{name}");
    }
}

#[test]
fn a_secret_value_is_starred_and_nothing_moves() {
    let text = "a: 1\ntoken: \"häm mer\" # x\nb: {k3s_token: x, c: d}\n";
    let masked = mask(text, &[]);
    assert_eq!(masked.len(), text.len());
    assert_eq!(
        masked,
        "a: 1\ntoken: ***** **** * *\nb: {k3s_token: ** ** **\n"
    );
}

#[test]
fn a_block_below_a_secret_key_is_starred_to_its_end() {
    let masked = mask("x:\n  token: |\n    one\n\n    two\n  b: c\n", &[]);
    assert_eq!(masked, "x:\n  token: *\n    ***\n\n    ***\n  b: c\n");
}

#[test]
fn a_text_on_the_line_below_is_starred() {
    assert_eq!(mask("token:\n  one\nb: c\n", &[]), "token:\n  ***\nb: c\n");
    assert_eq!(mask("token: # why\n  one\n", &[]), "token: * ***\n  ***\n");
}

#[test]
fn a_step_of_such_a_name_stays_readable() {
    let text = "- k3s_token: { state: staged }\n";
    assert_eq!(mask(text, &["k3s_token"]), text);
    let text = "- k3s_token:\n    state: staged\n";
    assert_eq!(mask(text, &["k3s_token"]), text);
}

#[test]
fn a_variable_called_like_a_step_is_starred() {
    assert_eq!(
        mask("vars: {k3s_token: abc}\n", &["k3s_token"]),
        "vars: {k3s_token: ****\n"
    );
}

#[test]
fn an_ini_line_is_starred_too() {
    assert_eq!(
        mask("h1 ansible_become_password=abc port=1\n", &[]),
        "h1 ansible_become_password=*** ******\n"
    );
}
/// Every shape in which an operator writes a secret that no key gives away. `~` stands before and behind what is to be
/// covered; all the rest must stay, byte for byte.
const SHAPES: &[&str] = &[
    // Behind flags.
    "extra_server_args: \"--token ~SECRET~\"\n",
    "extra_server_args: --token ~SECRET~ --node-label a=b\n",
    "extra_server_args: '-t ~SECRET~'\n",
    "extra_server_args: \"--agent-token ~SECRET~\"\n",
    "extra_server_args: \"-token ~SECRET~ x\"\n",
    "extra_server_args: \"--server https://a --token \\\"~SEC RET~\\\" --x\"\n",
    "command: k3s agent --token ~SECRET~\nwhen: later\n",
    "command: k3s agent --token '~SEC RET~' --x\n",
    "command: k3s agent --token '~it''s~' --x\n",
    "command: \"k3s agent --token ~SEC~\\\n  ~RET~ --x\"\n",
    "command: k3s token rotate --token ~OLD~ --new-token ~NEW~\n",
    "command: >\n  k3s agent\n  --token\n  ~SECRET~\n  --server x\n",
    "shell: |\n  k3s agent \\\n    --token \\\n    ~SECRET~ \\\n    --server x\n",
    "h1 ansible_port=22 args=\"--token ~SECRET~\"\nh2 ansible_port=22\n",
    "# k3s agent --token ~SECRET~\na: b\n",
    "a: b # k3s agent --token ~SECRET~\nc: d\n",
    // In lists.
    "args: [\"--token\", \"~SECRET~\", \"--x\"]\n",
    "args: ['-t','~SEC RET~','--x']\n",
    "args: [--agent-token, ~SECRET~ , --x]\n",
    "args: [\n  \"--token\",\n  \"~SECRET~\",\n  \"--x\"\n]\n",
    "argv:\n  - k3s\n  - --token\n  - ~SECRET~\n  - --server\n",
    "argv:\n- \"--token\"\n- \"~SEC\n  RET~\"\n- x\n",
    "argv:\n  - --token # the first\n  - ~SECRET~\n  - x\n",
    // By their own form.
    "anykey: K10<hash>::server:~SECRET~\nb: c\n",
    "anykey: \"K10abc::server:~SEC RET~\"\nb: c\n",
    "anykey: [K10abc::node:~SECRET~ , b]\n",
    "anykey: K10abc::~SECRET~\n",
    "anykey: abcdef.~0123456789abcdef~\n",
    "anykey: K10abc::abcdef.~0123456789abcdef~\n",
    // By a key that is no `key:`.
    "? token\n:~ SECRET\n~b: c\n",
    "a: \"b # token:~ SECRET\"\n~c: d\n",
    // What holds no secret.
    "args: \"--token-file /a/b --node-label a=b -v 2\"\n",
    "args: --token {{ k3s_token }} --x\n",
    "args: --token\nnext: {a: b}\n",
    "- name: a-t b\n  path: /a/-t /b\n",
    "K10 is a prefix, and K10abc: no token\n",
];

#[test]
fn a_secret_that_no_key_gives_away_is_covered_and_nothing_else() {
    for shape in SHAPES {
        let text = shape.replace('~', "");
        let parts = shape.split('~').enumerate();
        let cover = |c: char| if c.is_whitespace() { c } else { '*' };
        let wanted: String = parts
            .map(|(at, part)| match at % 2 {
                0 => part.to_owned(),
                _ => part.chars().map(cover).collect(),
            })
            .collect();
        // What closes a value may be covered with it.
        let masked = mask(&text, &[]);
        assert_eq!(masked.len(), text.len(), "{shape}");
        let lax = |(seen, wanted): (char, char)| {
            seen == wanted || seen == '*' && ['"', '\'', '\\', ']', ','].contains(&wanted)
        };
        assert!(
            masked.chars().zip(wanted.chars()).all(lax),
            "{text}\nshown as\n{masked}\nand not as\n{wanted}"
        );
    }
}

#[test]
fn a_comment_that_names_a_secret_leaves_the_lines_below() {
    let masked = mask("a: # the token: x\n  b: c\n", &[]);
    assert_eq!(masked, "a: # the token: *\n  b: c\n");
}

proptest::proptest! {
    #[test]
    fn any_text_keeps_its_length_and_its_lines(text in "[a-z:=#?'\", \\n\\\\K10.{}\\[\\]ätoken-]{0,80}") {
        let masked = mask(&text, &[]);
        proptest::prop_assert_eq!(masked.len(), text.len());
        let breaks = |text: &str| text.match_indices('\n').map(|(at, _)| at).collect::<Vec<_>>();
        proptest::prop_assert_eq!(breaks(&masked), breaks(&text));
    }
}
