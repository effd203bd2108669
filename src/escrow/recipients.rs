//! To whom is encrypted: age recipients and ssh public keys. No error repeats what stands in a file.

use std::fmt;
use std::io::Write as _;
use std::str::FromStr as _;

use age::ssh::ParseRecipientKeyError;
use camino::Utf8Path;

use super::identity::{PEM, SECRET_KEY};
use super::{folder, lines, wrong};
use crate::op::custody::CustodyError;
use crate::secret::Secret;

const KINDS: &str = "name age1… as `age-keygen -y` prints it, an ssh-ed25519 or ssh-rsa public key, or a file with one of them a line as @FILE";

/// A longer file is no list of recipients.
const LONGEST: u64 = 1 << 20;

#[derive(Clone)]
enum Recipient {
    Age(age::x25519::Recipient),
    Ssh(age::ssh::Recipient),
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Age(key) => key.fmt(f),
            Self::Ssh(key) => key.fmt(f),
        }
    }
}

/// Who can decrypt.
#[derive(Clone, Default)]
pub struct Recipients(Vec<Recipient>);

impl fmt::Debug for Recipients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

impl Recipients {
    /// Reads what `--escrow-to` names: a recipient, or `@FILE` with one of them a line.
    ///
    /// # Errors
    /// When one is no recipient; the file and line are named.
    pub fn read(named: &[String]) -> Result<Self, CustodyError> {
        let mut all = Self::default();
        for name in named {
            match name.strip_prefix('@') {
                Some(path) => all.read_file(Utf8Path::new(path))?,
                None => all.add(name.trim(), "--escrow-to")?,
            }
        }
        Ok(all)
    }

    fn read_file(&mut self, path: &Utf8Path) -> Result<(), CustodyError> {
        let bytes = folder::read(path, LONGEST)
            .map_err(|error| wrong(format!("--escrow-to: {}", error.what), KINDS))?;
        let text = std::str::from_utf8(&bytes).map_err(|error| {
            let what = format!(
                "--escrow-to: {path} is no text, from byte {} on",
                error.valid_up_to()
            );
            wrong(what, KINDS)
        })?;
        let mut any = false;
        for (number, line) in lines(text) {
            self.add(line, &format!("--escrow-to: {path}:{number}"))?;
            any = true;
        }
        if any {
            return Ok(());
        }
        Err(wrong(
            format!("--escrow-to: {path} names no recipient"),
            KINDS,
        ))
    }

    fn add(&mut self, text: &str, place: &str) -> Result<(), CustodyError> {
        let recipient = parse(text).map_err(|why| wrong(format!("{place}: {why}"), next(text)))?;
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

    /// As they are written, without comments.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(ToString::to_string)
    }

    /// Encrypts to all of them.
    pub(super) fn seal(&self, secret: &Secret) -> Result<Vec<u8>, CustodyError> {
        let failed = |why: String| {
            let what = format!("the old token cannot be encrypted: {why}");
            wrong(what, "name other recipients with --escrow-to")
        };
        let recipients = self.0.iter().map(|one| match one {
            Recipient::Age(key) => key as &dyn age::Recipient,
            Recipient::Ssh(key) => key,
        });
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

fn parse(text: &str) -> Result<Recipient, String> {
    if is_secret(text) {
        return Err("this is a secret key, and whoever can read it can decrypt".to_owned());
    }
    if text.starts_with("age1") {
        let key = age::x25519::Recipient::from_str(text);
        return key.map(Recipient::Age).map_err(|why| {
            format!("this is no age recipient of the kind age1… with 62 characters ({why}); those of plugins are not known here")
        });
    }
    if !text.starts_with("ssh-") {
        return Err("this is no recipient".to_owned());
    }
    let key = age::ssh::Recipient::from_str(text);
    key.map(Recipient::Ssh).map_err(|error| match error {
        ParseRecipientKeyError::RsaModulusTooSmall => {
            "an ssh-rsa key of less than 2048 bits is too weak".to_owned()
        }
        ParseRecipientKeyError::RsaModulusTooLarge => {
            "this ssh-rsa key is longer than can be used".to_owned()
        }
        ParseRecipientKeyError::Ignore
        | ParseRecipientKeyError::Invalid(_)
        | ParseRecipientKeyError::Unsupported(_) => {
            "this is no ssh-ed25519 or ssh-rsa public key".to_owned()
        }
    })
}

/// A secret key in the place of a recipient is not repeated.
fn is_secret(text: &str) -> bool {
    text.to_uppercase().starts_with(SECRET_KEY) || text.starts_with(PEM)
}

fn next(text: &str) -> &'static str {
    if is_secret(text) {
        "name the recipient that belongs to it: `age-keygen -y FILE` or `ssh-keygen -y -f FILE` prints it"
    } else {
        KINDS
    }
}
