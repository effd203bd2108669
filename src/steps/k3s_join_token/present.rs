//! A join token that lives and whose secret is in a file of its server.
//!
//! It is found by its description. One whose secret is not in the file is revoked and another made: nobody could join
//! with it but who found the secret. That is also how a run goes on that was cut between the two.

use std::time::Duration;

use camino::Utf8Path;
use jiff::{SignedDuration, Timestamp};

use super::arguments::Ttl;
use super::{Place, Wanted, named};
use crate::facts::{HeldToken, JoinToken, JoinTokenFile};
use crate::k3s::install::CONFIG;
use crate::op::{Act, Op};
use crate::secret::Content;
use crate::steps::{Proposal, StepError, Unmet};
use crate::wire::{Command, FileKind, Guard, Holds};

const SCRIPT: &str = include_str!("make.sh");

/// Below the data directory, what K3s takes in or runs.
const FOLDERS: [&str; 3] = ["server/manifests", "agent/pod-manifests", "agent/images"];

/// K3s rounds ends to seconds, and servers' clocks differ by a little.
const SLACK: SignedDuration = SignedDuration::from_mins(1);

/// What one task wants, rendered.
struct Made {
    description: String,
    ttl: Ttl,
    dest: camino::Utf8PathBuf,
}

impl Place<'_> {
    pub(super) async fn present(&self, wanted: &Wanted) -> Result<Proposal, StepError> {
        let vars = self.probe.vars();
        let made = Made {
            description: wanted.description.render(vars)?.0,
            ttl: wanted.ttl.render(vars)?,
            dest: wanted.dest.render(vars)?.0,
        };
        let held = self.probe.get(JoinTokenFile(made.dest.clone())).await?;
        if let Some(unmet) = self.unfit(&made, &held) {
            return Ok(Proposal::refuse(vec![unmet]));
        }
        let of_this = |token: &&JoinToken| {
            token.joins && token.lives(self.now) && token.description == made.description
        };
        let live: Vec<&JoinToken> = self.tokens.iter().filter(of_this).collect();
        let mut judged = live
            .iter()
            .map(|token| (token, self.lack(&made, &held, token)));
        if let Some((token, _)) = judged.clone().find(|(_, lack)| lack.is_none()) {
            return Ok(Proposal::note(self.there(&made, token, &live)));
        }
        let elsewhere = self.elsewhere(&made, &live).await;
        if !elsewhere.is_empty() {
            return Ok(Proposal::refuse(elsewhere));
        }
        let revoke = |(token, lack): (&&JoinToken, Option<String>)| {
            self.revoke(token, &lack.unwrap_or_default())
        };
        let mut ops: Vec<Op> = judged.by_ref().map(revoke).collect();
        ops.push(self.make(&made, &held));
        Ok(Proposal::of(ops))
    }

    /// What keeps the file from getting a secret.
    fn unfit(&self, made: &Made, held: &HeldToken) -> Option<Unmet> {
        let dest = &made.dest;
        let folder = dest.parent().unwrap_or_else(|| Utf8Path::new("/"));
        let another = "name another path for `dest`";
        let Some(stat) = held
            .folder
            .as_ref()
            .filter(|it| it.kind == FileKind::Directory)
        else {
            let what = format!("there is no directory {folder} for the join token");
            let next = format!("make it, for root alone, or {another}");
            return Some(Unmet::new("no-such-folder", what, next));
        };
        if stat.uid != 0 || stat.mode & 0o022 != 0 {
            let what = format!(
                "users other than root can change what is in {folder}, so that {dest} would not be safe there"
            );
            return Some(Unmet::new("dest-not-safe", what, another));
        }
        self.read_by_k3s(dest).or_else(|| self.taken(made, held))
    }

    /// A file that K3s would take for one of its own: for its configuration, or for what it is to run.
    fn read_by_k3s(&self, dest: &Utf8Path) -> Option<Unmet> {
        let install = &self.seen.install;
        let of_config = |file: &Utf8Path| dest == file || dest.starts_with(format!("{file}.d"));
        let mut files = install.sources.files.iter();
        let is_read = of_config(Utf8Path::new(CONFIG))
            || files.any(|file| of_config(file))
            || FOLDERS.iter().any(|it| dest.starts_with(install.data(it)));
        is_read.then(|| {
            Unmet::new(
                "dest-not-safe",
                format!("K3s itself reads {dest} or what is in its folder, and would take the join token for that"),
                "name another path for `dest`",
            )
        })
    }

    /// What is in the file's place and must not be lost, or was seen by others.
    fn taken(&self, made: &Made, held: &HeldToken) -> Option<Unmet> {
        let stat = held.stat.as_ref()?;
        let dest = &made.dest;
        let refuse = |what: String| {
            let next = "name another path for `dest`, or remove what is there";
            Some(Unmet::new("dest-taken", what, next))
        };
        let Some((id, _)) = &held.token else {
            return refuse(format!("{dest} is there, and is no join token"));
        };
        let others = |token: &&JoinToken| {
            token.id == *id && token.lives(self.now) && token.description != made.description
        };
        if let Some(other) = self.tokens.iter().find(others) {
            return refuse(format!(
                "{dest} is the join token {}, which lives",
                named(other)
            ));
        }
        (stat.mode & 0o077 != 0).then(|| {
            let what = format!("others can read the join token in {dest} (mode {:04o})", stat.mode);
            let next = format!("chmod 600 {dest} if nobody has; else revoke it (`state: absent, id: {id}`) and remove {dest}");
            Unmet::new("dest-not-private", what, next)
        })
    }

    /// Why a token is not the one that is wanted; `None` for one that is.
    fn lack(&self, made: &Made, held: &HeldToken, token: &JoinToken) -> Option<String> {
        if !held.is(&token.id) {
            return Some(format!("its secret is not in {}", made.dest));
        }
        let pinned = held.token.as_ref().map(|(_, hash)| hash);
        let hash = self.seen.pin();
        if hash.is_some() && pinned != hash.as_ref() {
            return Some("it pins another CA than the cluster has".to_owned());
        }
        match (made.ttl, token.expires) {
            (Ttl::Never, Some(end)) => Some(format!("it ends, at {end}")),
            (Ttl::For(length), end) if !ends_within(end, self.now, length, SLACK) => {
                Some(format!("it lives longer than {}", words(length)))
            }
            (Ttl::For(length), end) if ends_within(end, self.now, length / 2, -SLACK) => Some(
                format!("it ends soon: less than half of {} is left", words(length)),
            ),
            _ => None,
        }
    }

    /// What is said of the token that is there, and of others for the same whose secrets somebody else has.
    fn there(&self, made: &Made, token: &JoinToken, live: &[&JoinToken]) -> String {
        let others: Vec<&str> = live
            .iter()
            .filter(|other| other.id != token.id)
            .map(|other| other.id.as_str())
            .collect();
        let beside = match others.as_slice() {
            [] => String::new(),
            ids => format!("; there are others for the same: {}", ids.join(", ")),
        };
        format!(
            "join token {} is in {}, {}{beside}",
            named(token),
            made.dest,
            self.end(token)
        )
    }

    /// Secrets of these tokens on other servers: they would be revoked there.
    async fn elsewhere(&self, made: &Made, live: &[&JoinToken]) -> Vec<Unmet> {
        let mut found = Vec::new();
        let servers = &self.probe.fleet().servers;
        let others = servers.iter().filter(|it| it.name != self.seen.host);
        for other in others.filter(|_| !live.is_empty()) {
            let file = JoinTokenFile(made.dest.clone());
            match self.probe.get_on(&other.name, file).await {
                Ok(held) => found.extend(live.iter().filter(|token| held.is(&token.id)).map(|token| {
                    Unmet::new(
                        "join-token-elsewhere",
                        format!("the secret of the join token {} is in {} on {}", named(token), made.dest, other.name),
                        "run this task on one server alone (`hosts: server[0]`), or give each server a description of its own",
                    )
                })),
                Err(error) => found.push(Unmet::new(
                    "join-token-elsewhere",
                    format!("whether {} has the secret of a join token for the same is not known: {error}", other.name),
                    "see that it answers, or revoke the token first: `state: absent` with its description",
                )),
            }
        }
        found
    }

    fn make(&self, made: &Made, held: &HeldToken) -> Op {
        let ends = match made.ttl {
            Ttl::For(length) => format!("ends after {}", words(length)),
            Ttl::Never => "NEVER ends".to_owned(),
        };
        let why = format!(
            "make a join token for \"{}\" that {ends}, into {}",
            made.description, made.dest
        );
        let admin = self.seen.admin();
        let argv = [
            "sh",
            "-s",
            "--",
            "join-token",
            admin.k3s.path.as_str(),
            admin.kubeconfig.as_str(),
            made.dest.as_str(),
            &made.ttl.flag(),
            &made.description,
        ]
        .map(str::to_owned);
        let argv = argv.into_iter().chain(admin.k3s.told());
        let command = Command::new(argv)
            .stdin(Content::from(SCRIPT))
            .within(Duration::from_mins(2));
        let is_new = held.stat.is_none();
        let guard = Guard {
            path: made.dest.clone(),
            holds: Holds::Nothing,
        };
        Op::root(&self.seen.host, why, Act::Tell(command)).guarded(is_new.then_some(guard))
    }
}

/// Whether a token that ends then is over so long after now, or a little later or earlier than that.
fn ends_within(
    end: Option<Timestamp>,
    now: Timestamp,
    length: Duration,
    slack: SignedDuration,
) -> bool {
    let length = SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX);
    end.is_some_and(|end| end.duration_since(now) <= length.saturating_add(slack))
}

/// A duration in its largest whole unit.
fn words(length: Duration) -> String {
    let seconds = length.as_secs();
    let units = [(86_400, "d"), (3_600, "h"), (60, "m")];
    let fits = units
        .iter()
        .find(|(unit, _)| seconds > *unit && seconds.is_multiple_of(*unit));
    match fits {
        Some((unit, name)) => format!("{}{name}", seconds / unit),
        None => format!("{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_outlives_what_is_asked_for_is_another() {
        let now: Timestamp = "2026-11-22T04:00:00Z".parse().unwrap();
        let at = |text: &str| Some(text.parse().unwrap());
        let hour = Duration::from_hours(1);
        assert!(ends_within(at("2026-11-22T05:00:59Z"), now, hour, SLACK));
        assert!(!ends_within(at("2026-11-22T05:01:01Z"), now, hour, SLACK));
        assert!(!ends_within(None, now, hour, SLACK));
    }

    #[test]
    fn durations_are_said_as_people_write_them() {
        let said = [30, 90, 600, 86_400, 172_800].map(|it| words(Duration::from_secs(it)));
        assert_eq!(said, ["30s", "90s", "10m", "24h", "2d"]);
    }
}
