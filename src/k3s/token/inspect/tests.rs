use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;

const HASH: &str = "3d1f6a6e4971678a412c43f4e24d32c0d9baa7a3cd65fbe0cb3477474a8278d4";
const GOOD: &str = "9f8e7d6c5b4a39281706f5e4d3c2b1a0";

fn names(text: &str) -> Vec<&'static str> {
    let flaws = inspect(text).flaws;
    flaws.iter().map(|flaw| flaw.name).collect()
}

#[test]
fn good_tokens_of_each_kind_have_no_flaw() {
    let kinds = [
        (GOOD.to_owned(), Kind::Bare),
        (format!("{GOOD}\n"), Kind::Bare),
        (format!("{GOOD}\r\n"), Kind::Bare),
        (format!("K10{HASH}::server:{GOOD}"), Kind::Server),
        (format!("K10{HASH}::node:{GOOD}"), Kind::Node),
        ("abcdef.0123456789abcdef".to_owned(), Kind::Bootstrap),
        (
            format!("K10{HASH}::abcdef.0123456789abcdef"),
            Kind::FullBootstrap,
        ),
    ];
    for (text, kind) in kinds {
        let seen = inspect(&text);
        assert_eq!((seen.kind, seen.flaws), (kind, Vec::new()), "{text}");
    }
}

#[test]
fn each_mistake_has_its_name() {
    let jwt = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl";
    let encoded = STANDARD.encode(format!("K10{HASH}::server:{GOOD}"));
    let table = [
        (String::new(), "token-empty"),
        (jwt.to_owned(), "token-is-jwt"),
        (encoded, "token-is-base64"),
        (format!("{GOOD} {GOOD}"), "token-has-blanks"),
        (format!("{GOOD}\n\n"), "token-has-blanks-around"),
        (format!("\"{GOOD}\""), "token-in-quotes"),
        (format!("'{GOOD}'"), "token-in-quotes"),
        (
            format!("K10{HASH}:server:{GOOD}"),
            "token-without-separator",
        ),
        (
            format!("K10{}::server:{GOOD}", HASH.get(1..).unwrap()),
            "token-hash-length",
        ),
        (
            format!("K10{}::server:{GOOD}", HASH.to_uppercase()),
            "token-hash-not-hex",
        ),
        (format!("K10{HASH}::{GOOD}"), "token-user-missing"),
        (format!("K10{HASH}::server:"), "token-user-missing"),
        (format!("K10{HASH}::admin:{GOOD}"), "token-user-odd"),
        (
            format!("K10{HASH}::server:abcdef.0123456789abcdef"),
            "token-bootstrap-as-server",
        ),
        ("0123456789abcdef".to_owned(), "token-weak"),
        ("x".repeat(300), "token-trivial"),
        (
            "12345678901234567890987654321098765432109876543210".to_owned(),
            "token-reads-as-number",
        ),
        (format!("{GOOD},{GOOD}"), "token-character"),
    ];
    for (text, name) in table {
        assert_eq!(names(&text), [name], "{text}");
    }
}

/// A text, and what is said of it. `HASH` and `GOOD` stand for a hash and a good secret.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Pasted {
    text: String,
    kind: String,
    #[serde(default)]
    bits: Option<usize>,
    #[serde(default)]
    flaws: std::collections::BTreeMap<String, String>,
    /// Whether the secret that is left is `GOOD`.
    #[serde(default)]
    good: bool,
}

#[test]
fn what_people_paste_is_named_once_and_rightly() {
    let all: Vec<Pasted> = serde_yaml::from_str(include_str!("tests/pasted.yml")).unwrap();
    assert!(all.len() > 40, "{} texts", all.len());
    for it in all {
        let text = it.text.replace("HASH", HASH).replace("GOOD", GOOD);
        let seen = inspect(&text);
        let kind = serde_yaml::to_string(&seen.kind).unwrap();
        assert_eq!(kind.trim(), it.kind, "{:?}", it.text);
        let flaws = seen.flaws.into_iter();
        let flaws = flaws.map(|flaw| (flaw.name.to_owned(), flaw.what));
        let flaws = flaws.collect::<std::collections::BTreeMap<_, _>>();
        assert_eq!(flaws, it.flaws, "{:?}", it.text);
        assert_eq!(seen.secret.expose() == GOOD, it.good, "{:?}", it.text);
        if let Some(bits) = it.bits {
            assert_eq!(seen.bits, bits, "{:?}", it.text);
            let said = flaws
                .values()
                .any(|what| what.contains(&format!("{bits} bits")));
            assert!(bits >= ENOUGH || said, "{:?}", it.text);
        }
    }
}

proptest! {
    #[test]
    fn no_flaw_repeats_the_secret(secret in "[a-z0-9,$ ]{8,80}", user in "server|node|x") {
        let seen = inspect(&format!("K10{HASH}::{user}:{secret}"));
        for flaw in &seen.flaws {
            prop_assert!(!flaw.what.contains(secret.trim()), "{}", flaw.what);
        }
    }

    #[test]
    fn any_text_is_judged(text in "\\PC{0,120}") {
        let seen = inspect(&text);
        prop_assert!(seen.kind != Kind::None || !seen.flaws.is_empty());
    }
}
