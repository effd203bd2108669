//! What decrypts: age identities and ssh private keys, from a file that only its owner can read.

use std::fmt;
use std::io::Read as _;
use std::str::FromStr as _;

use camino::{Utf8Path, Utf8PathBuf};
use zeroize::Zeroizing;

use super::recipients::Recipients;
use super::{damaged, folder, lines, wrong};
use crate::op::custody::CustodyError;
use crate::secret::Secret;

pub(super) const SECRET_KEY: &str = "AGE-SECRET-KEY-";

/// How a key of ssh begins.
pub(super) const PEM: &str = "-----BEGIN";

/// A longer plain text is no token, and a longer file no key.
const LONGEST: usize = 64 << 10;

#[derive(Clone)]
enum Key {
    Age(age::x25519::Identity),
    Ssh(age::ssh::Identity),
}

/// Decrypts.
#[derive(Clone)]
pub struct Identity {
    path: Utf8PathBuf,
    keys: Vec<Key>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.path)
    }
}

impl Identity {
    /// Reads a file that `age-keygen` or `ssh-keygen` wrote.
    ///
    /// # Errors
    /// When others can read it, it is encrypted, or it holds no secret key.
    pub fn read(path: &Utf8Path) -> Result<Self, CustodyError> {
        let bytes = folder::read(path, LONGEST as u64)?;
        folder::narrow(path)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| {
            let what = format!("{path} is no text, and so no secret key");
            wrong(what, KINDS)
        })?;
        let keys = if text.starts_with(PEM) {
            vec![ssh(path, text)?]
        } else {
            age(path, text)?
        };
        let path = path.to_owned();
        Ok(Self { path, keys })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// Decrypts a token.
    pub(super) fn open(&self, sealed: &[u8], what: &str) -> Result<Secret, CustodyError> {
        let failed = |error: age::DecryptError| match error {
            age::DecryptError::NoMatchingKeys => wrong(
                format!("{what} was not encrypted to any key in {}", self.path),
                "name the file with the right key: `keyroll escrow list` shows to whom it was encrypted",
            ),
            other => damaged(format!("{what} is damaged: {other}")),
        };
        let decryptor = age::Decryptor::new(sealed).map_err(failed)?;
        let keys = self.keys.iter().map(|key| match key {
            Key::Age(key) => key as &dyn age::Identity,
            Key::Ssh(key) => key,
        });
        let reader = decryptor.decrypt(keys).map_err(failed)?;
        // It never grows, so that no copy of it is left behind.
        let mut text = Zeroizing::new(Vec::with_capacity(LONGEST + 64));
        let read = reader.take(LONGEST as u64).read_to_end(&mut text);
        read.map_err(|error| damaged(format!("{what} is damaged: {error}")))?;
        match std::str::from_utf8(&text) {
            Ok(token) if text.len() < LONGEST => Ok(Secret::new(token)),
            _ => Err(damaged(format!("{what} holds something that is no token"))),
        }
    }

    /// Whether it decrypts what is encrypted to these.
    ///
    /// # Errors
    /// When it does not.
    pub fn fits(&self, recipients: &Recipients) -> Result<(), CustodyError> {
        let sealed = recipients.seal(&Secret::new("a test"))?;
        self.open(&sealed, "what --escrow-to names").map(drop)
    }
}

const KINDS: &str = "name a file that `age-keygen` or `ssh-keygen` wrote";

const DECRYPT: &str = "decrypt it into a file that only you can read, and remove that afterwards: a passphrase is never asked for here";

fn age(path: &Utf8Path, text: &str) -> Result<Vec<Key>, CustodyError> {
    if text.starts_with("age-encryption.org/") {
        return Err(wrong(format!("{path} is itself encrypted"), DECRYPT));
    }
    let mut keys = Vec::new();
    for (number, line) in lines(text) {
        let key = age::x25519::Identity::from_str(line).map_err(|_| {
            wrong(
                format!("{path}:{number}: this is no age secret key ({SECRET_KEY}1…)"),
                KINDS,
            )
        })?;
        keys.push(Key::Age(key));
    }
    if keys.is_empty() {
        return Err(wrong(format!("{path} holds no secret key"), KINDS));
    }
    Ok(keys)
}

fn ssh(path: &Utf8Path, text: &str) -> Result<Key, CustodyError> {
    let unusable = || wrong(format!("{path} holds no ssh key that can be used"), KINDS);
    let key = age::ssh::Identity::from_buffer(text.as_bytes(), None).map_err(|_| unusable())?;
    match key {
        age::ssh::Identity::Unencrypted(_) => Ok(Key::Ssh(key)),
        age::ssh::Identity::Encrypted(_) => Err(wrong(
            format!("{path} is an ssh key with a passphrase"),
            DECRYPT,
        )),
        age::ssh::Identity::Unsupported(_) => Err(unusable()),
    }
}
