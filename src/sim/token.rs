//! Tokens as K3s reads them: bare, `K10…` and bootstrap form. Written apart from the product's own grammar, so
//! that a mistake there shows up here.

use sha2::{Digest, Sha256};

/// Lower-case hex of the SHA-256 of some bytes.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    let digit = |four: u8| char::from_digit(u32::from(four), 16).unwrap_or_default();
    Sha256::digest(bytes)
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// The datastore key of the bootstrap data under a secret: `/bootstrap/` and 12 hex digits.
#[must_use]
pub fn key(secret: &str) -> String {
    let hash = sha256(secret.as_bytes());
    format!("/bootstrap/{}", hash.get(..12).unwrap_or_default())
}

/// A token taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The hash of the CA, when the token has one.
    pub ca_hash: Option<String>,
    /// The secret part.
    pub secret: String,
}

impl Token {
    /// Takes a token apart; `None` when it is malformed.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let Some(rest) = text.strip_prefix("K10") else {
            return (!text.is_empty()).then(|| Self {
                ca_hash: None,
                secret: text.to_owned(),
            });
        };
        let (hash, rest) = rest.split_once("::")?;
        if !hash.is_empty() && hash.len() != 64 {
            return None;
        }
        let secret = if is_bootstrap(rest) {
            rest
        } else {
            rest.split_once(':')?.1
        };
        (!secret.is_empty()).then(|| Self {
            ca_hash: Some(hash.to_owned()).filter(|hash| !hash.is_empty()),
            secret: secret.to_owned(),
        })
    }

    /// The secret of a token, or the text itself when it is malformed.
    #[must_use]
    pub fn secret_of(text: &str) -> String {
        Self::parse(text).map_or_else(|| text.trim().to_owned(), |token| token.secret)
    }
}

/// `K10<hash>::<user>:<secret>`
#[must_use]
pub fn full(ca: &str, user: &str, secret: &str) -> String {
    format!("K10{}::{user}:{secret}", sha256(ca.as_bytes()))
}

/// Whether a text has the shape of a bootstrap token, which K3s refuses as a server token.
#[must_use]
pub fn is_bootstrap(text: &str) -> bool {
    let part = |part: &str, len| {
        part.len() == len
            && part
                .bytes()
                .all(|b| b.is_ascii_digit() || b.is_ascii_lowercase())
    };
    text.split_once('.')
        .is_some_and(|(id, secret)| part(id, 6) && part(secret, 16))
}

/// How a node shows a secret: a bootstrap token as a bearer's, any other as a password.
#[must_use]
pub fn shown<'a>(user: &'a str, secret: &'a str) -> (Option<(&'a str, &'a str)>, Option<&'a str>) {
    if is_bootstrap(secret) {
        (None, Some(secret))
    } else {
        (Some((user, secret)), None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// sqlite-rotate: the datastore's keys of both secrets.
    /// measured: M2.key-of-token
    #[test]
    fn the_key_is_the_beginning_of_the_secrets_hash() {
        assert_eq!(
            key("0ldserversecret0000000000000000"),
            "/bootstrap/308ed110cd81"
        );
        assert_eq!(
            key("newserversecret1111111111111111"),
            "/bootstrap/9e4d45f053e9"
        );
    }

    #[test]
    fn a_full_token_gives_back_its_secret() {
        let token = Token::parse(&full("ca", "server", "a:b")).unwrap();
        assert_eq!(
            (token.secret.as_str(), token.ca_hash),
            ("a:b", Some(sha256(b"ca")))
        );
        assert_eq!(Token::parse("K10abc::server:x"), None);
    }
}
