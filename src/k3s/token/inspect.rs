//! What a text that somebody takes for a token is, and what is wrong with it.
//!
//! Says by its text alone what can be said; what a cluster answers to it comes from elsewhere. Names of flaws stand in
//! the catalogue of findings.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::layers::{self, Layer};
use super::strength::{self, Strength};
use super::{ENOUGH, is_bootstrap};
use crate::model::count;
use crate::secret::Secret;

/// What kind of token it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The password alone; the CA is not checked.
    Bare,
    /// `K10<hash>::server:<secret>`.
    Server,
    /// `K10<hash>::node:<secret>`.
    Node,
    /// The full form with another user, which K3s overrides.
    OtherUser,
    /// `<6>.<16>`.
    Bootstrap,
    /// `K10<hash>::<6>.<16>`.
    FullBootstrap,
    /// None of these.
    None,
}

impl Kind {
    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Bare => "a bare secret: no CA is pinned",
            Self::Server => "a full token, user `server`",
            Self::Node => "a full token, user `node`",
            Self::OtherUser => "a full token of another user",
            Self::Bootstrap => "a bootstrap token",
            Self::FullBootstrap => "a bootstrap token that pins a CA",
            Self::None => "no token",
        }
    }

    /// Whether it joins agents through the API and is no password.
    #[must_use]
    pub fn is_bootstrap(self) -> bool {
        matches!(self, Self::Bootstrap | Self::FullBootstrap)
    }
}

/// One thing that is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// Its name in the catalogue.
    pub name: &'static str,
    /// What was seen; never the secret.
    pub what: String,
}

/// A text, judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// What kind of token it is.
    pub kind: Kind,
    /// The CA hash that it pins.
    pub hash: Option<String>,
    /// The password; the whole text when it is no token.
    pub secret: Secret,
    /// Bits, at most, by length, kind of characters and repetition.
    pub bits: usize,
    /// What is wrong.
    pub flaws: Vec<Flaw>,
}

/// Judges a text as it was given, white space included; one line end behind it is nobody's mistake.
#[must_use]
pub fn inspect(text: &str) -> Inspected {
    let line = text.strip_suffix('\n').unwrap_or(text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    let mut flaws = Flaws::default();
    let bare = peel(line, &mut flaws);
    let (kind, hash, secret) = split(bare, &mut flaws);
    if kind != Kind::None {
        judge_secret(secret, kind, &mut flaws);
    }
    Inspected {
        kind,
        hash: hash.map(str::to_owned),
        bits: Strength::of(secret).bits,
        secret: Secret::new(secret),
        flaws: flaws.0,
    }
}

/// What is left without everything that was pasted with it.
fn peel<'a>(text: &'a str, flaws: &mut Flaws) -> &'a str {
    let mut rest = text;
    while let Some((layer, inner)) = layers::outer(rest) {
        match layer {
            Layer::ByteOrderMark => {
                flaws.add("token-byte-order-mark", "its first character is U+FEFF");
            }
            Layer::Blanks if inner.is_empty() => {}
            Layer::Blanks => {
                flaws.add("token-has-blanks-around", "white space stands around it");
            }
            Layer::Name(name) => {
                flaws.add("token-with-its-name", format!("it begins with `{name}`"));
            }
            Layer::Quotes(open, close) => {
                let what = format!("it stands between {open} and {close}");
                flaws.add("token-in-quotes", what);
            }
            Layer::Quote(quote) => {
                let what = format!("a single {quote} stands at its beginning or end");
                flaws.add("token-in-quotes", what);
            }
        }
        rest = inner;
    }
    rest
}

#[derive(Default)]
struct Flaws(Vec<Flaw>);

impl Flaws {
    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|flaw| flaw.name == name)
    }

    /// Each name once: a second layer of the same kind says nothing new.
    fn add(&mut self, name: &'static str, what: impl Into<String>) {
        let what = what.into();
        if !self.has(name) {
            self.0.push(Flaw { name, what });
        }
    }
}

/// Kind, CA hash and secret.
fn split<'a>(text: &'a str, flaws: &mut Flaws) -> (Kind, Option<&'a str>, &'a str) {
    let no_token = (Kind::None, None, text);
    if text.is_empty() {
        flaws.add("token-empty", "nothing is there");
        return no_token;
    }
    if let Some(what) = layers::placeholder(text) {
        flaws.add("token-not-filled-in", what);
        return no_token;
    }
    if is_jwt(text) {
        flaws.add("token-is-jwt", "its three parts are those of a JWT");
        return no_token;
    }
    if decodes_to_token(text) {
        flaws.add("token-is-base64", "decoded, it begins with `K10`");
        return no_token;
    }
    let Some(rest) = text.strip_prefix("K10") else {
        return (bare(text, flaws), None, text);
    };
    let Some((hash, tail)) = rest.split_once("::") else {
        let follow = count(
            rest.chars().count(),
            "character follows",
            "characters follow",
        );
        let what = format!("{follow} `K10`, and no `::`");
        flaws.add("token-without-separator", what);
        return no_token;
    };
    judge_hash(hash, flaws);
    if is_bootstrap(tail) {
        return (Kind::FullBootstrap, Some(hash), tail);
    }
    match tail.split_once(':') {
        Some((user, secret)) if !secret.is_empty() => {
            let kind = of_user(user, flaws);
            (kind, Some(hash), innermost(secret, flaws))
        }
        _ => {
            flaws.add(
                "token-user-missing",
                "user or secret is missing behind `::`",
            );
            no_token
        }
    }
}

/// A text that does not begin with `K10`.
fn bare(text: &str, flaws: &mut Flaws) -> Kind {
    let users = ["::server:", "::node:"];
    if let Some(user) = users.into_iter().find(|user| text.contains(user)) {
        let what = format!("it holds `{user}`, and does not begin with `K10`");
        flaws.add("token-without-prefix", what);
    }
    if is_bootstrap(text) {
        Kind::Bootstrap
    } else {
        Kind::Bare
    }
}

/// The password, where a whole token or a line of a file stands in its place.
fn innermost<'a>(secret: &'a str, flaws: &mut Flaws) -> &'a str {
    let peeled = peel(secret, flaws);
    let inner = peeled.strip_prefix("K10").and_then(|rest| {
        let (_, tail) = rest.split_once("::")?;
        tail.split_once(':').filter(|(_, inner)| !inner.is_empty())
    });
    let Some((_, inner)) = inner else {
        return peeled;
    };
    flaws.add(
        "token-wrapped-twice",
        "a whole token, `K10` and all, stands where its secret belongs",
    );
    innermost(inner, flaws)
}

fn of_user(user: &str, flaws: &mut Flaws) -> Kind {
    match user {
        "server" => Kind::Server,
        "node" => Kind::Node,
        _ => {
            let what = format!(
                "a user of {}, neither `server` nor `node`",
                count(user.chars().count(), "character", "characters")
            );
            flaws.add("token-user-odd", what);
            Kind::OtherUser
        }
    }
}

fn judge_hash(hash: &str, flaws: &mut Flaws) {
    let length = hash.chars().count();
    let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    if length != 64 {
        let what = format!("it has {}", count(length, "character", "characters"));
        flaws.add("token-hash-length", what);
    } else if !hash.chars().all(is_hex) {
        flaws.add(
            "token-hash-not-hex",
            "it holds other characters than 0-9 and a-f",
        );
    }
}

fn judge_secret(secret: &str, kind: Kind, flaws: &mut Flaws) {
    let unseen = secret.chars().find(|c| layers::is_unseen(*c));
    if let Some(what) = blanks(secret) {
        flaws.add("token-has-blanks", what);
    }
    if let Some(unseen) = unseen {
        let what = format!("it holds {}", layers::word(unseen));
        flaws.add("token-unseen-character", what);
    }
    // Of a text that is no secret alone it says nothing new.
    let is_told = flaws.has("token-without-prefix") || blanks(secret).is_some() || unseen.is_some();
    if let (false, Some(bad)) = (is_told, strength::dangerous(secret)) {
        flaws.add("token-character", format!("it holds {bad:?}"));
    }
    if kind.is_bootstrap() {
        return;
    }
    if is_bootstrap(secret) {
        flaws.add(
            "token-bootstrap-as-server",
            "its secret is 6 characters, dot, 16",
        );
        return;
    }
    let strength = Strength::of(secret);
    let Strength {
        length,
        period,
        bits,
    } = strength;
    if bits < ENOUGH && strength.repeats() {
        let long = count(length, "character", "characters");
        let what = format!("{long}, but only the same {period} over and over: {bits} bits");
        flaws.add("token-trivial", what);
    } else if bits < ENOUGH {
        let carry = count(
            length,
            "character of this kind carries",
            "characters of this kind carry",
        );
        let what = format!("{carry} {bits} bits at most");
        flaws.add("token-weak", what);
    }
    if strength::is_number(secret) {
        flaws.add(
            "token-reads-as-number",
            "it has digits only, or the shape of a number",
        );
    }
}

fn blanks(secret: &str) -> Option<String> {
    let lines = secret.lines().count();
    if secret.contains(['\n', '\r']) {
        let what = format!("a line end stands inside, so that there are {lines} lines");
        return Some(what);
    }
    let blank = secret.chars().find(|c| c.is_whitespace())?;
    Some(format!("{} stands inside", layers::word(blank)))
}

/// Three parts in base64, the first a JSON object.
fn is_jwt(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    let [header, _, _] = parts.as_slice() else {
        return false;
    };
    let decoded = URL_SAFE_NO_PAD.decode(header.trim_end_matches('='));
    decoded.is_ok_and(|bytes| bytes.starts_with(b"{") && bytes.ends_with(b"}"))
}

fn decodes_to_token(text: &str) -> bool {
    let text = text.trim_end_matches('=');
    [STANDARD_NO_PAD.decode(text), URL_SAFE_NO_PAD.decode(text)]
        .into_iter()
        .flatten()
        .any(|bytes| bytes.starts_with(b"K10") && bytes.windows(2).any(|pair| pair == b"::"))
}

#[cfg(test)]
mod tests;
