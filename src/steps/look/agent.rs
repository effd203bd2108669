//! Where one agent stands. Agents keep no token: only the surface and the start of the process count.

use super::{Freshness, Seen};
use crate::facts::{Knocked, Probe};
use crate::k3s::knock::{Heard, Knock, Role};
use crate::k3s::phase::Standing;
use crate::k3s::token::{Form, TokenKind};
use crate::model::HostName;
use crate::secret::Secret;
use crate::steps::StepError;
use crate::template::Templated;

/// What an agent's configured secret is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentStanding {
    /// OLD.
    Old,
    /// NEW.
    New,
    /// A secret of its own kind, or none: it stays as it is.
    Foreign(&'static str),
}

/// Whether agents are restarted: with `agents: { restart: false }` among an agent's variables its configuration is changed
/// and what it holds is shown to be accepted, and its process goes on. Default: true.
///
/// # Errors
/// When the variable says neither yes nor no.
pub fn is_to_restart(probe: &Probe<'_>) -> Result<bool, StepError> {
    let wish = "{{ (agents | default({})).restart | default(true) }}";
    Ok(Templated::Expression(wish.to_owned()).render(probe.vars())?)
}

impl AgentStanding {
    /// Judges an agent's surface.
    ///
    /// # Errors
    /// When the agent cannot be asked.
    pub async fn look(
        probe: &Probe<'_>,
        seen: &Seen,
        standing: &Standing,
    ) -> Result<Self, StepError> {
        let Some(surface) = seen.install.winner() else {
            return Ok(Self::Foreign(match seen.install.unread() {
                Some(_) => "a token is configured that keyroll cannot edit",
                None => "no token is configured; its client certificate lets it in",
            }));
        };
        let secret = &surface.token.secret;
        if *secret == standing.new {
            return Ok(Self::New);
        }
        let named = probe.options().words.old.as_ref();
        let named = named.filter(|_| seen.about == TokenKind::Server);
        if standing.dead().any(|dead| dead == secret) || Some(secret) == named {
            return Ok(Self::Old);
        }
        if matches!(surface.token.form, Form::Bootstrap { .. }) {
            return Ok(Self::Foreign(
                "it has a bootstrap token, which a rotation does not touch",
            ));
        }
        // Nobody knows OLD any more: a secret that the servers refuse is as dead as OLD. So is whatever else an agent
        // holds that a new agent token is for, such as the server token.
        let is_meant = standing.old.is_none() || seen.about == TokenKind::Agent;
        let dead = is_meant && Self::knock(probe, seen).await?.1 == Heard::Rejected;
        Ok(if dead {
            Self::Old
        } else {
            Self::Foreign("it has a token of its own, such as a separate agent token")
        })
    }

    /// What the supervisor says to the agent's own configured secret, through the agent's load balancer; where that
    /// does not listen, at the address that `server:` names.
    ///
    /// # Errors
    /// When the agent cannot be asked.
    pub async fn knock(probe: &Probe<'_>, seen: &Seen) -> Result<(Knock, Heard), StepError> {
        let secret = seen.surface().cloned().unwrap_or_else(|| Secret::new(""));
        let knock = |door| Knock {
            door,
            role: Role::Node,
            secret: secret.clone(),
        };
        let mut knocks = vec![knock(seen.door())];
        knocks.extend(seen.far_door().map(knock));
        let near = Self::try_one(probe, seen, knocks.first()).await?;
        match (near, knocks.pop()) {
            (Heard::NotYet(said), Some(far)) if said.contains("refused") => {
                let heard = Self::try_one(probe, seen, Some(&far)).await?;
                Ok((far, heard))
            }
            (heard, _) => Ok((knock(seen.door()), heard)),
        }
    }

    async fn try_one(
        probe: &Probe<'_>,
        seen: &Seen,
        knock: Option<&Knock>,
    ) -> Result<Heard, StepError> {
        let heard = probe
            .get_now(&seen.host, Knocked(knock.cloned().into_iter().collect()))
            .await?;
        Ok(heard
            .into_iter()
            .next()
            .unwrap_or_else(|| Heard::Odd("there was no answer".to_owned())))
    }

    /// Looks at an agent's set-up.
    ///
    /// # Errors
    /// When it cannot be asked, or no K3s is found there.
    pub async fn seen(probe: &Probe<'_>, host: &HostName) -> Result<Seen, super::Blind> {
        let freshness = if host == probe.host() {
            Freshness::Now
        } else {
            Freshness::Lately
        };
        Seen::look(probe, host, freshness).await
    }
}
