//! Reads a journal back. A torn last line is dropped; any other bad line is an error with its number.

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;

use super::FORMAT;

/// One event as it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Counts from 0 within the run.
    pub seq: u64,
    /// `run_started`, `op_started`, …
    pub event: String,
    /// The whole event.
    pub body: Value,
}

/// Why a journal cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error("{path} cannot be read")]
    File {
        /// Which.
        path: Utf8PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A line in the middle is damaged.
    #[error("{path}, line {number} is damaged: {why}")]
    Damaged {
        /// Which journal.
        path: Utf8PathBuf,
        /// Counts from 1.
        number: usize,
        /// What is wrong.
        why: String,
    },
    /// Another version wrote it.
    #[error("{path} has format {found}, and this version reads format {FORMAT}")]
    Format {
        /// Which journal.
        path: Utf8PathBuf,
        /// Its format.
        found: String,
    },
}

/// Reads a journal.
///
/// # Errors
/// When it cannot be read, is damaged before its end, or has another format.
pub fn read(path: &Utf8Path) -> Result<Vec<Line>, ReadError> {
    let text = std::fs::read(path).map_err(|source| ReadError::File {
        path: path.to_owned(),
        source,
    })?;
    let mut lines: Vec<Line> = Vec::new();
    for (index, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let Some(whole) = line.strip_suffix(b"\n") else {
            break; // Cut while it was written: what it announced was never started.
        };
        let next = parse(whole, lines.len()).map_err(|why| ReadError::Damaged {
            path: path.to_owned(),
            number: index + 1,
            why,
        })?;
        lines.push(next);
    }
    check_format(path, lines.first())?;
    Ok(lines)
}

fn parse(line: &[u8], expected: usize) -> Result<Line, String> {
    let body: Value = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let seq = body
        .get("seq")
        .and_then(Value::as_u64)
        .ok_or("it has no number")?;
    if seq != expected as u64 {
        return Err(format!("it has number {seq}, and {expected} comes here"));
    }
    let event = body
        .get("event")
        .and_then(Value::as_str)
        .ok_or("it names no event")?
        .to_owned();
    Ok(Line { seq, event, body })
}

fn check_format(path: &Utf8Path, first: Option<&Line>) -> Result<(), ReadError> {
    let Some(first) = first else { return Ok(()) };
    let format = first.body.get("format").cloned().unwrap_or_default();
    if first.event == "run_started" && format == FORMAT {
        return Ok(());
    }
    Err(ReadError::Format {
        path: path.to_owned(),
        found: format.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = concat!(
        "{\"seq\":0,\"event\":\"run_started\",\"format\":1}\n",
        "{\"seq\":1,\"event\":\"task_started\",\"name\":\"é\"}\n",
        "{\"seq\":2,\"event\":\"op_started\"}\n"
    );

    fn read_bytes(bytes: &[u8]) -> Result<Vec<Line>, ReadError> {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(folder.path().join("j")).unwrap();
        std::fs::write(&path, bytes).unwrap();
        read(&path)
    }

    #[test]
    fn cut_at_every_byte_it_reads_the_whole_lines_before_the_cut() {
        for cut in 0..=WHOLE.len() {
            let bytes = &WHOLE.as_bytes()[..cut];
            let lines = read_bytes(bytes).unwrap();
            assert_eq!(
                lines.len(),
                bytes.split(|b| *b == b'\n').count() - 1,
                "{cut}"
            );
        }
    }

    #[test]
    fn a_damaged_line_in_the_middle_is_an_error_with_its_number() {
        let damaged = WHOLE.replace("\"seq\":1,", "");
        let error = read_bytes(damaged.as_bytes()).unwrap_err();
        assert!(
            matches!(error, ReadError::Damaged { number: 2, .. }),
            "{error}"
        );
        let lost = WHOLE.replace("\"seq\":1", "\"seq\":7");
        assert!(
            read_bytes(lost.as_bytes())
                .unwrap_err()
                .to_string()
                .contains("line 2")
        );
    }

    #[test]
    fn another_format_is_refused() {
        let error = read_bytes(WHOLE.replace("\"format\":1", "\"format\":2").as_bytes());
        assert!(error.unwrap_err().to_string().contains("format 2"));
    }
}
