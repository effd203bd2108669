//! Reads the framed output of a script.

use std::collections::VecDeque;

use camino::Utf8PathBuf;

use super::Nonce;
use crate::model::HostTime;
use crate::secret::Content;
use crate::wire::{Batch, Change, FileKind, FileStat, FoundFile, Query, Ran, Request, Response};

/// The status of a guard that does not hold; `v` in `prelude.sh`.
const MOVED: i32 = 118;

/// What a script's output says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Whether the script began to run.
    pub started: bool,
    /// Whether its trailer came on both streams.
    pub ended: bool,
    /// The answers that came whole, in order.
    pub responses: Vec<Response>,
}

/// Reads both streams of a script, complete or cut.
#[must_use]
pub fn read(batch: &Batch, nonce: &Nonce, stdout: &[u8], stderr: &[u8]) -> Heard {
    let start = format!("{}:start\n", nonce.as_str());
    let mut out = Frames::after(stdout, &start);
    let mut err = Frames::after(stderr, &start);
    let started = out.is_some();
    let mut responses = Vec::new();
    let mut requests = batch.requests.iter().enumerate().collect::<VecDeque<_>>();
    if let (Some(out), Some(err)) = (&mut out, &mut err) {
        while let Some((at, request)) = requests.pop_front() {
            let mark = format!("{}:{at}", nonce.as_str());
            let (Some((stdout, fields)), Some((stderr, _))) = (out.next(&mark), err.next(&mark))
            else {
                break;
            };
            let Some(frame) = Frame::new(stdout, stderr, fields) else {
                break;
            };
            responses.push(frame.answer(request, nonce));
        }
    }
    let end = format!("{}:end\n", nonce.as_str());
    let ended = [out, err]
        .iter()
        .flatten()
        .filter(|rest| find(rest.0, end.as_bytes()).is_some())
        .count()
        == 2;
    Heard {
        started,
        ended,
        responses,
    }
}

/// Where `needle` begins in `hay`.
pub(in crate::transport) fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    let first = needle.first()?;
    let mut from = 0;
    loop {
        let rest = hay.get(from..)?;
        let at = from + rest.iter().position(|byte| byte == first)?;
        if hay.get(at..)?.starts_with(needle) {
            return Some(at);
        }
        from = at + 1;
    }
}

/// What is not read yet of a stream.
struct Frames<'a>(&'a [u8]);

impl<'a> Frames<'a> {
    fn after(stream: &'a [u8], start: &str) -> Option<Self> {
        let at = find(stream, start.as_bytes())?;
        stream.get(at + start.len()..).map(Self)
    }

    /// The bytes up to a marker, and what stands behind the marker in its line.
    fn next(&mut self, mark: &str) -> Option<(&'a [u8], &'a [u8])> {
        let at = find(self.0, mark.as_bytes())?;
        let (payload, rest) = self.0.split_at_checked(at)?;
        let rest = rest.get(mark.len()..)?;
        let newline = rest.iter().position(|byte| *byte == b'\n')?;
        self.0 = rest.get(newline + 1..)?;
        Some((payload, rest.get(..newline)?))
    }
}

/// One request's output.
struct Frame<'a> {
    stdout: &'a [u8],
    stderr: &'a [u8],
    status: i32,
    /// Seconds; `None` where the host has no `/proc/uptime`.
    took_s: Option<f64>,
}

impl<'a> Frame<'a> {
    fn new(stdout: &'a [u8], stderr: &'a [u8], fields: &[u8]) -> Option<Self> {
        let fields = std::str::from_utf8(fields).ok()?;
        let mut fields = fields.strip_prefix(':')?.split(':');
        let status = fields.next()?.parse().ok()?;
        let begun = fields.next()?.parse::<f64>();
        let ended = fields.next()?.parse::<f64>();
        let took_s = begun
            .ok()
            .zip(ended.ok())
            .map(|(begun, ended)| ended - begun);
        Some(Self {
            stdout,
            stderr,
            status,
            took_s,
        })
    }

    fn answer(&self, request: &Request, nonce: &Nonce) -> Response {
        match request {
            Request::Query(Query::Files { limit, .. } | Query::Environments { limit, .. })
                if self.status == 0 =>
            {
                Response::Files(found(self.stdout, nonce, *limit))
            }
            Request::Query(Query::Run(command)) | Request::Change(Change::Run(command)) => {
                Response::Ran(self.ran(command.timeout.as_secs_f64()))
            }
            Request::Query(query) => self
                .looked(query)
                .unwrap_or_else(|| Response::Failed(self.ran(30.0))),
            Request::Change(_) | Request::Guard(_) if self.status == 0 => Response::Done,
            Request::Guard(_) if self.status == MOVED => Response::Moved(self.words()),
            Request::Change(_) | Request::Guard(_) => Response::Failed(self.ran(30.0)),
        }
    }

    fn words(&self) -> String {
        String::from_utf8_lossy(self.stderr).trim_end().to_owned()
    }

    fn ran(&self, limit_s: f64) -> Ran {
        // The uptime has hundredths of a second, and timeout's own start is not counted.
        let used_up = |took_s: f64| took_s + 0.1 >= limit_s;
        let timed_out = match self.status {
            124 | 137 => self.took_s.is_none_or(used_up),
            143 => self.took_s.is_some_and(used_up),
            _ => false,
        };
        Ran {
            status: self.status,
            stdout: Content::new(self.stdout),
            stderr: Content::new(self.stderr),
            timed_out,
        }
    }

    fn looked(&self, query: &Query) -> Option<Response> {
        let missing = self.status != 0 && self.says_missing();
        match query {
            Query::Run(_) | Query::Files { .. } | Query::Environments { .. } => None,
            Query::Read { .. } if missing => Some(Response::Content(None)),
            Query::Stat { .. } if missing => Some(Response::Stat(None)),
            Query::List { .. } if missing => Some(Response::List(None)),
            _ if self.status != 0 => None,
            Query::Read { limit, .. } => Some(self.content(*limit)),
            Query::Stat { .. } => stat(self.stdout).map(|stat| Response::Stat(Some(stat))),
            Query::List { .. } => Some(Response::List(Some(names(self.stdout)))),
        }
    }

    fn content(&self, limit: u64) -> Response {
        if u64::try_from(self.stdout.len()).is_ok_and(|len| len <= limit) {
            return Response::Content(Some(Content::new(self.stdout)));
        }
        Response::Failed(Ran {
            status: 1,
            stdout: Content::default(),
            stderr: Content::from(format!("the file is longer than {limit} bytes").as_str()),
            timed_out: false,
        })
    }

    fn says_missing(&self) -> bool {
        self.stderr
            .trim_ascii_end()
            .ends_with(b"No such file or directory")
    }
}

/// Reads `path NUL stat NUL +content NUL nonce NUL` again and again. No file can hold the nonce.
fn found(said: &[u8], nonce: &Nonce, limit: u64) -> Vec<FoundFile> {
    let mark = format!("\0{}\0", nonce.as_str());
    let (mut files, mut rest) = (Vec::new(), said);
    while let Some(end) = find(rest, mark.as_bytes()) {
        let (one, behind) = rest.split_at_checked(end).unwrap_or((rest, &[]));
        files.extend(found_one(one, limit));
        rest = behind.get(mark.len()..).unwrap_or_default();
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files.dedup_by(|a, b| a.path == b.path);
    files
}

fn found_one(one: &[u8], limit: u64) -> Option<FoundFile> {
    let mut fields = one.splitn(3, |byte| *byte == 0);
    let path = String::from_utf8(fields.next()?.to_vec()).ok()?;
    let stat = stat(fields.next()?);
    let content = fields.next()?.strip_prefix(b"+");
    let content = content.filter(|bytes| u64::try_from(bytes.len()).is_ok_and(|len| len <= limit));
    Some(FoundFile {
        path: path.into(),
        stat,
        content: content.map(Content::new),
    })
}

fn names(listed: &[u8]) -> Vec<String> {
    let base = |path: &[u8]| {
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        String::from_utf8_lossy(name).into_owned()
    };
    let mut names: Vec<String> = listed
        .split(|byte| *byte == 0)
        .filter(|path| !path.is_empty())
        .map(base)
        .collect();
    names.sort();
    names
}

/// Reads `mode uid gid size mtime ctime`, then perhaps a line with a link's target, which may itself hold newlines.
fn stat(said: &[u8]) -> Option<FileStat> {
    let newline = said.iter().position(|byte| *byte == b'\n')?;
    let (line, target) = said.split_at_checked(newline)?;
    let target = target.get(1..)?;
    let line = std::str::from_utf8(line).ok()?;
    let mut fields = line.split(' ');
    let mode = u32::from_str_radix(fields.next()?, 16).ok()?;
    let kind = match mode & 0o170_000 {
        0o100_000 => FileKind::File,
        0o040_000 => FileKind::Directory,
        0o120_000 => FileKind::Symlink(Utf8PathBuf::from(
            String::from_utf8_lossy(target.strip_suffix(b"\n").unwrap_or(target)).into_owned(),
        )),
        _ => FileKind::Other,
    };
    Some(FileStat {
        kind,
        mode: mode & 0o7777,
        uid: fields.next()?.parse().ok()?,
        gid: fields.next()?.parse().ok()?,
        size: fields.next()?.parse().ok()?,
        mtime: moment(fields.next()?)?,
        ctime: moment(fields.next()?)?,
    })
}

/// `1700000000.123456789`, or whole seconds where the host's `stat` knows no fractions.
fn moment(text: &str) -> Option<HostTime> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole: i64 = seconds.parse().ok()?;
    let digits: String = fraction.chars().chain("000000".chars()).take(6).collect();
    let micros: i64 = digits.parse().ok()?;
    let signed = if seconds.starts_with('-') {
        -micros
    } else {
        micros
    };
    whole
        .checked_mul(1_000_000)?
        .checked_add(signed)
        .map(HostTime)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_keeps_microseconds_and_does_without() {
        assert_eq!(
            moment("1700000000.123456789"),
            Some(HostTime(1_700_000_000_123_456))
        );
        assert_eq!(moment("1700000000"), Some(HostTime(1_700_000_000_000_000)));
        assert_eq!(moment("-0.500000000"), Some(HostTime(-500_000)));
        assert_eq!(moment("x"), None);
    }

    #[test]
    fn a_status_124_counts_as_timed_out_only_when_the_time_was_used_up() {
        let ended = |fields: &[u8]| Frame::new(b"", b"", fields).unwrap().ran(30.0).timed_out;
        assert!(!ended(b":124:10.00:10.02"));
        assert!(ended(b":124:10.00:40.01"));
        assert!(ended(b":143:10.00:40.01"));
        assert!(!ended(b":143::"));
        assert!(ended(b":137::"));
    }

    #[test]
    fn a_needle_is_found_behind_its_own_beginning() {
        assert_eq!(find(b"aaab", b"aab"), Some(1));
        assert_eq!(find(b"aaa", b"ab"), None);
    }
}
