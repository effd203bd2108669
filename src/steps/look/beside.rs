//! What the other servers prove about one of them, and how well they are.

use super::memory::{authorities, wish};
use super::{Blind, Cluster, Seen, ServerSeen};
use crate::facts::Probe;
use crate::k3s::install::Datastore;
use crate::k3s::phase::{Memory, Phase, ServerView, Standing, Torn, judge, names};
use crate::k3s::token::{TokenKind, tag};
use crate::model::{HostName, HostTime};
use crate::secret::Secret;
use crate::steps::{StepError, Unmet};

impl Cluster {
    /// Where the rotation stands, whatever is configured: a wrong token must not hide the right one.
    ///
    /// # Errors
    /// As for [`judge`].
    pub fn standing_of_processes(&self, probe: &Probe<'_>) -> Result<Standing, Torn> {
        if let Some(torn) = authorities(&self.servers) {
            return Err(torn);
        }
        let view = |server: &ServerSeen| ServerView {
            surface: None,
            ..server.view()
        };
        let views: Vec<ServerView> = self.servers.iter().map(view).collect();
        judge(&views, wish(probe, TokenKind::Server))
    }

    /// Where the rotation stands, for what is done to one server: what another one is configured with is for its own rescue.
    ///
    /// # Errors
    /// As [`Cluster::standing`].
    pub fn standing_beside(
        &self,
        probe: &Probe<'_>,
    ) -> Result<Result<Standing, Vec<Unmet>>, StepError> {
        Ok(
            match (self.standing()?, self.standing_of_processes(probe)) {
                (Ok(standing), _) => Ok(standing.clone()),
                (Err(_), Ok(standing)) if self.blind.is_empty() => Ok(standing),
                (Err(unmet), _) => Err(unmet),
            },
        )
    }

    /// What is left to do when a rotation stands half way, beside what a rescue or a heal does.
    #[must_use]
    pub fn left(&self, standing: &Standing) -> Option<String> {
        let Some(unfinished) = self.unfinished(standing) else {
            return self.left_of_agents();
        };
        let book = self.about.playbook();
        Some(format!(
            "{unfinished}: restart no server; keyroll run {book} -i INVENTORY finishes it"
        ))
    }

    /// What gives an agent a token that is accepted: the rotation that is under way, else a rescue.
    #[must_use]
    pub fn cure_of_agent(&self, standing: &Standing, host: &HostName) -> String {
        self.left(standing).unwrap_or_else(|| rescue_of_agent(host))
    }

    /// Whether any server keeps the old one of this token: keyroll has begun to rotate it, and no proof has ended that.
    #[must_use]
    pub fn keeps(&self, kind: TokenKind) -> bool {
        self.servers
            .iter()
            .any(|it| it.seen.kept_of(kind).is_some())
    }

    /// A rotation of the agent token that keyroll has begun.
    #[must_use]
    pub fn left_of_agents(&self) -> Option<String> {
        let book = TokenKind::Agent.playbook();
        self.keeps(TokenKind::Agent).then(|| {
            format!("a rotation of the agent token is not finished: restart no server; keyroll run {book} -i INVENTORY finishes it")
        })
    }

    /// That a rotation stands half way, and where.
    #[must_use]
    pub fn unfinished(&self, standing: &Standing) -> Option<String> {
        let is_begun = |phase: &Phase| !matches!(phase, Phase::Old | Phase::New | Phase::Silent);
        // What is configured where keyroll cannot read it tells nothing.
        let is_unread = |host: &HostName, phase: Phase| {
            let surface = self.server(host).and_then(|it| it.seen.surface());
            phase == Phase::Reverted && surface.is_none()
        };
        let all = standing.phases.iter();
        let told = all.filter(|(host, phase)| !is_unread(host, *phase));
        let mut phases = told.clone().map(|(_, phase)| phase);
        // A server that only does not run is no rotation.
        if !standing.is_rotated() && !phases.any(is_begun) {
            return None;
        }
        let rests = |(_, phase): &&(HostName, Phase)| !matches!(phase, Phase::Old | Phase::New);
        let rests = told.filter(rests).map(|it| &it.0);
        let rests: Vec<&HostName> = rests.collect();
        let is_kept = self.keeps(self.about);
        let is_silent = |host: &&HostName| standing.phase(host) == Some(Phase::Silent);
        if !is_kept && rests.iter().all(is_silent) {
            return None;
        }
        if !rests.is_empty() {
            return Some(format!(
                "a rotation is not finished ({})",
                names(rests.into_iter())
            ));
        }
        // It is over with its proof, after which nobody keeps OLD.
        (standing.is_rotated() && is_kept)
            .then(|| "a rotation is not finished (agents, or its proof)".to_owned())
    }

    /// The servers that could not be asked, or whose K3s does not answer; empty when there is none.
    #[must_use]
    pub fn unseen(&self) -> String {
        let silent = self
            .servers
            .iter()
            .filter(|it| matches!(it.memory, Memory::Silent(_)));
        let silent = silent.map(|it| &it.seen.host);
        let all: Vec<&HostName> = self
            .blind
            .iter()
            .map(|(host, _)| host)
            .chain(silent)
            .collect();
        if all.is_empty() {
            String::new()
        } else {
            names(all.iter().copied())
        }
    }

    /// Every token that is found on any server.
    #[must_use]
    pub fn tokens(&self) -> Vec<Secret> {
        let mut all = self.tokens_in_use();
        for staged in self.servers.iter().filter_map(|it| it.seen.staged()) {
            if !all.contains(&staged) {
                all.push(staged);
            }
        }
        all
    }

    /// The same without what only waits beside a surface.
    #[must_use]
    pub fn tokens_in_use(&self) -> Vec<Secret> {
        let mut all: Vec<Secret> = Vec::new();
        let of = |server: &ServerSeen| server.seen.tokens_in_use();
        for secret in self.servers.iter().flat_map(of) {
            if !all.contains(&secret) {
                all.push(secret);
            }
        }
        all
    }

    /// Whether the datastore may have got another token than this after a moment: a server was rotated since, or has started with
    /// another one.
    #[must_use]
    pub fn is_overtaken(&self, secret: &Secret, moment: HostTime) -> bool {
        let views = self.servers.iter().map(ServerSeen::view);
        let is_later = |time: Option<HostTime>| time.is_some_and(|time| time > moment);
        views.into_iter().any(|it| {
            let is_rotated = is_later(it.put) && it.on_disk.as_ref() != Some(secret);
            let held = it.memory.secret();
            is_rotated || is_later(it.started) && held.is_some_and(|held| held != secret)
        })
    }

    /// Whether the datastore did not have this token when it was asked, and no server was rotated to it since.
    #[must_use]
    pub fn is_denied(&self, secret: &Secret) -> bool {
        let servers = self.servers.iter().map(|it| &it.seen);
        let puts = servers
            .clone()
            .filter(|it| it.on_disk().as_ref() == Some(secret));
        let written = |it: &Seen| it.passwd_written().filter(|_| !it.unit.is_active());
        let put = puts.filter_map(|it| it.put().or(written(it))).max();
        let mut denied = servers.filter_map(Seen::denied);
        denied.any(|(of, at)| of == tag(secret) && put.is_none_or(|put| put <= at))
    }

    /// Whether a server other than `host` is away, or silent with files that nobody can vouch for.
    #[must_use]
    pub fn hides_beside(&self, host: &HostName) -> bool {
        let hidden = |server: &&ServerSeen| {
            matches!(server.memory, Memory::Silent(_)) && server.seen.host != *host
        };
        !self.blind.is_empty() || self.servers.iter().any(|server| hidden(&server))
    }

    /// Whether a server's member of etcd is healthy and has a leader; of one without etcd whether those that it uses have a
    /// quorum.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub async fn is_well(&self, probe: &Probe<'_>, server: &ServerSeen) -> Result<bool, StepError> {
        let is_member = server.seen.install.datastore == Datastore::Etcd;
        Ok(ill(probe, server).await?.is_none() && (is_member || !self.lacks_quorum()))
    }

    /// How many members of etcd run, and how many there are.
    #[must_use]
    pub fn members_up(&self) -> (usize, usize) {
        let up = self.members().filter(|it| it.is_coming());
        (up.count(), self.members().count() + self.blind.len())
    }

    /// Whether so few members of etcd run that there is no quorum.
    #[must_use]
    pub fn lacks_quorum(&self) -> bool {
        let (up, all) = self.members_up();
        all > 0 && up * 2 <= all
    }

    /// Whether so few members of etcd run beside this server's that there is no quorum even with it.
    #[must_use]
    pub fn lacks_quorum_with(&self, host: &HostName) -> bool {
        let (_, all) = self.members_up();
        let others = self.members().filter(|it| it.seen.host != *host);
        let others = others.filter(|it| it.is_coming()).count();
        self.members().any(|it| it.seen.host == *host) && (others + 1) * 2 <= all
    }

    /// Why no server may be stopped or have files removed now: the others must be well, or their healthy members a
    /// majority without it.
    ///
    /// # Errors
    /// When a member cannot be asked.
    pub async fn unwell_beside(
        &self,
        probe: &Probe<'_>,
        host: &HostName,
    ) -> Result<Vec<Unmet>, StepError> {
        let mut unwell: Vec<Unmet> = self
            .blind
            .iter()
            .map(|(host, why)| away(host, why))
            .collect();
        let (mut members, mut well) = (self.blind.len(), 0);
        for server in &self.servers {
            let is_member = server.seen.install.datastore == Datastore::Etcd;
            members += usize::from(is_member);
            if server.seen.host == *host {
                continue;
            }
            match ill(probe, server).await? {
                Some(unmet) => unwell.push(unmet),
                None => well += usize::from(is_member),
            }
        }
        // Two of three members that are well carry the cluster while the third is mended.
        if well * 2 > members {
            unwell.clear();
        }
        Ok(unwell)
    }
}

/// What gives an agent the token of a cluster of which no rotation is under way.
pub(in crate::steps) fn rescue_of_agent(host: &HostName) -> String {
    format!(
        "give it the cluster's token: keyroll rescue {host} -i INVENTORY; then run the same command again"
    )
}

impl ServerSeen {
    /// Whether it runs, or was started by a rescue and waits for others.
    #[must_use]
    pub fn is_coming(&self) -> bool {
        let unit = &self.seen.unit;
        let is_starting = unit.active_state == "activating" && unit.sub_state == "start";
        unit.is_active() || is_starting && self.seen.rescue().is_some()
    }
}

fn away(host: &HostName, why: &Blind) -> Unmet {
    Unmet::new(
        "other-server-away",
        format!("{host} could not be looked at: {why}"),
        format!("get {host} to answer, then run the same command again"),
    )
}

async fn ill(probe: &Probe<'_>, server: &ServerSeen) -> Result<Option<Unmet>, StepError> {
    let (host, unit) = (&server.seen.host, &server.seen.unit);
    let unmet = |what| {
        let next = format!("first this server: keyroll rescue {host} -i INVENTORY");
        Ok(Some(Unmet::new("other-server-down", what, next)))
    };
    if !unit.is_active() {
        return unmet(format!("{host} does not run either ({})", unit.words()));
    }
    if server.seen.install.datastore != Datastore::Etcd {
        return Ok(None);
    }
    let member = probe.get_now(host, server.seen.member()).await?;
    if member.is_well() {
        return Ok(None);
    }
    unmet(format!("etcd on {host} is not well: {}", member.words()))
}
