//! Any bytes to every parser of a surface: no panic, nothing outside the file, and an edit that changes the token's
//! bytes alone. `just fuzz` runs a million cases each.

use proptest::prelude::*;
use proptest::sample::select;

use super::{Place, Slot, Surface, envfile, unit, whole, yaml};
use crate::k3s::token::Token;
use crate::secret::{Content, Secret};

const NEW: &str = "0123456789abcdef0123456789abcdef";

/// Pieces that meet the parsers' special cases more often than chance.
const PIECES: [&str; 56] = [
    "token",
    ": ",
    ":",
    "\n",
    "\r\n",
    "\r",
    "\t",
    " ",
    "#",
    " # ",
    "\"",
    "'",
    "''",
    "\\\"",
    "\\\\",
    "\\",
    "\\\n",
    "|",
    ">-",
    "&a ",
    "*a",
    "<<: ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    ", ",
    "---\n",
    "...\n",
    "!!str ",
    "!x ",
    "~",
    "null",
    "0123",
    "1e5",
    "yes",
    "abc",
    "sekret",
    "ü",
    "\u{feff}",
    "\0",
    "%",
    "@",
    "K3S_TOKEN",
    "=",
    "K3S_TOKEN=",
    ";",
    "ExecStart=",
    "ExecStart=-/bin/k3s server --token ",
    "Environment=",
    "token: ",
    "\"K3S_TOKEN=",
    "$",
    "? ",
    "K103d1f6a6e4971678a412c43f4e24d32c0d9baa7a3cd65fbe0cb3477474a8278d4::server:",
];

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => select(PIECES.as_slice()).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// The last token of a text as one parser sees it, with its slot.
type Found = Option<(String, Slot)>;
type Find = fn(&str) -> Found;

fn in_yaml(text: &str) -> Found {
    let entries = yaml::entries(text).ok()?;
    let entry = entries
        .into_iter()
        .rev()
        .find(|entry| entry.key == "token")?;
    Some((entry.values.clone()?.pop()?, entry.slot().ok()?))
}

fn in_env(text: &str) -> Found {
    let variables = envfile::variables(text);
    let variable = variables.into_iter().rev().find(|v| v.key == "K3S_TOKEN")?;
    Some((variable.value.clone(), variable.slot().ok()?))
}

fn in_file(text: &str) -> Found {
    let value = text.trim();
    (!value.is_empty()).then(|| (value.to_owned(), whole(text)))
}

/// systemd would say what stands there: the fixed word, then what it was replaced by.
fn in_unit(text: &str) -> Found {
    let said = |word: &str| Some((word.to_owned(), unit::slot(text, "ExecStart", word).ok()?));
    said("sekret").or_else(|| said(NEW))
}

fn edit(text: &str, found: &Found, secret: &str) -> Option<String> {
    let (value, slot) = found.clone()?;
    let surface = Surface {
        place: Place::Config,
        file: "/f".into(),
        slot,
        token: Token::parse(&value).ok()?,
    };
    let edited = surface.edited(&Content::from(text), &Secret::new(secret));
    Some(edited.unwrap().text().into_owned())
}

fn is_exact(find: Find, text: &str) -> Result<(), TestCaseError> {
    let found = find(text);
    let Some(once) = edit(text, &found, NEW) else {
        return Ok(());
    };
    let (value, slot) = found.unwrap();
    let token = Token::parse(&value).unwrap();
    let (head, tail) = (&text[..slot.range.start], &text[slot.range.end..]);
    prop_assert!(once.starts_with(head) && once.ends_with(tail));
    let inner = &once[head.len()..once.len() - tail.len()];
    let written = token.respell(&Secret::new(NEW));
    let expected = slot.quote.write(&written);
    prop_assert_eq!(inner, expected.as_str());

    let again = find(&once);
    prop_assert_eq!(again.as_ref().map(|(value, _)| value), Some(&written));
    let twice = edit(&once, &again, NEW);
    prop_assert_eq!(twice.as_ref(), Some(&once), "twice is once");

    let back = edit(&once, &again, token.secret.expose()).unwrap();
    let old = token.respell(&token.secret);
    prop_assert_eq!(
        find(&back).map(|(value, _)| value),
        Some(old.clone()),
        "{:?}",
        back
    );
    if text[slot.range.clone()] == *slot.quote.write(&old) {
        prop_assert_eq!(back, text, "there and back");
    }
    Ok(())
}

proptest! {
    #[test]
    fn fuzz_a_config_file(text in text()) {
        is_exact(in_yaml, &text)?;
    }

    #[test]
    fn fuzz_an_environment_file(text in text()) {
        is_exact(in_env, &text)?;
    }

    #[test]
    fn fuzz_unit_text(text in text()) {
        is_exact(in_unit, &text)?;
    }

    #[test]
    fn fuzz_a_token_file(text in text()) {
        is_exact(in_file, &text)?;
    }
}

#[test]
fn the_longest_file_that_is_read_takes_bounded_time() {
    let big = 1 << 20;
    for piece in [
        "token: a\n",
        "[",
        "- ",
        "\"",
        "a",
        "# x\n",
        "&a *a ",
        "'\\\n",
        "{",
        "token: |\n x\n",
        "K3S_TOKEN='a\\\n",
    ] {
        let text = piece.repeat(big / piece.len());
        let begun = std::time::Instant::now();
        for find in [in_yaml as Find, in_env, in_unit, in_file] {
            find(&text);
        }
        let took = begun.elapsed();
        assert!(took.as_secs() < 60, "{piece:?} took {took:?}");
    }
}
