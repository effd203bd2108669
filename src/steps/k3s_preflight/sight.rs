//! One host, with what it was asked in one round trip beside its set-up.

use super::{Aim, agent, agent_token, ahead, around, fleet, limited, process, unit};
use crate::facts::{Fact, FactError, FreeSpace, K3sVersion, Probe, Tried};
use crate::k3s::install::Kind;
use crate::k3s::phase::Standing;
use crate::k3s::token::TokenKind;
use crate::k3s::version::Version;
use crate::steps::findings::{self, Finding};
use crate::steps::k3s_restart::stale_pin;
use crate::steps::k3s_token::{Room, obstacles, room, room_of_both};
use crate::steps::look::{Cluster, Seen, no_token};
use crate::steps::{Proposal, StepError, Unmet};

/// Free space that writing tokens and a restart need, in KiB.
const FREE_KIB: u64 = 20 * 1024;

/// What the host itself is asked.
type Asked = (
    (Tried<K3sVersion>, Tried<FreeSpace>, Room),
    findings::Asked,
    (around::Asked, process::Asked),
    ahead::Asked,
);

/// A host, the servers, and what the host answered.
pub struct Sight<'a> {
    seen: &'a Seen,
    cluster: &'a Cluster,
    aim: Aim,
    room: Room,
    answers: <Asked as Fact>::Value,
}

impl<'a> Sight<'a> {
    /// Asks the task's own host.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub async fn take(
        probe: &Probe<'_>,
        seen: &'a Seen,
        cluster: &'a Cluster,
        aim: Aim,
    ) -> Result<Self, FactError> {
        let room = match aim {
            Aim::Server => room(seen),
            Aim::Agent | Aim::Both => room_of_both(seen),
        };
        let k3s = seen.k3s.clone();
        let asked: Asked = (
            (
                Tried(K3sVersion { k3s }),
                Tried(FreeSpace(seen.install.data_dir.clone())),
                room.clone(),
            ),
            findings::asked(probe, seen),
            (around::asked(seen), process::asked(seen)),
            ahead::asked(seen),
        );
        let answers = probe.get(asked).await?;
        Ok(Self {
            seen,
            cluster,
            aim,
            room,
            answers,
        })
    }

    fn standing(&self) -> Option<&'a Standing> {
        self.cluster.standing.as_ref().ok()
    }

    /// What can be seen on the host itself, without searching its files.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let (_, found, (around, _), _) = &self.answers;
        let mut findings = findings::judge(self.seen, self.standing(), found);
        findings.extend(self.seen.hidden().map(Finding::of_fault));
        findings.extend(self.seen.same_token().map(Finding::of_fault));
        findings.extend(around::findings(self.seen, around));
        findings
    }

    /// What stands in the way of a rotation, here or, on the first server, anywhere, with what was found of the cluster.
    ///
    /// # Errors
    /// When a host that counts cannot be asked.
    pub async fn judge(&self, probe: &Probe<'_>) -> Result<(Proposal, Vec<Finding>), StepError> {
        let (seen, cluster) = (self.seen, self.cluster);
        let ((version, _, _), _, (around, process), _) = &self.answers;
        let mut found = Vec::new();
        let mut proposal = Proposal::refuse(of_host(probe, seen));
        let aimed = seen.clone().of(self.aim.of_agents());
        for unmet in of_token(&aimed) {
            if !proposal.unmet.contains(&unmet) {
                proposal.unmet.push(unmet);
            }
        }
        if seen.install.kind == Kind::Server {
            proposal.unmet.extend(of_server(seen, version.clone()?));
        }
        proposal.unmet.extend(self.obstacles());
        proposal.unmet.extend(seen.disagreements(self.standing()));
        let other = match self.aim {
            Aim::Server => None,
            Aim::Agent | Aim::Both => Some(Cluster::around(probe, TokenKind::Agent).await),
        };
        let of_agents = other.as_deref().unwrap_or(cluster);
        let rotated: &[&Cluster] = match self.aim {
            Aim::Server | Aim::Agent => &[of_agents],
            Aim::Both => &[cluster, of_agents],
        };
        if probe.speaks_for_fleet() {
            let is_rotated = |cluster: &&Cluster| {
                let standing = cluster.standing.as_ref();
                standing.is_ok_and(Standing::is_rotated)
            };
            let has_begun = rotated.iter().any(is_rotated);
            found = fleet::judge(probe, cluster, has_begun, &mut proposal).await?;
            agent_token::judge(probe, self.aim, cluster, &mut proposal).await?;
        }
        proposal.unmet.extend(limited::judge(probe, rotated));
        let is_agent = seen.install.kind == Kind::Agent;
        if is_agent && let Ok(standing) = of_agents.standing()? {
            agent::judge(probe, &aimed, of_agents, standing, &mut proposal).await?;
        }
        for finding in around::judge(probe, seen, around).await? {
            finding.into_proposal(&mut proposal);
        }
        self.ahead(probe, &mut proposal);
        let process = process::judge(probe, seen, cluster, (version, self.aim), process).await?;
        proposal.unmet.extend(process.unmet);
        proposal.notes.extend(process.notes);
        proposal.unmet.extend(unit::renamed(probe, seen).await?);
        found.extend(unit::judge(probe, seen, of_agents, &mut proposal).await);
        Ok((proposal, found))
    }

    /// What a rotation that has not begun needs here.
    fn ahead(&self, probe: &Probe<'_>, proposal: &mut Proposal) {
        if self.standing().is_some_and(Standing::is_rotated) {
            return;
        }
        let (.., answers) = &self.answers;
        let mut members = self.cluster.members();
        let copied = members.next().or_else(|| self.cluster.servers.first());
        let is_copied = copied.is_some_and(|it| it.seen.host == self.seen.host);
        let is_copied = is_copied && !probe.options().words.own_backup;
        proposal.notes.extend(ahead::unknown(self.seen, answers));
        let unmet = ahead::judge(self.seen, is_copied, answers);
        proposal.unmet.extend(unmet);
    }

    fn obstacles(&self) -> Vec<Unmet> {
        let ((_, free, replaceable), ..) = &self.answers;
        match free {
            Ok(free) if *free < FREE_KIB => vec![full(self.seen, *free)],
            // What a file system does not tell stands in nobody's way.
            _ => obstacles(self.seen, &self.room, replaceable),
        }
    }
}

fn of_host(probe: &Probe<'_>, seen: &Seen) -> Vec<Unmet> {
    let misplaced = seen.misplaced(probe.fleet());
    let misplaced = misplaced.as_ref().map(Unmet::of_fault);
    of_token(seen).into_iter().chain(misplaced).collect()
}

/// What is wrong with the places that hold the token of this look.
fn of_token(seen: &Seen) -> Vec<Unmet> {
    let faults = seen.install.faults.iter().map(Unmet::of_fault);
    faults.chain(stale_pin(seen)).collect()
}

fn full(seen: &Seen, free: u64) -> Unmet {
    let (host, folder) = (&seen.host, &seen.install.data_dir);
    Unmet::new(
        "disk-full",
        format!("{host} has only {free} KiB free below {folder}"),
        format!("free {} MiB there", FREE_KIB / 1024),
    )
}

fn of_server(seen: &Seen, version: Version) -> Vec<Unmet> {
    let host = &seen.host;
    let mut unmet = Vec::new();
    if !version.can_rotate() {
        unmet.push(Unmet::new(
            "version-cannot-rotate",
            format!("{host} has K3s {version}, which cannot rotate its token"),
            "upgrade to v1.25.15, v1.26.10, v1.27.7, v1.28.3 or later first",
        ));
    }
    if seen.install.surfaces.is_empty() && seen.install.faults.is_empty() {
        unmet.push(no_token(seen));
    }
    unmet
}
