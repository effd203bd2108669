//! How old the server token is: what a proof left, and what the times of K3s's own files still allow to be said.
//!
//! A rotate writes `cred/passwd`, and K3s leaves the file alone as long as no row changes: the token that is in it is at
//! least as old as the file.

use std::time::Duration;

use crate::model::{HostTime, count};

/// The annotation of the namespace `kube-system` that says when the server token was proven, in UTC.
pub const ANNOTATION: &str = "keyroll/server-token-proven";

/// How far clocks of hosts may lie apart.
const APART: Duration = Duration::from_mins(1);

/// What is known of a server token's age.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traces {
    /// When a proof of the very token left its word on a server; of several the latest.
    pub proven: Option<HostTime>,
    /// What [`ANNOTATION`] says: of this token or of one before it.
    pub noted: Option<HostTime>,
    /// When a `cred/passwd` was written last.
    pub passwd: Option<HostTime>,
}

/// Since when a server token is what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// A rotation to it was proven then.
    Proven(HostTime),
    /// Nobody proved it; it has not changed since then, and may be much older.
    Unchanged(HostTime),
    /// Nothing tells.
    Unknown,
}

impl Traces {
    /// Since when the token is what it is. The annotation outlives the servers that were proven, so it counts as long as
    /// no passwd is newer.
    #[must_use]
    pub fn since(&self) -> Since {
        let outlived = self.noted.filter(|noted| {
            let is_newer = |passwd: HostTime| passwd.since(*noted) > APART;
            !self.passwd.is_some_and(is_newer)
        });
        match (self.proven.or(outlived), self.passwd) {
            (Some(at), _) => Since::Proven(at),
            (None, Some(at)) => Since::Unchanged(at),
            (None, None) => Since::Unknown,
        }
    }
}

impl Since {
    /// Whether it is a time that nobody can have seen yet, on whatever clock of the hosts: it was written by hand, or with a
    /// clock that was wrong.
    #[must_use]
    pub fn is_ahead(self, now: HostTime) -> bool {
        match self {
            Self::Proven(at) | Self::Unchanged(at) => at.since(now) > APART,
            Self::Unknown => false,
        }
    }

    /// In words, with what it means.
    #[must_use]
    pub fn words(self, now: HostTime) -> String {
        let at = |at: HostTime| (stamp(at), span(now.since(at)));
        match self {
            Self::Proven(then) if self.is_ahead(now) => format!(
                "that a rotation to it was proven at {} lies in the future, and shows nothing",
                stamp(then)
            ),
            Self::Unchanged(then) if self.is_ahead(now) => format!(
                "no rotation to it was proven, and the time of server/cred/passwd, {}, lies in the future",
                stamp(then)
            ),
            Self::Proven(then) => {
                let (when, ago) = at(then);
                format!("a rotation to it was proven at {when}, {ago} ago")
            }
            Self::Unchanged(then) => {
                let (when, ago) = at(then);
                format!(
                    "it has not changed since {when}, for {ago}, and may be older: no rotation to it was proven"
                )
            }
            Self::Unknown => {
                "no rotation to it was proven, and no server has a cred/passwd that tells"
                    .to_owned()
            }
        }
    }

    /// Whether it is shown to be older than this.
    #[must_use]
    pub fn exceeds(self, limit: Duration, now: HostTime) -> bool {
        match self {
            Self::Proven(at) | Self::Unchanged(at) => now.since(at) > limit,
            Self::Unknown => false,
        }
    }
}

/// A time in its largest unit: `61 days`, `1 hour`, `12 seconds`.
#[must_use]
pub fn span(time: Duration) -> String {
    const UNITS: [(&str, &str, u64); 4] = [
        ("day", "days", 86_400),
        ("hour", "hours", 3_600),
        ("minute", "minutes", 60),
        ("second", "seconds", 1),
    ];
    let seconds = time.as_secs();
    let fits = |(_, _, length): &&(&str, &str, u64)| seconds >= *length;
    let (one, many, length) = UNITS
        .iter()
        .find(fits)
        .copied()
        .unwrap_or(("second", "seconds", 1));
    count(seconds / length, one, many)
}

/// A moment as the annotation has it: RFC 3339 in whole seconds.
#[must_use]
pub fn stamp(at: HostTime) -> String {
    jiff::Timestamp::from_second(at.0.div_euclid(1_000_000))
        .map(|time| time.to_string())
        .unwrap_or_default()
}

/// Reads what [`stamp`] writes; `None` when it is something else.
#[must_use]
pub fn parse_stamp(text: &str) -> Option<HostTime> {
    let time: jiff::Timestamp = text.trim().parse().ok()?;
    Some(HostTime(time.as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> HostTime {
        HostTime(seconds * 1_000_000)
    }

    #[test]
    fn a_proof_tells_best_then_the_annotation_then_the_file() {
        let traces = |proven, noted, passwd| {
            Traces {
                proven,
                noted,
                passwd,
            }
            .since()
        };
        let (a, b, c) = (Some(at(1_000)), Some(at(2_000)), Some(at(9_000)));
        assert_eq!(traces(a, b, c), Since::Proven(at(1_000)));
        assert_eq!(traces(None, b, a), Since::Proven(at(2_000)));
        assert_eq!(traces(None, b, None), Since::Proven(at(2_000)));
        assert_eq!(traces(None, b, Some(at(2_059))), Since::Proven(at(2_000)));
        assert_eq!(traces(None, b, c), Since::Unchanged(at(9_000)));
        assert_eq!(traces(None, None, c), Since::Unchanged(at(9_000)));
        assert_eq!(traces(None, None, None), Since::Unknown);
    }

    #[test]
    fn an_age_is_told_in_its_largest_unit_and_compared_exactly() {
        let now = at(90 * 86_400 + 1_000);
        let then = Since::Proven(at(1_000));
        assert!(
            then.words(now)
                .contains("1970-01-01T00:16:40Z, 90 days ago")
        );
        assert!(!then.exceeds(Duration::from_hours(90 * 24), now));
        assert!(then.exceeds(Duration::from_hours(90 * 24), HostTime(now.0 + 1)));
        assert!(Since::Unchanged(at(0)).exceeds(Duration::from_hours(1), now));
        assert!(!Since::Unknown.exceeds(Duration::ZERO, now));
        let spans = [0, 1, 119, 3_600, 172_799].map(|seconds| span(Duration::from_secs(seconds)));
        assert_eq!(
            spans,
            ["0 seconds", "1 second", "1 minute", "1 hour", "1 day"]
        );
    }

    #[test]
    fn a_time_in_the_future_shows_nothing() {
        let now = at(1_000);
        assert!(!Since::Proven(at(1_060)).is_ahead(now));
        assert!(
            Since::Proven(at(1_061)).is_ahead(now) && Since::Unchanged(at(9_000)).is_ahead(now)
        );
        let words = Since::Proven(at(9_000)).words(now);
        assert!(words.contains("lies in the future"), "{words}");
    }

    #[test]
    fn a_stamp_is_whole_seconds_in_utc_and_reads_back() {
        let time = HostTime(1_767_225_600_999_999);
        assert_eq!(stamp(time), "2026-01-01T00:00:00Z");
        assert_eq!(parse_stamp(&stamp(time)), Some(at(1_767_225_600)));
        assert_eq!(
            parse_stamp("2026-01-01T02:00:00+02:00\n"),
            Some(at(1_767_225_600))
        );
        for text in ["", "yesterday", "1767225600", "2026-01-01"] {
            assert_eq!(parse_stamp(text), None, "{text}");
        }
    }
}
