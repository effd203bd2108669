//! What is kept of rotations: a folder each, `<run>-<tag>`, with `entry.json`, `old.age` and `restore.txt`.
//!
//! The folder gets its name when all of it is synced: one that is there was whole.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{Identity, Vault, damaged, folder, wrong};
use crate::k3s::restore::FOLDER;
use crate::model::{HostName, RunId};
use crate::op::custody::{CustodyError, Deposit};
use crate::secret::Secret;

const FORMAT: u32 = 1;
const ENTRY: &str = "entry.json";
const SEALED: &str = "old.age";
const NOTE: &str = "restore.txt";

/// What is written here is shorter.
const LONGEST: u64 = 16 << 20;

/// What was kept, and for whom. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// 1.
    pub format: u32,
    /// The run that kept it.
    pub run: RunId,
    /// Tag of the rotation, as in the names of snapshots.
    pub rotation: String,
    /// Digest of the old token, keyed with the new one.
    pub pairing: String,
    /// The cluster, by its servers.
    pub servers: Vec<HostName>,
    /// When.
    pub kept: Timestamp,
    /// Who can decrypt it.
    pub recipients: Vec<String>,
    /// Snapshots that need it, and their hosts.
    pub snapshots: Vec<(HostName, Utf8PathBuf)>,
    /// How the path of one begins that was about to be taken, whose whole name was not known yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_come: Option<(HostName, Utf8PathBuf)>,
    /// SHA-256 of `old.age`.
    pub sha256: String,
}

/// An entry with its place.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Its folder.
    pub folder: Utf8PathBuf,
    /// What it says, or why it cannot be read.
    pub entry: Result<Entry, CustodyError>,
}

/// Everything that is kept in a place, oldest first.
///
/// # Errors
/// When the place cannot be looked at.
pub fn list(place: &Utf8Path) -> Result<Vec<Kept>, CustodyError> {
    let names = match place.read_dir_utf8() {
        Ok(names) => names,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(folder::unreadable(place, &error)),
    };
    let mut kept = Vec::new();
    for name in names {
        let name = name.map_err(|error| folder::unreadable(place, &error))?;
        // What was cut while it was written was never kept.
        if !name.file_name().starts_with('.') {
            let folder = name.path().to_owned();
            let entry = read(&folder);
            kept.push(Kept { folder, entry });
        }
    }
    kept.sort_by(|one, other| one.folder.cmp(&other.folder));
    Ok(kept)
}

fn read(of: &Utf8Path) -> Result<Entry, CustodyError> {
    let path = of.join(ENTRY);
    let text = folder::read(&path, LONGEST)?;
    let entry: Entry = serde_json::from_slice(&text).map_err(|error| {
        damaged(format!(
            "{path}:{}:{}: {error}",
            error.line(),
            error.column()
        ))
    })?;
    if entry.format == FORMAT {
        return Ok(entry);
    }
    Err(damaged(format!(
        "{path} has format {}, and this version reads {FORMAT}",
        entry.format
    )))
}

/// The encrypted token of an entry, whole.
fn sealed(of: &Utf8Path, entry: &Entry) -> Result<Zeroizing<Vec<u8>>, CustodyError> {
    let path = of.join(SEALED);
    let bytes = folder::read(&path, LONGEST)?;
    folder::narrow(&path)?;
    if digest(&bytes) == entry.sha256 {
        return Ok(bytes);
    }
    Err(damaged(format!(
        "{path} is damaged: it is not what was written"
    )))
}

fn digest(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// What a run kept, or a folder of that name.
///
/// # Errors
/// When there is none, there are several, or it cannot be read.
pub fn find(place: &Utf8Path, id: &str) -> Result<(Utf8PathBuf, Entry), CustodyError> {
    let is_meant = |kept: &Kept| {
        let name = kept.folder.file_name().unwrap_or_default();
        name == id
            || match &kept.entry {
                Ok(entry) => entry.run.0 == id,
                Err(_) => name.starts_with(&format!("{id}-")),
            }
    };
    let mut found: Vec<Kept> = list(place)?.into_iter().filter(is_meant).collect();
    let Some(first) = found.pop() else {
        return Err(wrong(
            format!("nothing is kept of a run {id} in {place}"),
            "see `keyroll escrow list`",
        ));
    };
    if found.is_empty() {
        return Ok((first.folder, first.entry?));
    }
    found.push(first);
    let names: Vec<&str> = found
        .iter()
        .filter_map(|kept| kept.folder.file_name())
        .collect();
    Err(wrong(
        format!("run {id} kept several: {}", names.join(", ")),
        "name one of them in place of the run",
    ))
}

/// The old token of an entry.
///
/// # Errors
/// When it is damaged, others can read it, or the identity does not fit.
pub fn open(of: &Utf8Path, entry: &Entry, identity: &Identity) -> Result<Secret, CustodyError> {
    identity.open(&sealed(of, entry)?, of.join(SEALED).as_str())
}

/// Whether this is kept, whole, for everybody who was named.
pub(super) fn holds(vault: &Vault, deposit: &Deposit) -> Result<bool, CustodyError> {
    let whole = |kept: &Kept| {
        let Ok(entry) = &kept.entry else { return false };
        entry.rotation == deposit.rotation.tag
            && entry.pairing == deposit.rotation.pairing
            && vault
                .recipients
                .names()
                .all(|name| entry.recipients.contains(&name))
            && sealed(&kept.folder, entry).is_ok()
    };
    Ok(list(place(vault, deposit))?.iter().any(whole))
}

fn place<'a>(vault: &'a Vault, deposit: &'a Deposit) -> &'a Utf8Path {
    deposit.folder.as_deref().unwrap_or(&vault.place)
}

/// Keeps it: encrypted, decrypted once where that is possible, synced, and only then named. Says what was done.
pub(super) fn keep(vault: &Vault, deposit: &Deposit) -> Result<String, CustodyError> {
    let place = place(vault, deposit);
    folder::private(place)?;
    let bytes = vault.recipients.seal(&deposit.old)?;
    if let Some(identity) = &vault.identity
        && identity.open(&bytes, "what was encrypted just now")? != deposit.old
    {
        return Err(wrong(
            "what was encrypted just now decrypts to something else",
            "report this",
        ));
    }
    let entry = Entry {
        format: FORMAT,
        run: vault.run.clone(),
        rotation: deposit.rotation.tag.clone(),
        pairing: deposit.rotation.pairing.clone(),
        servers: deposit.servers.clone(),
        kept: Timestamp::now(),
        recipients: vault.recipients.names().collect(),
        snapshots: deposit.snapshots.clone(),
        to_come: deposit.to_come.clone(),
        sha256: digest(&bytes),
    };
    let text = serde_json::to_vec_pretty(&entry).map_err(|error| damaged(error.to_string()))?;
    let part = tempfile::Builder::new()
        .prefix(".part-")
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(place)
        .map_err(|error| folder::unwritable(place, &error))?;
    let inside = Utf8Path::from_path(part.path())
        .ok_or_else(|| wrong(format!("{place} is no text"), "name another folder"))?;
    folder::write_new(&inside.join(SEALED), &bytes)?;
    folder::write_new(&inside.join(NOTE), note(deposit, place)?.as_bytes())?;
    folder::write_new(&inside.join(ENTRY), &text)?;
    folder::sync(inside)?;
    let named = free_name(place, &format!("{}-{}", vault.run, deposit.rotation.tag));
    std::fs::rename(inside, &named).map_err(|error| folder::unwritable(&named, &error))?;
    // It has another name now, under which nothing is removed.
    drop(part.keep());
    folder::sync(place)?;
    let tested = match &vault.identity {
        Some(identity) => format!("decrypted once, as a test, with {}", identity.path()),
        None => "not test-decrypted: no --escrow-identity was given".to_owned(),
    };
    Ok(format!(
        "the old token is kept, encrypted, in {named}; {tested}"
    ))
}

/// The note, which names the place wherever it is read.
fn note(deposit: &Deposit, place: &Utf8Path) -> Result<String, CustodyError> {
    let whole = place
        .canonicalize_utf8()
        .map_err(|error| folder::unreadable(place, &error))?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./+:@%".contains(c);
    let word = if whole.as_str().chars().all(is_plain) {
        whole.into_string()
    } else {
        format!("'{}'", whole.as_str().replace('\'', r"'\''"))
    };
    Ok(deposit.note.replace(FOLDER, &word))
}

/// A damaged one of the same name stays for whoever wants to look at it.
fn free_name(place: &Utf8Path, name: &str) -> Utf8PathBuf {
    let first = place.join(name);
    let others = (2_u32..).map(|number| place.join(format!("{name}-{number}")));
    std::iter::once(first.clone())
        .chain(others)
        .find(|path| !path.exists())
        .unwrap_or(first)
}
