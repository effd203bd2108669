//! Snapshots that were brought here: `.part` until they are whole, then a line of `snapshots.jsonl`, then their name.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{folder, wrong};
use crate::k3s::sqlite::Log;
use crate::model::{HostName, RunId};
use crate::op::custody::{CustodyError, Found, Incoming, Parcel, Rotation};

const INDEX: &str = "snapshots.jsonl";

/// Ends the name of the log that belongs to a copy of sqlite.
const LOG: &str = "-sqlite.wal";

/// A longer index was not written here.
const LONGEST: u64 = 16 << 20;

/// One line of the index. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    file: String,
    size: u64,
    sha256: String,
    host: HostName,
    path: Utf8PathBuf,
    rotation: String,
    /// Digest of the old token, keyed with the new one.
    pairing: String,
    run: RunId,
    fetched: Timestamp,
}

impl Line {
    fn is_of(&self, rotation: &Rotation) -> bool {
        self.rotation == rotation.tag && self.pairing == rotation.pairing
    }
}

fn index(of: &Utf8Path) -> Result<Vec<Line>, CustodyError> {
    let path = of.join(INDEX);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = folder::read(&path, LONGEST)?;
    let read = |(number, line): (usize, &[u8])| {
        serde_json::from_slice(line).map_err(|error| {
            wrong(
                format!("{path}:{}:{}: {error}", number + 1, error.column()),
                "remove that line, or name another folder with --fetch-snapshot",
            )
        })
    };
    let lines = text.split(|byte| *byte == b'\n');
    let said = lines.enumerate().filter(|(_, line)| !line.is_empty());
    said.map(read).collect()
}

/// Whether it is here, with its whole length.
pub(super) fn has(of: &Utf8Path, parcel: &Parcel) -> Result<bool, CustodyError> {
    let is_here = |line: &Line| {
        let length = std::fs::metadata(of.join(&line.file)).map(|meta| meta.len());
        line.file.starts_with(&parcel.begins)
            && line.is_of(&parcel.rotation)
            && length.is_ok_and(|length| length == line.size)
    };
    Ok(index(of)?.iter().any(is_here))
}

/// Opens the file's first part, or the part that is here already.
pub(super) fn receive(
    of: &Utf8Path,
    run: &RunId,
    parcel: &Parcel,
    found: &Found,
) -> Result<Part, CustodyError> {
    folder::private(of)?;
    let named = of.join(&found.name);
    if Utf8Path::new(&found.name).file_name() != Some(&found.name) || found.name.starts_with('.') {
        return Err(wrong(
            format!("{} cannot be a file's name here", found.name),
            "rename it on the host",
        ));
    }
    let part = of.join(format!("{}.part", found.name));
    if named.exists() {
        is_nobodys(of, &named, (&parcel.rotation, found))?;
        take_up(&named, &part, found)?;
    }
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&part)
        .map_err(|error| folder::unwritable(&part, &error))?;
    folder::narrow(&part)?;
    let (mut sum, mut have) = (Sha256::new(), 0);
    let mut log = Some(Ok(Log::default())).filter(|_| found.name.ends_with(LOG));
    let mut piece = vec![0; 64 << 10];
    loop {
        let read = file
            .read(&mut piece)
            .map_err(|error| folder::unreadable(&part, &error))?;
        let Some(bytes) = piece.get(..read).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        sum.update(bytes);
        judge(&mut log, bytes);
        have += bytes.len() as u64;
    }
    let line = Line {
        file: found.name.clone(),
        size: found.size,
        sha256: found.digest.clone(),
        host: found.host.clone(),
        path: found.path.clone(),
        rotation: parcel.rotation.tag.clone(),
        pairing: parcel.rotation.pairing.clone(),
        run: run.clone(),
        fetched: Timestamp::now(),
    };
    Ok(Part {
        folder: of.to_owned(),
        path: part,
        file,
        sum,
        log,
        have,
        line,
    })
}

/// Refuses a file that the index has as of another rotation.
fn is_nobodys(
    of: &Utf8Path,
    named: &Utf8Path,
    (rotation, found): (&Rotation, &Found),
) -> Result<(), CustodyError> {
    let lines = index(of)?;
    let others = |line: &&Line| line.file == found.name && !line.is_of(rotation);
    let Some(line) = lines.iter().find(others) else {
        return Ok(());
    };
    Err(wrong(
        format!(
            "{named} is there already, and belongs to another rotation, {}, or to another old token",
            line.rotation
        ),
        "name another folder with --fetch-snapshot",
    ))
}

/// A file of this name that has no line in the index, as where that could not be written: the very bytes are taken up as a
/// part that is whole, and anything else is somebody else's.
fn take_up(named: &Utf8Path, part: &Utf8Path, found: &Found) -> Result<(), CustodyError> {
    let mut file = File::open(named).map_err(|error| folder::unreadable(named, &error))?;
    let mut sum = Sha256::new();
    std::io::copy(&mut file, &mut sum).map_err(|error| folder::unreadable(named, &error))?;
    let digest = format!("{:x}", sum.finalize());
    if digest != found.digest {
        return Err(wrong(
            format!(
                "{named} is there already, and is another file than {} on {}: its SHA-256 is {digest}, not {}",
                found.path, found.host, found.digest
            ),
            "name another folder with --fetch-snapshot",
        ));
    }
    std::fs::rename(named, part).map_err(|error| folder::unwritable(part, &error))?;
    folder::sync(part.parent().unwrap_or(Utf8Path::new(".")))
}

/// Judges the next bytes of a log of sqlite; what was wrong stays wrong.
fn judge(log: &mut Option<Result<Log, String>>, bytes: &[u8]) {
    let judged = log.take();
    *log = judged.map(|log| {
        let mut log = log?;
        log.append(bytes)?;
        Ok(log)
    });
}

/// A file that is not whole yet.
pub(super) struct Part {
    folder: Utf8PathBuf,
    path: Utf8PathBuf,
    file: File,
    sum: Sha256,
    /// What is known of a log of sqlite.
    log: Option<Result<Log, String>>,
    have: u64,
    line: Line,
}

impl Part {
    /// A part that is no good is no beginning of anything.
    fn throw_away(&self) -> Result<(), CustodyError> {
        let removed = std::fs::remove_file(&self.path);
        removed.map_err(|error| folder::unwritable(&self.path, &error))
    }
}

impl Incoming for Part {
    fn have(&self) -> u64 {
        self.have
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), CustodyError> {
        let written = self.file.write_all(bytes);
        written.map_err(|error| folder::unwritable(&self.path, &error))?;
        self.sum.update(bytes);
        judge(&mut self.log, bytes);
        self.have += bytes.len() as u64;
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<String, CustodyError> {
        let digest = format!("{:x}", self.sum.finalize_reset());
        if digest != self.line.sha256 || self.have != self.line.size {
            self.throw_away()?;
            return Err(wrong(
                format!(
                    "{} did not come over as it is on {}: {digest}, not {}",
                    self.line.file, self.line.host, self.line.sha256
                ),
                "run the same command again; it is fetched anew",
            ));
        }
        let judged = self.log.take().unwrap_or_else(|| Ok(Log::default()));
        if let Err(why) = judged.and_then(Log::end) {
            self.throw_away()?;
            let Line { host, path, .. } = &self.line;
            return Err(wrong(
                format!("the copy with {path} on {host} is no good: {why}"),
                "remove that copy there, then run the same command again",
            ));
        }
        self.file
            .sync_all()
            .map_err(|error| folder::unwritable(&self.path, &error))?;
        let named = self.folder.join(&self.line.file);
        let mut lines = index(&self.folder)?;
        lines.retain(|line| line.file != self.line.file);
        lines.push(self.line);
        let mut text = Vec::new();
        for line in &lines {
            serde_json::to_writer(&mut text, line)
                .map_err(|error| wrong(error.to_string(), "report this"))?;
            text.push(b'\n');
        }
        // A line without its file says nothing; a file without its line would be nobody's.
        folder::replace(&self.folder.join(INDEX), &text)?;
        std::fs::rename(&self.path, &named).map_err(|error| folder::unwritable(&named, &error))?;
        folder::sync(&self.folder)?;
        Ok(named.into_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::custody::Source;

    fn digest(bytes: &[u8]) -> String {
        format!("{:x}", Sha256::digest(bytes))
    }

    fn parcel() -> Parcel {
        Parcel {
            rotation: Rotation {
                tag: "cea98305".to_owned(),
                pairing: "ffff".to_owned(),
            },
            begins: "before-".to_owned(),
            source: Source::In("/snapshots".into()),
        }
    }

    fn found(bytes: &[u8]) -> Found {
        Found {
            host: HostName::new("server-1").unwrap(),
            path: "/snapshots/before-1".into(),
            name: "before-1".to_owned(),
            size: bytes.len() as u64,
            digest: digest(bytes),
        }
    }

    /// A folder for snapshots, its owner's alone.
    fn place(within: &tempfile::TempDir) -> Utf8PathBuf {
        let path = Utf8Path::from_path(within.path()).unwrap();
        path.join("snapshots")
    }

    fn bring(of: &Utf8Path, bytes: &[u8]) -> Result<String, CustodyError> {
        let mut part = Box::new(receive(of, &RunId("r1".into()), &parcel(), &found(bytes))?);
        let rest = bytes.get(usize::try_from(part.have()).unwrap()..).unwrap();
        part.append(rest)?;
        part.finish()
    }

    #[test]
    fn a_file_without_its_line_is_taken_up_and_another_one_is_named_as_that() {
        let folder = tempfile::tempdir().unwrap();
        let of = place(&folder);
        folder::private(&of).unwrap();
        folder::replace(&of.join("before-1"), b"data").unwrap();
        let refused = bring(&of, b"other").unwrap_err();
        assert!(refused.what.contains(&digest(b"data")), "{refused}");
        assert!(bring(&of, b"data").is_ok());
        assert!(has(&of, &parcel()).unwrap());
    }
}
