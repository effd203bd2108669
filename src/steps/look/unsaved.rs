//! Servers that run and would not start again, by the times of their passwd.

use camino::{Utf8Path, Utf8PathBuf};

use super::passwd::PASSWD;
use super::{Cluster, Seen, ServerSeen};
use crate::k3s::install::{Datastore, Kind};
use crate::k3s::token::{TokenKind, tag};
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
    pub fn saved_path(&self) -> Utf8PathBuf {
        self.install.data(SAVED)
    }

    /// When the word of a rotate that was answered well was left.
    #[must_use]
    pub fn rotated_left(&self) -> Option<HostTime> {
        self.written(&self.rotated_path())
    }

    /// When `server/cred/passwd` was written last.
    #[must_use]
    pub fn passwd_written(&self) -> Option<HostTime> {
        self.written(&self.install.data(PASSWD))
    }

    /// When a rotate that the running process took last changed passwd: a start writes it before it says that it is ready.
    #[must_use]
    pub fn put(&self) -> Option<HostTime> {
        let ready = self.unit.ready.filter(|_| self.unit.is_active())?;
        let written = self.passwd_written()?;
        (written.since(ready) > AFTER_START).then_some(written)
    }

    /// The times that tell whether this server would start again; `None` when it does not run, or they are not to be had.
    #[must_use]
    pub fn passwd_times(&self) -> Option<PasswdTimes> {
        let is_up = self.install.kind == Kind::Server && self.unit.is_active();
        let passwd = self.passwd_written()?;
        Some(PasswdTimes {
            host: self.host.clone(),
            passwd,
            first: [self.install.ca(), self.install.data(PSK)]
                .iter()
                .filter_map(|path| self.written(path))
                .collect(),
            start: self.unit.start.filter(|_| is_up)?,
            rewritten: false,
            saved: self.vouched().map(|_| passwd),
        })
    }

    /// When the datastore was last told here that it has the passwd that is there now, and answered well: by a rotate to the
    /// same token, when it was asked, or by the rotate of a rotation.
    #[must_use]
    pub fn vouched(&self) -> Option<HostTime> {
        let passwd = self.passwd_written()?;
        let mark = self.file(&self.saved_path());
        let mark = mark.and_then(|file| Mark::parse(&file.text()));
        let saved = mark.zip(self.written(&self.saved_path()));
        let saved = saved.filter(|(mark, left)| mark.vouches_for(*left, passwd) == Some(passwd));
        let rotated = self.rotated();
        let rotated = rotated.and_then(|tag| self.vouched_with(&tag, &self.rotated_path()));
        let all = [saved.map(|it| it.1), self.vouched_when_asked(), rotated];
        all.into_iter().flatten().max()
    }

    /// The datastore was asked, by a rotate to the same token, and has what was there then.
    #[must_use]
    pub fn vouched_when_asked(&self) -> Option<HostTime> {
        let asked = self.asked().filter(|asked| asked.has_it)?;
        self.vouched_with(&asked.tag, &self.asked_path())
    }

    /// A word that the datastore has the token of this tag is of the passwd that was there then.
    fn vouched_with(&self, told: &str, word: &Utf8Path) -> Option<HostTime> {
        let server = self.passwd().server?;
        let left = self.written(word).filter(|_| told == tag(&server))?;
        Mark::OfThen
            .vouches_for(left, self.passwd_written()?)
            .map(|_| left)
    }

    /// What the datastore did not have when it was asked here, and when that was.
    #[must_use]
    pub fn denied(&self) -> Option<(String, HostTime)> {
        let asked = self.asked().filter(|asked| !asked.has_it)?;
        Some((asked.tag, self.written(&self.asked_path())?))
    }
}

impl ServerSeen {
    /// What its process accepts, where its files have the same.
    #[must_use]
    pub fn alike(&self) -> Option<&Secret> {
        let held = self.memory.secret()?;
        let files = [self.seen.on_disk(), self.seen.passwd().server];
        let is_alike = files.iter().all(|file| file.as_ref() == Some(held));
        is_alike.then_some(held)
    }

    /// Whether passwd was written since its process started, which runs with what it says: by a rotate that failed, by one
    /// that took it back, or by hand.
    pub(super) fn is_rewritten(&self) -> bool {
        let is_of_server = self.seen.about == TokenKind::Server;
        is_of_server && self.seen.put().is_some() && self.alike().is_some()
    }
}

impl Cluster {
    /// Servers that run and would not start again, since their passwd is newer than the datastore's: the latest passwd
    /// first, with its time.
    #[must_use]
    pub fn unsaved(&self) -> Vec<(&ServerSeen, HostTime)> {
        let times = self.servers.iter().filter_map(|server| {
            let times = server.seen.passwd_times()?;
            let rewritten = server.is_rewritten();
            Some(PasswdTimes { rewritten, ..times })
        });
        let times: Vec<PasswdTimes> = times.collect();
        let found = unsaved(&times).into_iter();
        found
            .filter_map(|times| Some((self.server(&times.host)?, times.passwd)))
            .collect()
    }

    /// Whether a server that does not run has a passwd that K3s would take for newer than the datastore's, once it has the
    /// right token: the other servers' is of the time that the datastore keeps. K3s compares their bytes, and the rows of one
    /// may stand in another order.
    #[must_use]
    pub fn is_passwd_newer(&self, seen: &Seen, right: &Secret) -> bool {
        if seen.vouched().is_some() {
            return false;
        }
        let text = |seen: &Seen| seen.file(&seen.install.data(PASSWD)).cloned();
        let own = text(seen);
        let others = self.servers.iter().map(|server| &server.seen);
        let others = others.filter(|other| other.host != seen.host);
        let of_datastore = others.filter(|other| other.passwd().server.as_ref() == Some(right));
        let latest = of_datastore.filter(|other| text(other) != own);
        let latest = latest.filter_map(Seen::passwd_written).max();
        let both = seen.passwd_written().zip(latest);
        both.is_some_and(|(own, datastore)| is_newer(own, datastore))
    }

    /// The same, as reasons: `next-restart-fatal`.
    #[must_use]
    pub fn next_restart_fatal(&self) -> Vec<Unmet> {
        self.fatal_ones().map(|(_, unmet)| unmet).collect()
    }

    /// The same of one server.
    #[must_use]
    pub fn fatal(&self, host: &HostName) -> Option<Unmet> {
        let mut ones = self.fatal_ones();
        ones.find(|(one, _)| *one == host).map(|(_, unmet)| unmet)
    }

    fn fatal_ones(&self) -> impl Iterator<Item = (&HostName, Unmet)> {
        let unsaved = self.unsaved().into_iter();
        let unsaved = unsaved.map(|(server, _)| (&server.seen.host, self.fatal_of(server)));
        let odd = self.odd_passwds().map(|it| &it.seen.host);
        let stranded = self.stranded().map(|host| (host, left_by_put(host)));
        unsaved
            .chain(stranded)
            .chain(odd.map(|host| (host, odd_one(host))))
    }

    /// Servers that run with the datastore's token and have another one in their passwd: a rotate there takes that one for the
    /// datastore's and fails, and a restart finds it newer (k3s: `tokenRotate`).
    pub fn odd_passwds(&self) -> impl Iterator<Item = &ServerSeen> {
        let standing = self.standing.as_ref().ok();
        let right = standing.map(|standing| &standing.datastore);
        let is_odd = move |server: &&ServerSeen| {
            let passwd = server.seen.passwd().server;
            let is_right = self.about == TokenKind::Server && server.memory.secret() == right;
            is_right && right.is_some() && passwd.is_some() && passwd.as_ref() != right
        };
        self.servers.iter().filter(is_odd)
    }

    /// A rotate back that somebody has begun, and of which it is not shown that it has ended well: what the servers' files say by
    /// now may be in no datastore, and only the token that was put aside is.
    #[must_use]
    pub fn half_rolled_back(&self) -> Option<Unmet> {
        let mut servers = self.servers.iter();
        servers.find(|it| it.seen.withdrawn().is_some())?;
        let unsaved = self.unsaved();
        let right = self.standing.as_ref().map(|standing| &standing.datastore);
        // One that runs with another token than the datastore's was left behind by it.
        let is_right = |it: &ServerSeen| right.is_ok_and(|right| it.memory.secret() == Some(right));
        let (server, _) = unsaved
            .iter()
            .find(|(it, _)| it.is_rewritten() && is_right(it))?;
        let host = &server.seen.host;
        Some(Unmet::new(
            "roll-back-unfinished",
            format!(
                "a roll back is not finished: {host} was rotated back to the token that it runs with, and nothing shows that the datastore has it"
            ),
            "restart no server; finish the roll back: keyroll rollback -i INVENTORY; then run the same command again",
        ))
    }

    /// Servers at which no rotate can be done: those of [`Cluster::odd_passwds`], and those without a passwd.
    #[must_use]
    pub fn unrotatable(&self) -> Vec<Unmet> {
        let hosts = self.odd_passwds().map(|server| &server.seen.host);
        let without = self.without_passwd().map(|(_, unmet)| unmet);
        hosts.map(odd_one).chain(without).collect()
    }

    /// The same as [`Cluster::without_passwd`] of one server.
    #[must_use]
    pub fn lacks_passwd(&self, host: &HostName) -> Option<Unmet> {
        let mut ones = self.without_passwd();
        ones.find(|(one, _)| *one == host).map(|(_, unmet)| unmet)
    }

    /// Servers that run and whose passwd somebody has removed: K3s finds there which token it rotates (k3s: `tokenRotate`), and
    /// writes it at each start.
    pub fn without_passwd(&self) -> impl Iterator<Item = (&HostName, Unmet)> {
        let standing = self.standing.as_ref().ok();
        let rotated = standing.filter(|standing| standing.is_rotated());
        let servers = self.servers.iter().filter(move |it| {
            let path = it.seen.install.data(PASSWD);
            // Past the datastore only the rotator is asked again, and the restart that is due writes it anew.
            let is_due =
                rotated.is_some_and(|standing| standing.rotator.as_ref() != Some(&it.seen.host));
            it.memory.secret().is_some() && it.seen.file(&path).is_none() && !is_due
        });
        servers.map(|it| (&it.seen.host, no_passwd(it)))
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

    /// One that runs with another token than the datastore's is none that can save anything.
    fn fatal_of(&self, server: &ServerSeen) -> Unmet {
        let right = self.standing.as_ref().map(|standing| &standing.datastore);
        let is_behind = right.is_ok_and(|right| server.memory.secret() != Some(right));
        if self.about == TokenKind::Server && server.is_rewritten() && is_behind {
            return left_by_put(&server.seen.host);
        }
        fatal(server)
    }
}

fn odd_one(host: &HostName) -> Unmet {
    Unmet::new(
        "next-restart-fatal",
        format!(
            "{host} runs, and would not start again: its server/cred/passwd has another token than its process, by a rotate that failed or by hand, and a rotate there would fail"
        ),
        HEAL,
    )
}

/// What was rotated to is in `server/token` alone then.
fn no_passwd(server: &ServerSeen) -> Unmet {
    let (seen, host) = (&server.seen, &server.seen.host);
    let (unit, token) = (
        &seen.unit.text.id,
        seen.install.data(TokenKind::Server.own_file()),
    );
    let on_disk = seen.on_disk();
    let is_rotated = on_disk.is_some() && on_disk.as_ref() != server.memory.secret();
    let restart = format!("as root: systemctl restart {unit}");
    let (what, next) = if seen.install.surfaces.is_empty() {
        (
            format!(
                ", and no token is in its configuration or in {token}: it would not start again"
            ),
            format!(
                "restart no server; write the datastore's token into the configuration of {host}: after a rotation that of another server, else the one that it accepts; then there, {restart}"
            ),
        )
    } else if is_rotated {
        let first = if seen.install.datastore == Datastore::Elsewhere {
            ", and into that of the server that it joins, which is restarted first"
        } else {
            ""
        };
        (
            format!(
                "; {token} has another token than its process, to which it may have been rotated"
            ),
            format!(
                "copy {token} on {host} away, and write its token into the configuration there{first}; then on {host}, {restart}; where that is refused: keyroll rescue {host} -i INVENTORY"
            ),
        )
    } else {
        (
            String::new(),
            format!(
                "unless somebody has rotated by hand since it was started, on {host}, {restart}, which writes it anew; then run the same command again; else write the token of that rotate into its configuration first"
            ),
        )
    };
    Unmet::new(
        "passwd-missing",
        format!(
            "{host} runs without {}: nothing can be rotated there{what}",
            seen.install.data(PASSWD)
        ),
        next,
    )
}

const HEAL: &str = "run `keyroll heal -i INVENTORY`; restart no server before";

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

fn fatal(server: &ServerSeen) -> Unmet {
    let host = &server.seen.host;
    let what = if server.is_rewritten() {
        format!(
            "{host} runs, and may not start again: its server/cred/passwd was written since, by a rotate that failed or was taken back, or by hand, and nothing shows that the datastore has it"
        )
    } else {
        format!(
            "{host} runs, and would not start again: its server/cred/passwd was changed by its last start, as by a new agent token, and the datastore does not have it"
        )
    };
    Unmet::new("next-restart-fatal", what, HEAL)
}
