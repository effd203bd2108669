//! The grammar of tokens, as K3s's own parser reads them, and what makes a good new one.

mod inspect;
mod kind;
mod layers;
mod pinned;
mod strength;

use hmac::{Hmac, Mac as _};
use sha2::{Digest, Sha256};

pub use inspect::{Flaw, Inspected, Kind, inspect};
pub use kind::TokenKind;
pub use pinned::pinned_hash;

use crate::model::count;
use crate::secret::Secret;
use strength::Strength;

/// A token as it stands on a surface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The password: what two tokens must share to be the same.
    pub secret: Secret,
    /// What surrounds it.
    pub form: Form,
}

/// The forms in which a secret is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// The secret alone; the CA is not checked.
    Bare,
    /// `K10<hash>::<user>:<secret>`; the user part decides nothing, the client overrides it.
    Full {
        /// 64 hex characters over the CA bundle; kept as written.
        hash: String,
        /// `server` or `node`.
        user: String,
    },
    /// `<6>.<16>`, with or without `K10<hash>::`: joins agents, never a server token.
    Bootstrap {
        /// As for `Full`.
        hash: Option<String>,
    },
}

/// Why a text is no token, or no good new one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Nothing there.
    #[error("the token is empty")]
    Empty,
    /// `K10` and then something else than 64 characters, `::`, user, `:`, secret.
    #[error("it begins with K10 but is not `K10<64 hex>::<user>:<secret>`: {0}")]
    Malformed(&'static str),
    /// A new token in full form.
    #[error(
        "it begins with `K10`: a new token is the bare secret, since K3s before v1.34.2 tears the cluster on the full form"
    )]
    FullForm,
    /// A new token in bootstrap form.
    #[error(
        "it has the shape of a bootstrap token (6 characters, dot, 16): K3s refuses it as a server token, after it has already changed its files"
    )]
    BootstrapShape,
    /// A new token that can be guessed.
    #[error(
        "it is too short: {} {bits} bits, and 128 are needed",
        count(*length, "character of this kind carries", "characters of this kind carry")
    )]
    Weak {
        /// Characters.
        length: usize,
        /// At most, by length and kind of characters.
        bits: usize,
    },
    /// A new token that repeats itself.
    #[error(
        "it is {length} characters long, but only the same {period} over and over: that much carries {bits} bits, and 128 are needed"
    )]
    Trivial {
        /// Characters.
        length: usize,
        /// Characters of the pattern.
        period: usize,
        /// At most, of the pattern alone.
        bits: usize,
    },
    /// A new token that YAML takes for a number.
    #[error("YAML reads it as a number where it stands without quotes; use one with letters")]
    Number,
    /// A line that sets a token.
    #[error(
        "it begins with `{0}`, so that it is a line that sets a token: give what stands behind, alone"
    )]
    Named(String),
    /// A new token that some file format would read differently.
    #[error(
        "it contains {0}, which CSV, YAML, systemd or a shell may read differently; use letters, digits and `-_.+/=~`"
    )]
    Character(String),
}

impl Token {
    /// Reads a token as K3s does.
    ///
    /// # Errors
    /// When it is empty, or begins with `K10` and goes on wrongly.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(TokenError::Empty);
        }
        let Some(rest) = text.strip_prefix("K10") else {
            let form = if is_bootstrap(text) {
                Form::Bootstrap { hash: None }
            } else {
                Form::Bare
            };
            return Ok(Self {
                secret: Secret::new(text),
                form,
            });
        };
        let (hash, tail) = rest
            .split_once("::")
            .ok_or(TokenError::Malformed("there is no `::`"))?;
        if hash.len() != 64 {
            return Err(TokenError::Malformed(
                "the CA hash does not have 64 characters",
            ));
        }
        let hash = hash.to_owned();
        if is_bootstrap(tail) {
            return Ok(Self {
                secret: Secret::new(tail),
                form: Form::Bootstrap { hash: Some(hash) },
            });
        }
        match tail.split_once(':') {
            Some((user, secret)) if !secret.is_empty() => Ok(Self {
                secret: Secret::new(secret),
                form: Form::Full {
                    hash,
                    user: user.to_owned(),
                },
            }),
            _ => Err(TokenError::Malformed("user or secret is missing")),
        }
    }

    /// Another secret in the same form, as text for the same surface.
    #[must_use]
    pub fn respell(&self, secret: &Secret) -> String {
        match &self.form {
            Form::Full { hash, user } => full(hash, user, secret),
            Form::Bare | Form::Bootstrap { .. } => secret.expose().to_owned(),
        }
    }

    /// The CA hash that it pins, when it does.
    #[must_use]
    pub fn hash(&self) -> Option<&str> {
        match &self.form {
            Form::Full { hash, .. } | Form::Bootstrap { hash: Some(hash) } => Some(hash),
            Form::Bare | Form::Bootstrap { hash: None } => None,
        }
    }
}

/// `K10<hash>::<user>:<secret>`.
#[must_use]
pub fn full(hash: &str, user: &str, secret: &Secret) -> String {
    format!("K10{hash}::{user}:{}", secret.expose())
}

/// Whether it has the shape of a bootstrap token: `<6>.<16>`.
#[must_use]
pub fn is_bootstrap(text: &str) -> bool {
    let lower = |part: &str| {
        part.bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    text.split_once('.')
        .is_some_and(|(id, rest)| id.len() == 6 && rest.len() == 16 && lower(id) && lower(rest))
}

/// Judges a token that somebody wants to rotate to.
///
/// # Errors
/// When K3s, a file format or a guesser would hurt: see [`TokenError`].
pub fn check_new(text: &str) -> Result<Secret, TokenError> {
    if text.is_empty() {
        return Err(TokenError::Empty);
    }
    if text.starts_with("K10") {
        return Err(TokenError::FullForm);
    }
    if is_bootstrap(text) {
        return Err(TokenError::BootstrapShape);
    }
    if let Some(name) = layers::named(text).map(|(name, _)| name) {
        return Err(TokenError::Named(name.to_owned()));
    }
    if let Some(first) = text.chars().next().filter(|c| "-~=".contains(*c)) {
        return Err(TokenError::Character(format!("`{first}` at its beginning")));
    }
    if let Some(bad) = strength::dangerous(text) {
        return Err(TokenError::Character(format!("{bad:?}")));
    }
    let strength = Strength::of(text);
    let Strength {
        length,
        period,
        bits,
    } = strength;
    if bits < ENOUGH {
        return Err(if strength.repeats() {
            TokenError::Trivial {
                length,
                period,
                bits,
            }
        } else {
            TokenError::Weak { length, bits }
        });
    }
    if strength::is_number(text) {
        return Err(TokenError::Number);
    }
    Ok(Secret::new(text))
}

/// Bits that cannot be guessed.
pub const ENOUGH: usize = 128;

/// Makes a token as K3s itself does: 16 random bytes, 32 lowercase hex characters.
///
/// # Errors
/// When the system gives no randomness.
pub fn generate() -> Result<Secret, getrandom::Error> {
    generate_long(32)
}

/// Makes a token of so many lowercase hex characters. One that [`check_new`] would refuse is drawn again.
///
/// # Errors
/// When the system gives no randomness.
pub fn generate_long(characters: usize) -> Result<Secret, getrandom::Error> {
    loop {
        let mut bytes = zeroize::Zeroizing::new(vec![0_u8; characters.div_ceil(2)]);
        getrandom::fill(&mut bytes)?;
        let mut text = hex(&bytes);
        text.truncate(characters);
        // Fewer characters than are enough are never accepted: they are handed out for the caller to refuse.
        if characters * 4 < ENOUGH || check_new(&text).is_ok() {
            return Ok(Secret::new(text));
        }
    }
}

/// The CA hash that a token pins, of the bundle's bytes as `/cacerts` serves them.
///
/// `None` for a bundle of several certificates: there K3s hashes the root's DER instead.
#[must_use]
pub fn ca_hash(bundle: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bundle);
    (text.matches("-----BEGIN CERTIFICATE-----").count() == 1).then(|| hex(&Sha256::digest(bundle)))
}

/// A short name for a token that gives nothing of it away: names snapshots and tells tokens apart in reports.
#[must_use]
pub fn tag(secret: &Secret) -> String {
    let mut digest = Sha256::new();
    digest.update(b"keyroll tag 1\0");
    digest.update(secret.expose().as_bytes());
    hex(&digest.finalize()).chars().take(8).collect()
}

/// Pairs an old token with what is kept of it: a digest that nobody can compare guesses with who does not know the new
/// token, which has 128 bits where an old one may be a word.
#[must_use]
pub fn pairing(old: &Secret, new: &Secret) -> String {
    let mut digest = Hmac::<Sha256>::new(&sized(new));
    digest.update(b"keyroll pairing 1\0");
    digest.update(old.expose().as_bytes());
    let bytes = digest.finalize().into_bytes();
    hex(&bytes).chars().take(32).collect()
}

/// A key of one block, which no length of a token makes invalid.
fn sized(secret: &Secret) -> hmac::digest::Key<Hmac<Sha256>> {
    let mut key = hmac::digest::Key::<Hmac<Sha256>>::default();
    let digest = Sha256::digest(secret.expose());
    for (to, from) in key.iter_mut().zip(digest) {
        *to = from;
    }
    key
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HASH: &str = "3d1f6a6e4971678a412c43f4e24d32c0d9baa7a3cd65fbe0cb3477474a8278d4";

    #[test]
    fn full_form_keeps_hash_and_user_when_respelled() {
        let token = Token::parse(&format!("K10{HASH}::server:old:with:colons\n")).unwrap();
        assert_eq!(token.secret.expose(), "old:with:colons");
        assert_eq!(
            token.respell(&Secret::new("new")),
            format!("K10{HASH}::server:new")
        );
    }

    #[test]
    fn what_k3s_would_misread_is_refused() {
        assert_eq!(
            Token::parse("K10abc::server:x"),
            Err(TokenError::Malformed(
                "the CA hash does not have 64 characters"
            ))
        );
        assert_eq!(Token::parse(" \n"), Err(TokenError::Empty));
        assert!(matches!(
            Token::parse("abcdef.0123456789abcdef").unwrap().form,
            Form::Bootstrap { hash: None }
        ));
        let full = Token::parse(&format!("K10{HASH}::l9o8fn.nrtaygadkkydor22")).unwrap();
        assert!(matches!(full.form, Form::Bootstrap { hash: Some(_) }));
    }

    #[test]
    fn weak_or_dangerous_new_tokens_are_refused() {
        assert_eq!(
            check_new("abcdef.0123456789abcdef"),
            Err(TokenError::BootstrapShape)
        );
        assert_eq!(
            check_new(&format!("K10{HASH}::server:x")),
            Err(TokenError::FullForm)
        );
        assert!(matches!(
            check_new("0123456789abcdef"),
            Err(TokenError::Weak { bits: 64, .. })
        ));
        for bad in [
            "with space in the middle of it all",
            "quote\"quotequotequotequotequote",
            "comma,commacommacommacomma",
            "a:bcdefghijklmnopqrstuvwxyz",
            "$HOMEHOMEHOMEHOMEHOMEHOMEHOME",
        ] {
            assert!(
                matches!(check_new(bad), Err(TokenError::Character(_))),
                "{bad}"
            );
        }
        assert!(check_new("newserversecret1111111111111111").is_ok());
        assert_eq!(check_new(""), Err(TokenError::Empty));
        for trivial in ["x".repeat(300), "abc123".repeat(40), "xy".repeat(16) + "x"] {
            let refused = check_new(&trivial);
            assert!(
                matches!(refused, Err(TokenError::Trivial { .. })),
                "{trivial}: {refused:?}"
            );
        }
        let number = "12345678901234567890987654321098765432109876543210";
        assert_eq!(check_new(number), Err(TokenError::Number));
        let line = "K3S_TOKEN=0123456789abcdef0123456789abcdef";
        assert_eq!(
            check_new(line),
            Err(TokenError::Named("K3S_TOKEN=".to_owned()))
        );
        for edge in ["~", "=", "-"] {
            let text = format!("{edge}0123456789abcdefghijklmnopqrstuv");
            assert!(matches!(check_new(&text), Err(TokenError::Character(_))));
        }
    }

    #[test]
    fn a_pairing_depends_on_both_tokens_and_shows_neither() {
        let (a, b) = (Secret::new("old"), Secret::new("new"));
        let pairing = super::pairing(&a, &b);
        assert_eq!(pairing, super::pairing(&a, &b));
        assert_ne!(pairing, super::pairing(&b, &a));
        assert_eq!((pairing.len(), pairing.contains("old")), (32, false));
    }

    proptest! {
        #[test]
        fn generated_tokens_are_always_accepted(_ in 0..64_u8) {
            let token = generate().unwrap();
            prop_assert_eq!(token.expose().len(), 32);
            prop_assert!(check_new(token.expose()).is_ok());
        }

        #[test]
        fn fuzz_a_token(text in "\\PC{0,120}") {
            let parsed = Token::parse(&text);
            prop_assert_eq!(parsed.is_err(), text.trim().is_empty() || (text.trim().starts_with("K10") && parsed.is_err()));
        }
    }
}
