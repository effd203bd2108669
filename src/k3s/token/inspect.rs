//! What a text that somebody takes for a token is, and what is wrong with it.
//!
//! Says by its text alone what can be said; what a cluster answers to it comes from elsewhere. Names of flaws stand in
//! the catalogue of findings.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};
use x509_cert::Certificate;
use x509_cert::der::Encode as _;

use super::{ENOUGH, hex, is_bootstrap, strength};
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
    let trimmed = line.trim();
    if trimmed.len() != line.len() && !trimmed.is_empty() {
        flaws.add("token-has-blanks-around", "white space stands around it");
    }
    let bare = unquoted(trimmed, &mut flaws);
    let (kind, hash, secret) = split(bare, &mut flaws);
    if kind != Kind::None {
        judge_secret(secret, kind, &mut flaws);
    }
    Inspected {
        kind,
        hash: hash.map(str::to_owned),
        bits: bits(secret),
        secret: Secret::new(secret),
        flaws: flaws.0,
    }
}

#[derive(Default)]
struct Flaws(Vec<Flaw>);

impl Flaws {
    fn add(&mut self, name: &'static str, what: impl Into<String>) {
        let what = what.into();
        self.0.push(Flaw { name, what });
    }
}

fn unquoted<'a>(text: &'a str, flaws: &mut Flaws) -> &'a str {
    for quote in ['"', '\''] {
        let inner = text
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote));
        if let Some(inner) = inner {
            flaws.add("token-in-quotes", format!("it stands between {quote}"));
            return inner;
        }
    }
    text
}

/// Kind, CA hash and secret.
fn split<'a>(text: &'a str, flaws: &mut Flaws) -> (Kind, Option<&'a str>, &'a str) {
    let no_token = (Kind::None, None, text);
    if text.is_empty() {
        flaws.add("token-empty", "nothing is there");
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
        let shaped = is_bootstrap(text);
        return (
            if shaped { Kind::Bootstrap } else { Kind::Bare },
            None,
            text,
        );
    };
    let Some((hash, tail)) = rest.split_once("::") else {
        let what = format!("{} characters follow `K10`, none of them `::`", rest.len());
        flaws.add("token-without-separator", what);
        return no_token;
    };
    judge_hash(hash, flaws);
    if is_bootstrap(tail) {
        return (Kind::FullBootstrap, Some(hash), tail);
    }
    match tail.split_once(':') {
        Some((user, secret)) if !secret.is_empty() => (of_user(user, flaws), Some(hash), secret),
        _ => {
            flaws.add(
                "token-user-missing",
                "user or secret is missing behind `::`",
            );
            no_token
        }
    }
}

fn of_user(user: &str, flaws: &mut Flaws) -> Kind {
    match user {
        "server" => Kind::Server,
        "node" => Kind::Node,
        _ => {
            let what = format!(
                "a user of {} characters, neither `server` nor `node`",
                user.len()
            );
            flaws.add("token-user-odd", what);
            Kind::OtherUser
        }
    }
}

fn judge_hash(hash: &str, flaws: &mut Flaws) {
    let count = hash.chars().count();
    let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    if count != 64 {
        flaws.add("token-hash-length", format!("it has {count} characters"));
    } else if !hash.chars().all(is_hex) {
        flaws.add(
            "token-hash-not-hex",
            "it holds other characters than 0-9 and a-f",
        );
    }
}

fn judge_secret(secret: &str, kind: Kind, flaws: &mut Flaws) {
    if secret.chars().any(|c| c.is_whitespace() || c.is_control()) {
        flaws.add(
            "token-has-blanks",
            "white space or a line end stands inside",
        );
    } else if let Some(bad) = strength::dangerous(secret) {
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
    let (length, plain) = (secret.chars().count(), strength::bits(secret));
    if plain < ENOUGH {
        let what = format!("{length} characters of this kind carry {plain} bits at most");
        flaws.add("token-weak", what);
    } else if bits(secret) < ENOUGH {
        let period = strength::period(secret);
        let what = format!("{length} characters, but only the same {period} over and over");
        flaws.add("token-trivial", what);
    }
    if strength::is_number(secret) {
        flaws.add(
            "token-reads-as-number",
            "it has digits only, or the shape of a number",
        );
    }
}

fn bits(secret: &str) -> usize {
    let pattern = secret.get(..strength::period(secret));
    strength::bits(pattern.unwrap_or(secret))
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

/// The hash that a token pins for this bundle, as K3s computes it: of one certificate the file's bytes, of several the
/// DER of the root that the first leads to. Where no root is found K3s takes the bytes too.
#[must_use]
pub fn pinned_hash(bundle: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bundle);
    match text.matches("-----BEGIN CERTIFICATE-----").count() {
        0 => None,
        1 => Some(hex(&Sha256::digest(bundle))),
        _ => Some(match root(bundle) {
            Some(root) => hex(&Sha256::digest(root)),
            None => hex(&Sha256::digest(bundle)),
        }),
    }
}

/// The root of the first certificate, by names of issuers.
fn root(bundle: &[u8]) -> Option<Vec<u8>> {
    let chain = Certificate::load_pem_chain(bundle).ok()?;
    let mut at = chain.first()?;
    for _ in 0..chain.len() {
        let (issuer, subject) = (&at.tbs_certificate.issuer, &at.tbs_certificate.subject);
        if issuer == subject {
            return at.to_der().ok();
        }
        at = chain
            .iter()
            .find(|other| other.tbs_certificate.subject == *issuer)?;
    }
    None
}

#[cfg(test)]
mod tests;
