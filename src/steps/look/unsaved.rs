//! Servers that run and would not start again, by the times of their passwd.

use super::passwd::PASSWD;
use super::{Cluster, Seen, ServerSeen};
use crate::k3s::install::Kind;
use crate::k3s::unsaved::{Mark, PasswdTimes, is_newer, unsaved};
use crate::model::{HostName, HostTime};
use crate::secret::Secret;
use crate::steps::Unmet;

/// A start that was just ready may still write for so long.
const AFTER_START: std::time::Duration = std::time::Duration::from_secs(10);

/// K3s makes it once, at the first start of a cluster, and hands it on with the CA.
pub(super) const PSK: &str = "server/cred/ipsec.psk";

/// Where a [`Mark`] lies, below the data directory.
pub(super) const SAVED: &str = "server/.keyroll/saved";

impl Seen {
    /// Where a [`Mark`] says that this server's passwd was saved.
    #[must_use]
    pub fn saved_path(&self) -> camino::Utf8PathBuf {
        self.install.data(SAVED)
    }

    /// When a rotate that the running process took last changed passwd: a start writes it before it says that it is ready.
    #[must_use]
    pub fn put(&self) -> Option<HostTime> {
        let ready = self.unit.ready.filter(|_| self.unit.is_active())?;
        let written = self.written(&self.install.data(PASSWD))?;
        (written.since(ready) > AFTER_START).then_some(written)
    }

    /// The times that tell whether this server would start again; `None` when it does not run, or they are not to be had.
    #[must_use]
    pub fn passwd_times(&self) -> Option<PasswdTimes> {
        let is_up = self.install.kind == Kind::Server && self.unit.is_active();
        let passwd = self.written(&self.install.data(PASSWD))?;
        let mark = self.file(&self.saved_path());
        let mark = mark.and_then(|file| Mark::parse(&file.text()));
        let left = self.written(&self.saved_path());
        Some(PasswdTimes {
            host: self.host.clone(),
            passwd,
            first: [self.install.ca(), self.install.data(PSK)]
                .iter()
                .filter_map(|path| self.written(path))
                .collect(),
            start: self.unit.start.filter(|_| is_up)?,
            saved: mark
                .zip(left)
                .and_then(|(mark, left)| mark.vouches_for(left, passwd)),
        })
    }
}

impl Cluster {
    /// Servers that run and would not start again, since their passwd is newer than the datastore's: the latest passwd
    /// first, with its time.
    #[must_use]
    pub fn unsaved(&self) -> Vec<(&ServerSeen, HostTime)> {
        let times = self.servers.iter().map(|server| server.seen.passwd_times());
        let times: Vec<PasswdTimes> = times.flatten().collect();
        let found = unsaved(&times).into_iter();
        found
            .filter_map(|times| Some((self.server(&times.host)?, times.passwd)))
            .collect()
    }

    /// Whether a server that does not run has a passwd that K3s would take for newer than the datastore's, once it has the
    /// right token: the other servers' is of the time that the datastore keeps.
    #[must_use]
    pub fn is_passwd_newer(&self, seen: &Seen, right: &Secret) -> bool {
        let written = |seen: &Seen| seen.written(&seen.install.data(PASSWD));
        let (own, own_time) = (seen.passwd(), written(seen));
        let others = self.servers.iter().map(|server| &server.seen);
        let others = others.filter(|other| other.host != seen.host);
        let of_datastore = others.filter(|other| other.passwd().server.as_ref() == Some(right));
        let latest = of_datastore.filter(|other| other.passwd() != own);
        let latest = latest.filter_map(written).max();
        let both = own_time.zip(latest);
        both.is_some_and(|(own, datastore)| is_newer(own, datastore))
    }

    /// The same, as reasons: `next-restart-fatal`.
    #[must_use]
    pub fn next_restart_fatal(&self) -> Vec<Unmet> {
        let unsaved = self.unsaved().into_iter();
        let unsaved = unsaved.map(|(server, _)| fatal(&server.seen.host));
        unsaved.chain(self.stranded().map(left_by_put)).collect()
    }

    /// Servers that still run with another token than the datastore's, and whose passwd was written by a rotate that failed:
    /// with whatever token they would not start.
    fn stranded(&self) -> impl Iterator<Item = &HostName> {
        let standing = self.standing.as_ref().ok();
        let right = standing.map(|standing| &standing.datastore);
        let is_stranded = move |server: &&ServerSeen| {
            let held = server.memory.secret();
            let is_behind = held.is_some() && held != right;
            right.is_some_and(|right| is_behind && self.is_passwd_newer(&server.seen, right))
        };
        let servers = self.servers.iter().filter(is_stranded);
        servers.map(|server| &server.seen.host)
    }

    /// The same of one server.
    #[must_use]
    pub fn fatal(&self, host: &HostName) -> Option<Unmet> {
        let mut unsaved = self.unsaved().into_iter();
        if unsaved.any(|(server, _)| server.seen.host == *host) {
            return Some(fatal(host));
        }
        let is_stranded = self.stranded().any(|stranded| stranded == host);
        is_stranded.then(|| left_by_put(host))
    }
}

fn left_by_put(host: &HostName) -> Unmet {
    Unmet::new(
        "next-restart-fatal",
        format!(
            "{host} runs, and would not start again: a rotate that failed has left a server/cred/passwd there that is newer than the datastore's"
        ),
        format!(
            "restart no server before: keyroll rescue {host} -i INVENTORY; then run the same command again"
        ),
    )
}

fn fatal(host: &HostName) -> Unmet {
    Unmet::new(
        "next-restart-fatal",
        format!(
            "{host} runs, and would not start again: its server/cred/passwd was changed by its last start, as by a new agent token, and the datastore does not have it"
        ),
        "run `keyroll heal -i INVENTORY`; restart no server before",
    )
}
