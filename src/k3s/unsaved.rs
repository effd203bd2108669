//! Servers that run and would not start again: their `cred/passwd` differs from the datastore's and is newer.
//!
//! K3s rewrites passwd at a start only when a row changes, such as a new agent token, and saves it to the datastore only
//! with a rotate (measured: sqlite-agent-token, ha-agent-token). So what tells is a passwd written by the very start of
//! the process that runs; a later rotate anywhere, seen or known of, has overtaken it. A rotate that fails writes passwd
//! before it does, its rows in any order, and so does one that takes it back (k3s: `tokenRotate`, `Passwd.Write`): what was
//! written since the start, and says what the process has all the same, is saved only where a mark says so.

use crate::model::{HostName, HostTime};

/// K3s forgives a passwd that is newer than the datastore's by less than this.
const FORGIVEN: std::time::Duration = std::time::Duration::from_secs(3);

/// How much earlier than its process a file may seem to be that the process has written: a file's stamp is the kernel's last
/// tick, and systemd looks at the clock when the process runs already. In doubt a passwd is the start's.
const EARLIER: i64 = 100_000;

/// The same on a file system that keeps whole seconds.
const SECOND: i64 = 1_000_000;

/// When a start may have written files, by the host's clock of then, which their stamps are of as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// When its process was started, or the earliest that this can have been.
    pub from: HostTime,
    /// When it said that it was ready, or the latest that this can have been.
    pub until: HostTime,
}

/// Times of one server whose process is up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswdTimes {
    /// Which.
    pub host: HostName,
    /// When `server/cred/passwd` was written.
    pub passwd: HostTime,
    /// When files were written that the first start of a cluster makes beside passwd, and no other start: the CA, unless it
    /// was brought there, and K3s's pre-shared key.
    pub first: Vec<HostTime>,
    /// When the process may have written as it started.
    pub start: Start,
    /// Whether passwd was written since that start, and its process runs with what it says.
    pub rewritten: bool,
    /// Time of the passwd that is known to have been saved, as a [`Mark`] says.
    pub saved: Option<HostTime>,
}

impl PasswdTimes {
    fn is_of_start(&self, time: HostTime) -> bool {
        let is_whole = time.0 % SECOND == 0;
        let earlier = if is_whole { SECOND } else { EARLIER };
        time.0.saturating_add(earlier) >= self.start.from.0 && time <= self.start.until
    }

    /// Whether the datastore is known to have this passwd or a later one.
    fn is_saved(&self) -> bool {
        if self.saved == Some(self.passwd) {
            return true;
        }
        if self.is_of_start(self.passwd) {
            return self.first.iter().any(|time| self.is_of_start(*time));
        }
        !self.rewritten
    }
}

/// Whether K3s takes a passwd that differs from the datastore's for a newer one, and does not start.
#[must_use]
pub fn is_newer(passwd: HostTime, datastore: HostTime) -> bool {
    passwd > datastore && passwd.since(datastore) >= FORGIVEN
}

/// The servers whose next restart would be fatal, the latest passwd first: to save that one is enough for all.
#[must_use]
pub fn unsaved(servers: &[PasswdTimes]) -> Vec<&PasswdTimes> {
    let known = servers.iter().filter(|server| server.is_saved());
    let known = known.map(|server| server.passwd).max();
    let newer = |server: &&PasswdTimes| known.is_none_or(|known| is_newer(server.passwd, known));
    let mut found: Vec<&PasswdTimes> = servers
        .iter()
        .filter(|server| !server.is_saved())
        .filter(newer)
        .collect();
    found.sort_by_key(|server| std::cmp::Reverse(server.passwd));
    found
}

/// Word of which passwd was saved, left on the server that saved it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// The one of this time.
    Of(HostTime),
    /// The one that was there when the mark was written.
    OfThen,
}

const THEN: &str = "what was there";

impl Mark {
    /// Reads a mark.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim() {
            THEN => Some(Self::OfThen),
            time => time.parse().ok().map(|time| Self::Of(HostTime(time))),
        }
    }

    /// As a line of text.
    #[must_use]
    pub fn text(self) -> String {
        match self {
            Self::Of(passwd) => format!("{}\n", passwd.0),
            Self::OfThen => format!("{THEN}\n"),
        }
    }

    /// The time of the passwd that it vouches for, given when the mark and the passwd that is there now were written.
    #[must_use]
    pub fn vouches_for(self, written: HostTime, passwd: HostTime) -> Option<HostTime> {
        match self {
            Self::Of(time) => Some(time),
            Self::OfThen => (passwd <= written).then_some(passwd),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In seconds, and a little more; the CA is as old as the cluster.
    fn times(host: &str, passwd: i64, started: i64, ready: i64) -> PasswdTimes {
        let at = |seconds: i64| HostTime(seconds * SECOND + 7);
        PasswdTimes {
            host: HostName::new(host).unwrap(),
            passwd: at(passwd),
            first: vec![at(0)],
            start: Start {
                from: at(started),
                until: at(ready),
            },
            rewritten: false,
            saved: None,
        }
    }

    fn names(servers: &[PasswdTimes]) -> Vec<&str> {
        unsaved(servers).iter().map(|s| s.host.as_str()).collect()
    }

    #[test]
    fn a_passwd_written_by_the_start_that_runs_is_not_in_the_datastore() {
        assert_eq!(names(&[times("h1", 101, 100, 110)]), ["h1"]);
        let three = [
            times("h1", 101, 100, 110),
            times("h2", 121, 120, 130),
            times("h3", 141, 140, 150),
        ];
        assert_eq!(names(&three), ["h3", "h2", "h1"]);
    }

    #[test]
    fn in_doubt_a_passwd_was_written_by_the_start() {
        let mut server = times("h1", 100, 100, 110);
        server.passwd.0 -= EARLIER;
        assert_eq!(names(std::slice::from_ref(&server)), ["h1"]);
        server.passwd.0 -= 1;
        assert!(names(&[server]).is_empty());
    }

    #[test]
    fn whole_seconds_are_in_doubt_for_a_whole_second() {
        let mut server = times("h1", 100, 101, 110);
        assert!(names(std::slice::from_ref(&server)).is_empty());
        server.passwd.0 = 101 * SECOND;
        server.start.from.0 = 101 * SECOND + 900_000;
        assert_eq!(names(&[server]), ["h1"]);
    }

    #[test]
    fn the_first_start_of_a_cluster_is_saved_by_itself() {
        let mut first = times("h1", 101, 100, 110);
        first.first = vec![HostTime(100_500_000)];
        assert!(names(&[first.clone(), times("h2", 101, 120, 130)]).is_empty());
        // With a CA that was brought there before.
        first.first = vec![HostTime(7), HostTime(100_500_000)];
        assert!(names(&[first]).is_empty());
    }

    #[test]
    fn a_rotate_or_a_roll_back_overtakes_what_a_start_wrote() {
        let rotated = times("h1", 300, 100, 110);
        assert!(names(&[rotated, times("h2", 121, 120, 130)]).is_empty());
    }

    #[test]
    fn what_a_rotate_that_failed_has_written_is_saved_only_by_a_mark() {
        let mut torn = times("h1", 300, 100, 110);
        torn.rewritten = true;
        let servers = [torn.clone(), times("h2", 64, 118, 120)];
        assert_eq!(names(&servers), ["h1"]);
        torn.saved = Some(torn.passwd);
        assert!(names(&[torn]).is_empty());
    }

    #[test]
    fn passwds_that_follow_the_datastore_are_older_than_their_process() {
        // As recorded in ha-agent-token-put-early: one time on all three.
        let after = [times("h1", 64, 96, 99), times("h2", 64, 118, 120)];
        assert!(names(&after).is_empty());
        // The first of them not restarted yet.
        assert!(names(&[times("h1", 64, 63, 75), times("h2", 64, 118, 120)]).is_empty());
    }

    #[test]
    fn a_later_change_on_another_server_is_seen_beside_saved_ones() {
        let servers = [times("h1", 64, 96, 99), times("h2", 201, 200, 210)];
        assert_eq!(names(&servers), ["h2"]);
    }

    #[test]
    fn a_mark_counts_for_the_passwd_that_it_names_and_no_other() {
        let mut server = times("h1", 101, 100, 110);
        let (mark, written) = (Mark::Of(server.passwd), HostTime(0));
        assert_eq!(Mark::parse(&mark.text()), Some(mark));
        server.saved = mark.vouches_for(written, server.passwd);
        assert!(names(std::slice::from_ref(&server)).is_empty());
        server.passwd = HostTime(server.passwd.0 + 1);
        assert_eq!(names(&[server]), ["h1"]);
        assert_eq!(Mark::parse("x"), None);
    }

    #[test]
    fn a_mark_that_was_left_right_after_the_put_counts_for_what_was_there_then() {
        let mark = Mark::parse(&Mark::OfThen.text()).unwrap();
        assert_eq!(mark, Mark::OfThen);
        let (before, after) = (HostTime(10), HostTime(12));
        assert_eq!(mark.vouches_for(HostTime(11), before), Some(before));
        assert_eq!(mark.vouches_for(HostTime(11), after), None);
    }
}
