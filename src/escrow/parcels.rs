//! Snapshots that were brought here: `.part` until they are whole, then a line of `snapshots.jsonl` and their name.

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
    if named.exists() {
        return Err(wrong(
            format!("{named} is there already, and is not this snapshot"),
            "name another folder with --fetch-snapshot",
        ));
    }
    let part = of.join(format!("{}.part", found.name));
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
        std::fs::rename(&self.path, &named).map_err(|error| folder::unwritable(&named, &error))?;
        folder::replace(&self.folder.join(INDEX), &text)?;
        Ok(named.into_string())
    }
}
