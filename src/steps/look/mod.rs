//! What the K3s steps look at: one host's set-up, and what all servers say together.

mod age;
mod agent;
mod api;
mod beside;
mod cluster;
mod doors;
mod edits;
mod hand;
mod marks;
mod memory;
mod nodes;
mod order;
mod passwd;
mod remarks;
mod stands;
mod stated;
mod unit;
mod unsaved;
mod usual;

use std::collections::HashMap;

use camino::{Utf8Path, Utf8PathBuf};

use hand::Hand;

pub use age::{Aged, aged};
pub use agent::{AgentStanding, is_to_restart};
pub(super) use api::ask_api_now;
pub(super) use beside::rescue_of_agent;
pub use cluster::{Cluster, ServerSeen};
pub use edits::Edit;
pub(super) use marks::{Asked, REPLACED, WITHDRAWN};
pub(super) use memory::forgets_agents;
pub(super) use nodes::{nodes, server_nodes};
pub use order::restart_order;
pub(super) use passwd::PASSWD;
pub use passwd::Passwd;
pub(super) use stands::no_token;
pub use stands::words;
pub use stated::stated;

use crate::facts::{Environment, FactError, Fleet, Probe, UnitState};
use crate::k3s::install::{Fault, Install, Kind, Known, owned};
use crate::k3s::phase::Standing;
use crate::k3s::program::Program;
use crate::k3s::surface::{Place, Surface};
use crate::k3s::token::{Token, TokenKind, pinned_hash};
use crate::model::{HostName, HostTime};
use crate::secret::{Content, Secret};
use crate::steps::{StepError, Unmet};
use crate::wire::FileStat;

/// How fresh a look at a host must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Looked at now.
    Now,
    /// An answer of the last half minute serves, unless something was changed there since.
    Lately,
}

/// One host's set-up and files.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Which token this look is about: surfaces, what waits beside them and what is kept are of this one.
    pub about: TokenKind,
    /// Which host.
    pub host: HostName,
    /// The state of the unit that runs K3s.
    pub unit: UnitState,
    /// How K3s is set up.
    pub install: Install,
    /// The k3s binary.
    pub k3s: Program,
    /// Files that were read.
    pub known: Known,
    /// The environment that its process was started with; `None` when it does not run.
    pub environment: Option<Environment>,
    /// What `stat` says of files, links not followed; on a server of its passwd and CA too.
    pub stats: HashMap<Utf8PathBuf, Option<FileStat>>,
}

/// Why a host's set-up could not be made out.
#[derive(Debug, Clone)]
pub enum Blind {
    /// It could not be asked.
    Unasked(FactError),
    /// It is not set up in a way that keyroll works with.
    Faulty(Fault),
}

impl Blind {
    /// What to do about it.
    #[must_use]
    pub fn next(&self, host: &HostName) -> String {
        match self {
            Self::Faulty(fault) => fault.next.clone(),
            Self::Unasked(FactError::Transport(error)) => error
                .hint()
                .unwrap_or("see that the connection holds, then run the same command again")
                .to_owned(),
            Self::Unasked(FactError::Unreadable { .. }) => format!(
                "on {host}, see what became of it (ls -l, head -c 200), repair it, then run the same command again"
            ),
        }
    }
}

impl From<FactError> for Blind {
    fn from(error: FactError) -> Self {
        Self::Unasked(error)
    }
}

impl std::fmt::Display for Blind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unasked(error) => error.fmt(f),
            Self::Faulty(fault) => f.write_str(&fault.what),
        }
    }
}

impl Seen {
    /// Looks at one host.
    ///
    /// # Errors
    /// When it cannot be asked, or no K3s is found there.
    pub async fn look(
        probe: &Probe<'_>,
        host: &HostName,
        freshness: Freshness,
    ) -> Result<Self, Blind> {
        let hand = Hand {
            probe,
            host,
            freshness,
        };
        let mut found = hand.first().await?;
        let unit = found.unit(host)?;
        let install = hand.resolve(&unit, &mut found).await?;
        let install = hand.follow_links(install, &mut found).await?;
        let k3s = hand.rest(&unit, &install, &mut found).await?;
        let program = Program {
            path: k3s?,
            data_dir: install.data_dir.clone(),
        };
        let seen = Self {
            about: TokenKind::Server,
            host: host.clone(),
            environment: found.environments.remove(&unit.main_pid),
            install: owned(install, &unit.text),
            unit,
            k3s: program,
            known: found.known,
            stats: found.stats,
        };
        for secret in seen.secrets() {
            probe.learn(&secret);
        }
        Ok(seen)
    }

    /// Looks at the task's own host now; its faults come as reasons.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub async fn own(probe: &Probe<'_>) -> Result<Result<Self, Vec<Unmet>>, StepError> {
        match Self::look(probe, probe.host(), Freshness::Now).await {
            Ok(seen) => Ok(Ok(seen)),
            Err(Blind::Unasked(error)) => Err(error.into()),
            Err(Blind::Faulty(fault)) => Ok(Err(vec![Unmet::of_fault(&fault)])),
        }
    }

    /// The same host, looked at for its other token. An agent has one, whichever the cluster calls it.
    #[must_use]
    pub fn of(mut self, kind: TokenKind) -> Self {
        if kind != self.about && self.install.kind == Kind::Server {
            let install = &mut self.install;
            std::mem::swap(&mut install.surfaces, &mut install.agent_surfaces);
            let faults = install.agent_faults.clone().into_iter();
            let new: Vec<Fault> = faults.filter(|it| !install.faults.contains(it)).collect();
            install.faults.extend(new);
        }
        self.about = kind;
        self
    }

    /// A file that was read.
    #[must_use]
    pub fn file(&self, path: &Utf8Path) -> Option<&Content> {
        self.known.files.get(path)?.as_ref()
    }

    /// When a file was last written; `None` when it is not there.
    fn written(&self, path: &Utf8Path) -> Option<HostTime> {
        Some(self.stats.get(path)?.as_ref()?.mtime)
    }

    fn token_in(&self, path: &Utf8Path) -> Option<Token> {
        Token::parse(&self.file(path)?.text()).ok()
    }

    /// The secret that K3s would start with.
    #[must_use]
    pub fn surface(&self) -> Option<&Secret> {
        self.install.winner().map(|surface| &surface.token.secret)
    }

    /// The secret in K3s's own file, `server/token` or `server/agent-token`.
    #[must_use]
    pub fn on_disk(&self) -> Option<Secret> {
        self.token_in(&self.install.data(self.about.own_file()))
            .map(|token| token.secret)
    }

    /// The secret in its row of `server/cred/passwd`.
    #[must_use]
    pub fn in_passwd(&self) -> Option<Secret> {
        match self.about {
            TokenKind::Server => self.passwd().server,
            TokenKind::Agent => self.passwd().node,
        }
    }

    /// `server/cred/passwd`.
    #[must_use]
    pub fn passwd(&self) -> Passwd {
        self.file(&self.install.data(PASSWD))
            .map(|file| Passwd::parse(&file.text()))
            .unwrap_or_default()
    }

    /// Whether agents join this server with a token of their own: one is configured, or it runs with one.
    #[must_use]
    pub fn has_agent_token(&self) -> bool {
        let passwd = self.passwd();
        self.install.agent_token || passwd.node.is_some() && passwd.node != passwd.server
    }

    /// Whether the next start of this server would take another agent token than it runs with.
    #[must_use]
    pub fn has_untaken_agent_token(&self) -> bool {
        let passwd = self.passwd();
        let own = self.token_in(&self.install.data(TokenKind::Server.own_file()));
        let to_come = match &self.install.agent_secret {
            Some(secret) => Some(secret.clone()),
            // It is configured where keyroll cannot read it, or passwd is not what the process was started with.
            None if self.install.agent_token || passwd.server != own.map(|it| it.secret) => {
                return false;
            }
            None => passwd.server,
        };
        self.install.kind == Kind::Server && passwd.node.is_some() && passwd.node != to_come
    }

    /// Server tokens that a server is configured with or has taken, whichever token this look is about.
    #[must_use]
    pub fn server_tokens(&self) -> Vec<Secret> {
        let surfaces = match self.about {
            TokenKind::Server => &self.install.surfaces,
            TokenKind::Agent => &self.install.agent_surfaces,
        };
        let configured = surfaces.iter().map(|surface| surface.token.secret.clone());
        configured.chain(self.passwd().server).collect()
    }

    /// Every token of this kind that is on any of its files, and does not only wait there.
    #[must_use]
    pub fn tokens_in_use(&self) -> Vec<Secret> {
        let surfaces = self.install.surfaces.iter();
        let surfaces = surfaces.map(|surface| surface.token.secret.clone());
        let files = [
            self.on_disk(),
            self.passwd().server,
            self.kept(),
            self.withdrawn(),
        ];
        surfaces.chain(files.into_iter().flatten()).collect()
    }

    /// Surfaces that hold another secret than the winner. Those between OLD and NEW are a flip that was cut, and fine.
    #[must_use]
    pub fn disagreements(&self, standing: Option<&Standing>) -> Vec<Unmet> {
        let Some(winner) = self.install.winner() else {
            return Vec::new();
        };
        let kept = [self.kept(), self.staged()].into_iter().flatten();
        let both = standing
            .into_iter()
            .flat_map(|s| s.old.clone().into_iter().chain([s.new.clone()]));
        let known: Vec<Secret> = kept.chain(both).collect();
        let is_flip =
            |secret: &Secret| known.contains(secret) && known.contains(&winner.token.secret);
        let odd = |surface: &&Surface| {
            surface.token.secret != winner.token.secret && !is_flip(&surface.token.secret)
        };
        let unmet = |loser: &Surface| {
            let (wins, loses) = (self.place(winner), self.place(loser));
            let what = format!(
                "{}: {wins} and {loses} hold different tokens; the first one wins",
                self.host
            );
            let envs = [winner, loser].map(|it| it.place == Place::EnvFile);
            let name = if envs == [true, true] {
                "env-files-disagree"
            } else {
                "surfaces-disagree"
            };
            Unmet::new(
                name,
                what,
                format!("on {}, remove the token from {loses}", self.host),
            )
        };
        self.install
            .surfaces
            .iter()
            .filter(odd)
            .map(unmet)
            .collect()
    }

    /// Whether K3s asks another server before it starts: one that it joins, and for which a token is configured (k3s:
    /// `Cluster.Bootstrap`).
    #[must_use]
    pub fn asks_before_start(&self) -> bool {
        self.install.url.is_some() && self.is_configured()
    }

    /// Whether its token is configured anywhere; else K3s keeps one itself.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        self.configured().next().is_some()
    }

    /// Its surfaces without K3s's own file.
    fn configured(&self) -> impl Iterator<Item = &Surface> {
        let own = self.install.data(self.about.own_file());
        let surfaces = self.install.surfaces.iter();
        surfaces.filter(move |surface| surface.file != own)
    }

    /// When the last of the configured surfaces was changed; `None` when there is none. `server/token` does not
    /// count, since K3s writes it anew at each start.
    #[must_use]
    pub fn surface_changed(&self) -> Option<HostTime> {
        self.configured()
            .filter_map(|surface| Some(self.stats.get(&surface.file)?.as_ref()?.ctime))
            .max()
    }

    /// Whether the running process was started after the last change of its surfaces.
    #[must_use]
    pub fn started_after_change(&self) -> bool {
        self.started_since(self.surface_changed())
    }

    /// Whether the last attempt to start was made with the token as it is now. Where nothing is configured a rescue, which writes
    /// K3s's own file, has left word of when.
    #[must_use]
    pub fn is_tried(&self) -> bool {
        self.started_since(self.surface_changed().or(self.rescue_left()))
    }

    /// Whether it was started after that, or at all where nothing was changed.
    fn started_since(&self, changed: Option<HostTime>) -> bool {
        match changed {
            Some(changed) => self.started_after(changed),
            None => self.unit.started.is_some(),
        }
    }

    fn started_after(&self, moment: HostTime) -> bool {
        let started = self.unit.started;
        started.is_some_and(|started| started.0 + HostTime::GRAIN > moment.0)
    }

    /// That the inventory has it in the other group.
    #[must_use]
    pub fn misplaced(&self, fleet: &Fleet) -> Option<Fault> {
        let (place, wanted) = match (self.install.kind, fleet.is_server(&self.host)) {
            (Kind::Server, false) => ("server", "servers"),
            (Kind::Agent, true) => ("agent", "agents"),
            _ => return None,
        };
        let host = &self.host;
        Some(Fault {
            name: "wrong-group",
            what: format!(
                "{} on {host} runs `k3s {place}`, but the inventory does not have {host} among the {wanted}",
                self.unit.text.id
            ),
            next: format!("move {host} to the group of {wanted}"),
        })
    }

    /// The CA that it trusts, as tokens pin it, of a bundle its root; `None` when there is none that can be read.
    #[must_use]
    pub fn ca_hash(&self) -> Option<String> {
        pinned_hash(self.file(&self.install.ca())?.bytes())
    }

    /// Path of the kubelet's client certificate, which names the node.
    #[must_use]
    pub fn kubelet_certificate(&self) -> Utf8PathBuf {
        self.install.data("agent/client-kubelet.crt")
    }

    fn secrets(&self) -> Vec<Secret> {
        let surfaces = self.install.all_surfaces();
        let passwd = self.passwd();
        surfaces
            .map(|surface| surface.token.secret.clone())
            .chain(self.on_disk())
            .chain(self.kept())
            .chain(self.kept_of(TokenKind::Agent))
            .chain(self.staged())
            .chain(self.withdrawn())
            .chain(self.replaced())
            .chain(passwd.server)
            .chain(passwd.node)
            .chain(self.install.endpoint.clone())
            .collect()
    }
}
