//! Looking at hosts without a playbook: what every command shares that only reads.

use std::sync::mpsc;

use futures::{StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::fleet::{self, Way};
use super::session::{begin, left};
use super::trouble::Trouble;
use super::{Desk, books, new_token, places};
use crate::cli;
use crate::clock::Clock;
use crate::engine::{Redactor, StopLevel, raise_on_signals};
use crate::facts::{NewAgentToken, Overlay, Probe, RunOptions, Scope, Words};
use crate::model::{HostName, SameHosts};
use crate::secret::Secret;
use crate::steps::look::Blind;
use crate::template::Vars;
use crate::wire::Become;

/// Hosts that can be looked at.
pub(super) struct Sight {
    /// Asks them.
    pub(super) scope: Scope,
    /// Those that `--limit` leaves, in the inventory's order, with their variables.
    hosts: Vec<(HostName, Vars)>,
    overlay: Overlay,
}

impl Sight {
    /// Looks at each host, as many at once as `--forks` allows; answers in the inventory's order.
    pub(super) async fn each<'a, T, F: Future<Output = T>>(
        &'a self,
        look: impl Fn(Probe<'a>) -> F,
    ) -> Vec<(HostName, T)> {
        let look = &look;
        stream::iter(&self.hosts)
            .map(|(host, vars)| async move {
                let probe = Probe::new(host, &Become::Root, vars, &self.scope, &self.overlay);
                (host.clone(), look(probe).await)
            })
            .buffered(self.scope.options.forks.get())
            .collect()
            .await
    }
}

/// A host that was not seen, and why.
pub(super) type Unseen = (HostName, Blind);

/// What is said of it in JSON.
pub(super) fn unseen((host, why): &Unseen) -> Value {
    json!({ "host": host, "why": why.to_string(), "next": why.next(host) })
}

/// Goes over what is about to be shown.
pub(super) struct Editor {
    redactor: Redactor,
    hosts: Option<SameHosts>,
}

impl Editor {
    /// Lets the commands that a text tells of name the same hosts.
    pub(super) fn name_hosts(&self, text: &mut String) {
        if let Some(hosts) = &self.hosts {
            hosts.fill(text);
        }
    }

    /// Covers every secret that was met.
    pub(super) fn redact(&self, text: &mut String) {
        self.redactor.redact(text);
    }
}

/// Opens the fleet, looks, and closes it again.
pub(super) fn glance<T>(
    desk: &Desk,
    asked: &cli::Glance,
    look: impl AsyncFnOnce(&Sight) -> T,
) -> Result<(T, Editor), Trouble> {
    let (mut inventory, sim) = books::hosts(&asked.hosts)?;
    fleet::lay_over(&mut inventory, &asked.view.reach)?;
    let state = places::state(desk, asked.view.state_dir.as_ref())?;
    let pattern = asked.hosts.limit.as_deref().unwrap_or("all");
    let hosts = books::limited(&inventory, pattern)?;
    let vars = |host: HostName| {
        let vars = inventory.hosts.get(&host).map(|known| known.vars.clone());
        (host, vars.unwrap_or_default())
    };
    let hosts = hosts.into_iter().map(vars).collect();
    let options = options(asked)?;
    let runtime = super::run::runtime(sim.is_some())?;
    runtime.block_on(async {
        let clock = Clock::starting_at(begin(sim.is_some()), 1);
        let simulated = sim.as_ref().map(|spec| (spec, clock));
        let way = Way::open(desk, simulated, &asked.view.reach, &inventory, &state)?;
        let (learn, learned) = mpsc::channel();
        let sight = Sight {
            scope: Scope::new(
                way.transport(),
                fleet::who(&inventory),
                options,
                clock,
                learn,
            ),
            hosts,
            overlay: Overlay::default(),
        };
        let (raise, mut stop) = watch::channel(StopLevel::Run);
        let seen = tokio::select! {
            biased;
            seen = async { way.warn().await; look(&sight).await } => Ok(seen),
            heard = raise_on_signals(raise) => Err(left(heard)),
            _ = stop.changed() => Err(left(Ok(()))),
        };
        way.close(true).await?;
        let met = learned.try_iter().chain(inventory.secrets());
        let mut redactor = Redactor::default();
        met.for_each(|secret: Secret| redactor.learn(&secret));
        let hosts = asked.same_hosts();
        Ok((seen?, Editor { redactor, hosts }))
    })
}

/// Nothing is rotated here, so the generated tokens are never used.
fn options(asked: &cli::Glance) -> Result<RunOptions, Trouble> {
    Ok(RunOptions {
        given: None,
        generated: new_token::made()?,
        agent: NewAgentToken {
            given: None,
            generated: new_token::made()?,
        },
        run: places::run_id(),
        forks: asked.view.forks,
        words: Words {
            expected: asked.nodes.expect_unmanaged.clone(),
            ignored: asked.nodes.ignore_node.clone(),
            unmeasured: asked.accepted.unmeasured,
            quorum_loss: asked.accepted.accept_quorum_loss,
            ..Words::default()
        },
    })
}
