//! Age recipients, to whom is encrypted, and identities, which decrypt. No error repeats what stands in a file.

use std::fmt;
use std::io::{Read as _, Write as _};
use std::str::FromStr as _;

use camino::{Utf8Path, Utf8PathBuf};
use zeroize::Zeroizing;

use super::{folder, wrong};
use crate::op::custody::CustodyError;
use crate::secret::Secret;

const SECRET_KEY: &str = "AGE-SECRET-KEY-";

/// A longer plain text is no token.
const LONGEST: u64 = 64 << 10;

/// Who can decrypt.
#[derive(Clone, Default)]
pub struct Recipients(Vec<age::x25519::Recipient>);

impl fmt::Debug for Recipients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

impl Recipients {
    /// Reads what `--escrow-to` names: `age1…`, or a file with one of them a line.
    ///
    /// # Errors
    /// When one is no recipient; the file and line are named.
    pub fn read(named: &[String]) -> Result<Self, CustodyError> {
        let mut all = Self::default();
        for name in named {
            if name.starts_with("age1") {
                all.add(name, "--escrow-to")?;
            } else {
                check_kind(name, "--escrow-to")?;
                all.read_file(Utf8Path::new(name))?;
            }
        }
        Ok(all)
    }

    fn read_file(&mut self, path: &Utf8Path) -> Result<(), CustodyError> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            wrong(
                format!("--escrow-to: {path} is no recipient (age1…), and cannot be read as a file of them: {error}"),
                "name a recipient that `age-keygen -y` prints, or a file with one a line",
            )
        })?;
        let before = self.0.len();
        for (number, line) in lines(&text) {
            let place = format!("{path}:{number}");
            check_kind(line, &place)?;
            self.add(line, &place)?;
        }
        if self.0.len() == before && !text.lines().any(|line| line.starts_with("age1")) {
            return Err(wrong(
                format!("{path} names no recipient"),
                "write one age1… a line into it",
            ));
        }
        Ok(())
    }

    fn add(&mut self, text: &str, place: &str) -> Result<(), CustodyError> {
        let recipient = age::x25519::Recipient::from_str(text).map_err(|why| {
            wrong(
                format!(
                    "{place}: this is no age recipient of the kind age1… with 62 characters: {why}"
                ),
                "take it from what `age-keygen -y` prints",
            )
        })?;
        let name = recipient.to_string();
        if !self.names().any(|known| known == name) {
            self.0.push(recipient);
        }
        Ok(())
    }

    /// Whether nobody was named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As they are written.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(ToString::to_string)
    }

    /// Encrypts to all of them.
    pub(super) fn seal(&self, secret: &Secret) -> Result<Vec<u8>, CustodyError> {
        let failed = |why: String| {
            wrong(
                format!("the old token cannot be encrypted: {why}"),
                "report this",
            )
        };
        let recipients = self.0.iter().map(|one| one as &dyn age::Recipient);
        let encryptor = age::Encryptor::with_recipients(recipients)
            .map_err(|error| failed(error.to_string()))?;
        let mut sealed = Vec::new();
        let write = || -> std::io::Result<()> {
            let mut writer = encryptor.wrap_output(&mut sealed)?;
            writer.write_all(secret.expose().as_bytes())?;
            writer.finish().map(drop)
        };
        write().map_err(|error| failed(error.to_string()))?;
        Ok(sealed)
    }
}

/// Decrypts.
#[derive(Clone)]
pub struct Identity {
    path: Utf8PathBuf,
    keys: Vec<age::x25519::Identity>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.path)
    }
}

impl Identity {
    /// Reads a file that `age-keygen` wrote.
    ///
    /// # Errors
    /// When others can read it, or a line is no secret key.
    pub fn read(path: &Utf8Path) -> Result<Self, CustodyError> {
        let text = std::fs::read(path).map_err(|error| folder::unreadable(path, &error))?;
        folder::narrow(path)?;
        let text = Zeroizing::new(String::from_utf8_lossy(&text).into_owned());
        if text.starts_with("age-encryption.org/") || text.starts_with("-----BEGIN") {
            return Err(wrong(
                format!("{path} is itself encrypted, or a key of another kind"),
                "decrypt it with `age -d` into a file that only you can read, and remove that afterwards",
            ));
        }
        let mut keys = Vec::new();
        for (number, line) in lines(&text) {
            let key = age::x25519::Identity::from_str(line).map_err(|_| {
                wrong(
                    format!("{path}:{number}: this is no age secret key ({SECRET_KEY}1…)"),
                    "name a file that `age-keygen` wrote",
                )
            })?;
            keys.push(key);
        }
        if keys.is_empty() {
            return Err(wrong(
                format!("{path} holds no secret key"),
                "name a file that `age-keygen` wrote",
            ));
        }
        let path = path.to_owned();
        Ok(Self { path, keys })
    }

    /// Decrypts a token.
    pub(super) fn open(&self, sealed: &[u8], what: &str) -> Result<Secret, CustodyError> {
        let failed = |error: age::DecryptError| match error {
            age::DecryptError::NoMatchingKeys => wrong(
                format!("{what} was not encrypted to any key in {}", self.path),
                "name the file with the right key: `keyroll escrow list` shows to whom it was encrypted",
            ),
            other => damaged(what, &other.to_string()),
        };
        let decryptor = age::Decryptor::new(sealed).map_err(failed)?;
        let keys = self.keys.iter().map(|key| key as &dyn age::Identity);
        let reader = decryptor.decrypt(keys).map_err(failed)?;
        let mut text = Zeroizing::new(String::new());
        let read = reader.take(LONGEST).read_to_string(&mut text);
        read.map_err(|error| damaged(what, &error.to_string()))?;
        Ok(Secret::new(text.as_str()))
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

fn damaged(what: &str, why: &str) -> CustodyError {
    wrong(
        format!("{what} is damaged: {why}"),
        "take it from a backup of this folder",
    )
}

/// Lines that say something, with their numbers.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim()));
    numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

/// A secret key in the place of a recipient is not repeated.
fn check_kind(text: &str, place: &str) -> Result<(), CustodyError> {
    if text.to_uppercase().starts_with(SECRET_KEY) {
        return Err(wrong(
            format!("{place}: this is a secret key, and whoever can read it can decrypt"),
            "name the recipient that belongs to it: `age-keygen -y FILE` prints it",
        ));
    }
    if text.starts_with("ssh-") {
        return Err(wrong(
            format!("{place}: ssh keys cannot be recipients here"),
            "make a key with `age-keygen`, and name the age1… that it prints",
        ));
    }
    Ok(())
}
