//! Writes a run's journal: one line an event, synced once for what has queued up.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;

use camino::{Utf8Path, Utf8PathBuf};

use super::{JournalError, make_private, unwritable};
use crate::event::{Event, Sink};
use crate::model::RunId;

/// A journal that is being written.
#[derive(Debug)]
pub struct Journal {
    path: Utf8PathBuf,
    file: File,
    lines: Vec<u8>,
}

impl Journal {
    /// Makes the run's folder and an empty journal in it, and proves that it can be written and synced.
    ///
    /// # Errors
    /// When the place cannot be written.
    pub fn create(state: &Utf8Path, run: &RunId) -> Result<Self, JournalError> {
        let folder = state.join("runs").join(&run.0);
        make_private(&folder)?;
        let path = folder.join("journal.jsonl");
        let opened = OpenOptions::new()
            .append(true)
            .create_new(true)
            .mode(0o600)
            .open(&path);
        let file = opened.map_err(|source| unwritable(&path, source))?;
        let kept = File::open(&folder).and_then(|folder| folder.sync_all());
        kept.map_err(|source| unwritable(&folder, source))?;
        Ok(Self {
            path,
            file,
            lines: Vec::new(),
        })
    }
}

impl Sink for Journal {
    fn on_events(&mut self, events: &[Event]) -> io::Result<()> {
        self.lines.clear();
        for event in events {
            serde_json::to_writer(&mut self.lines, event)?;
            self.lines.push(b'\n');
        }
        let kept = self
            .file
            .write_all(&self.lines)
            .and_then(|()| self.file.sync_data());
        kept.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", self.path)))
    }
}
