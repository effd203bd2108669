//! Which token the datastore has, and what is to be done on a server: from all that is seen of it and of the others.

use super::examine::begun_with;
use super::refusals::{down_first, not_certain, what_is_uncertain};
use crate::facts::Probe;
use crate::k3s::install::Datastore;
use crate::k3s::order::join_target;
use crate::k3s::phase::{CLEARLY_LATER, Memory, Standing, Torn};
use crate::k3s::rescue::{Evidence, Patient, Pulse, Remedy, Unclear};
use crate::k3s::token::tag;
use crate::model::HostName;
use crate::secret::Secret;
use crate::steps::Unmet;
use crate::steps::datastore::answer;
use crate::steps::look::{Cluster, Seen};

/// A server that may need help, among all others.
pub(super) struct Case<'a> {
    pub(super) probe: &'a Probe<'a>,
    pub(super) seen: &'a Seen,
    pub(super) cluster: &'a Cluster,
    pub(super) patient: Patient,
    /// What all servers say together; `None` when they contradict each other, or none answers.
    pub(super) standing: Option<&'a Standing>,
}

impl Case<'_> {
    /// What the datastore has, and what is to be done here. When the servers contradict each other the datastore is asked
    /// first, unless the operator says what it has, or nobody can be asked.
    pub(super) fn remedy(&mut self, is_contradiction: bool) -> Result<(Secret, Remedy), Unclear> {
        if let Some(standing) = self.standing {
            self.patient.newer = self.cluster.is_passwd_newer(self.seen, &standing.datastore);
        }
        let words = &self.probe.options().words;
        let is_trial = words.quorum_loss && self.is_alone();
        if is_contradiction && words.datastore.is_none() && !is_trial {
            return Err(Unclear::Token);
        }
        let right = self.judged(is_trial)?;
        // What a process that has the right token has written at its start is saved while it runs.
        let own = self.cluster.server(&self.seen.host);
        let held = own.and_then(|it| it.memory.secret());
        let is_newer = self.cluster.is_passwd_newer(self.seen, &right);
        self.patient.newer = held != Some(&right) && is_newer;
        let lacking = lacking(self.cluster, &self.seen.host, &right);
        if self.is_refused_by_all(&lacking) {
            return Err(Unclear::PeersFirst);
        }
        let remedy = self.patient.remedy(&right, lacking.is_empty())?;
        Ok((right, remedy))
    }

    /// Whether it would be refused by each server that it may ask: with no data of its own it does not start without one.
    fn is_refused_by_all(&self, lacking: &[HostName]) -> bool {
        let is_bare = self.seen.install.datastore == Datastore::Elsewhere;
        let asks = is_bare && self.patient.pulse != Pulse::Runs && self.seen.asks_before_start();
        let joiners = self.cluster.joiners(self.probe.fleet(), &[]);
        let mut others = self.cluster.servers.iter().map(|it| &it.seen.host);
        asks && match join_target(&self.seen.host, &joiners) {
            Some(target) => lacking.contains(target),
            None => others.all(|it| *it == self.seen.host || lacking.contains(it)),
        }
    }

    /// What this server waits for others to take.
    pub(super) fn awaited(&self) -> Option<Secret> {
        self.judged(false).ok().or(self.seen.surface().cloned())
    }

    /// Whether more than files show that the datastore has what this server waits for: only then another one may be restarted
    /// with it.
    pub(super) fn is_shown(&self) -> bool {
        let awaited = self.awaited();
        let Some(right) = awaited.as_ref() else {
            return false;
        };
        let asked = answer(self.probe, self.cluster);
        // It has been told to have another one no more, and there is no third.
        let is_only = |it: &Secret| it == right || self.cluster.is_denied(it);
        let is_left = asked.as_ref().is_some_and(|asked| !asked.has_it)
            && self.patient.moved() == Some(right)
            && self.cluster.tokens().iter().all(is_only);
        let asked = asked.filter(|asked| asked.has_it);
        let standing = self.standing.filter(|it| self.cluster.is_witnessed(it));
        let mut servers = self.cluster.servers.iter();
        is_left
            || asked.is_some_and(|asked| asked.tag == tag(right))
            || standing.is_some_and(|standing| standing.datastore == *right)
            || self.probe.options().words.datastore.as_ref() == Some(right)
            || servers.any(|it| it.memory.secret() == Some(right))
    }

    /// Whether nobody can be asked which token the datastore has, and the operator does not say it.
    fn is_alone(&self) -> bool {
        self.probe.options().words.datastore.is_none() && self.cluster.lacks_quorum()
    }

    /// Which token the datastore has, from all that is seen.
    fn judged(&self, trial: bool) -> Result<Secret, Unclear> {
        let (probe, cluster, standing) = (self.probe, self.cluster, self.standing);
        let given = probe.options().words.datastore.as_ref();
        let known = cluster.tokens();
        let asked = answer(probe, cluster).and_then(|asked| {
            let mut known = known.iter().chain(given);
            let token = known.find(|token| tag(token) == asked.tag)?;
            Some((token, asked.has_it))
        });
        let is_denied = |it: &Secret| cluster.is_denied(it);
        let denied: Vec<Secret> = known.iter().filter(|it| is_denied(it)).cloned().collect();
        let begun = self.begun();
        let mut others = self.of_others();
        others.retain(|it| !is_denied(it));
        self.patient.right(&Evidence {
            standing,
            witnessed: standing.is_some_and(|standing| cluster.is_witnessed(standing)),
            unseen: cluster.hides_beside(&self.seen.host),
            asked,
            resting: is_resting(self.seen, cluster),
            overtaken: self.is_overtaken(),
            third: is_third(
                standing,
                &self.patient,
                known.iter().filter(|it| !is_denied(it)),
            ),
            others: &others,
            begun: begun.as_ref().filter(|it| !is_denied(it)),
            denied: &denied,
            trial,
            given,
        })
    }

    /// What was replaced here, and tokens that other servers tell of: by a rotate, which leaves one in both files, or since a
    /// rescue has started them with one. What waits on a server may have been put in its time, by a run that was cut right then.
    fn of_others(&self) -> Vec<Secret> {
        let servers = self.cluster.servers.iter();
        let others = servers.clone().filter(|it| it.seen.host != self.seen.host);
        let told = others.flat_map(|it| {
            let (seen, surface) = (&it.seen, it.seen.surface().cloned());
            let on_disk = seen.on_disk();
            let both = on_disk.filter(|it| seen.passwd().server.as_ref() == Some(it));
            let begun = surface.filter(|it| seen.rescue() == Some(begun_with(it)));
            [both, begun]
        });
        let staged = servers.filter_map(|it| it.seen.staged());
        let back = self.cluster.half_rolled_back();
        let withdrawn = self.cluster.servers.iter().filter(|_| back.is_some());
        let withdrawn = withdrawn.filter_map(|it| it.seen.withdrawn());
        let told = told.flatten().chain(self.seen.replaced()).chain(withdrawn);
        let mut all: Vec<Secret> = told.chain(staged).collect();
        all.sort_by(|a, b| a.expose().cmp(b.expose()));
        all.dedup();
        all
    }

    /// What a rescue has started another server with, whose start goes on.
    fn begun(&self) -> Option<Secret> {
        let servers = self.cluster.servers.iter();
        let mut others = servers.filter(|it| it.seen.host != self.seen.host && it.is_coming());
        others.find_map(|it| {
            let surface = it.seen.surface()?;
            (it.seen.rescue() == Some(begun_with(surface))).then(|| surface.clone())
        })
    }

    /// Whether a server has started with what all that run have, clearly after this one's files were written.
    fn is_overtaken(&self) -> bool {
        let common = self.standing.map(|standing| &standing.datastore);
        let written = self.seen.passwd_written();
        let mut servers = self.cluster.servers.iter();
        servers.any(|it| {
            let both = it.seen.unit.started.zip(written);
            let is_later = both.is_some_and(|(at, written)| at.since(written) > CLEARLY_LATER);
            common.is_some() && it.memory.secret() == common && is_later
        })
    }

    /// That nobody can say which token is right: what leads to it.
    pub(super) fn uncertain(&self, torn: Option<&Torn>) -> Unmet {
        if let Some(first) = down_first(self.seen, self.cluster) {
            return first;
        }
        let torn = torn.filter(|torn| torn.name != "no-server-answers");
        let what = torn.map_or_else(
            || what_is_uncertain(self.seen, &self.patient),
            |torn| format!("{}; nothing is touched", torn.what),
        );
        let may_try = self.is_alone() && self.judged(true).is_ok();
        not_certain(&self.seen.host, what, may_try)
    }
}

/// Whether all servers were stopped, or started again by a rescue with it, and there is no other token than this in any place.
/// What only waits beside it has been nobody's yet: a rotate writes the files of its server before all else.
fn is_resting(seen: &Seen, cluster: &Cluster) -> bool {
    let tokens = cluster.tokens_in_use();
    let [one] = tokens.as_slice() else {
        return false;
    };
    let mark = begun_with(one);
    let mut others = cluster.servers.iter().map(|it| &it.seen);
    cluster.blind.is_empty()
        && others.all(|it| {
            let is_started = it.rescue().as_ref() == Some(&mark);
            it.host == seen.host || it.unit.active_state == "inactive" || is_started
        })
}

/// Whether there is a token that is neither OLD nor NEW, where both are known, nor what this server was rotated to.
fn is_third<'a>(
    standing: Option<&Standing>,
    patient: &Patient,
    mut known: impl Iterator<Item = &'a Secret>,
) -> bool {
    let moved = patient.moved();
    standing.is_some_and(|standing| {
        let both = [standing.old.as_ref(), Some(&standing.new)];
        let is_known = |it: &&Secret| both.contains(&Some(*it)) || moved == Some(*it);
        standing.is_rotated() && !known.all(|it| is_known(&it))
    })
}

/// Servers that run and do not accept this token.
pub(super) fn lacking(cluster: &Cluster, host: &HostName, right: &Secret) -> Vec<HostName> {
    let others = cluster
        .servers
        .iter()
        .filter(|other| other.seen.host != *host);
    let lacks =
        others.filter(|other| matches!(&other.memory, Memory::Holds(held) if held != right));
    lacks.map(|other| other.seen.host.clone()).collect()
}
