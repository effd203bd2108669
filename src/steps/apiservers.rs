//! The inventory against the kube-apiservers that the cluster lists: a server without a kubelet is no node, and one
//! without etcd no member, but its kube-apiserver is listed.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Unmet;
use super::look::{Cluster, Seen, ServerSeen, ask_api_now};
use super::unmanaged::Roll;
use crate::facts::{Apiservers, FactError, Probe};
use crate::model::count;

/// One that went away or was restarted is listed, or not listed, wrongly for up to half a minute: so often is looked again.
const LOOKS: usize = 4;
/// And so long after each look.
const BETWEEN: Duration = Duration::from_secs(10);

/// Names of those who have told of a server that the inventory does not have.
const TOLD: [&str; 2] = ["node-not-in-inventory", "etcd-member-not-in-inventory"];

/// The servers that the cluster lists against those of the inventory. Only their numbers: what address a kube-apiserver
/// gives itself is its own affair. Whoever is among the `rolls` already is not named once more.
pub(super) async fn call_roll_of_apiservers(
    probe: &Probe<'_>,
    cluster: &Cluster,
    rolls: &[&Roll],
) -> Roll {
    let told = |unmet: &Unmet| TOLD.contains(&unmet.name);
    if rolls.iter().any(|roll| roll.unmet.iter().any(told)) {
        return Roll::default();
    }
    let misplaced = rolls.iter().flat_map(|roll| &roll.misplaced);
    let misplaced = misplaced.collect::<BTreeSet<_>>().len();
    let ours = Ours {
        running: cluster
            .servers
            .iter()
            .filter(|it| it.has_live_api())
            .count(),
        ..Ours::of(cluster, misplaced)
    };
    match listed(probe, cluster, ours).await {
        Ok(listed) => ours.judge(&listed),
        Err(error) => Roll {
            unseen: vec![format!(
                "the servers that the cluster knows could not be listed: {error}"
            )],
            ..Roll::default()
        },
    }
}

/// Servers that the cluster lists beyond those of the inventory, before the one change that cannot wait for them.
pub(super) async fn unlisted_servers(probe: &Probe<'_>, cluster: &Cluster) -> Vec<Unmet> {
    let ours = Ours::of(cluster, 0);
    let listed = listed(probe, cluster, ours).await;
    listed.map_or_else(|_| Vec::new(), |listed| ours.judge(&listed).unmet)
}

/// How many kube-apiservers the inventory has.
#[derive(Debug, Clone, Copy)]
struct Ours {
    /// Those that run: at least so many must be listed.
    running: usize,
    /// All of them: one that went down may still be listed.
    all: usize,
}

impl Ours {
    fn of(cluster: &Cluster, misplaced: usize) -> Self {
        let has_api = |server: &&ServerSeen| server.seen.install.has_api;
        let seen = cluster.servers.iter().filter(has_api).count();
        Self {
            running: 0,
            all: seen + cluster.blind.len() + misplaced,
        }
    }

    fn fits(self, listed: usize) -> bool {
        (self.running..=self.all).contains(&listed)
    }

    fn judge(self, listed: &[String]) -> Roll {
        let mut roll = Roll::default();
        let lists = count(listed.len(), "kube-apiserver", "kube-apiservers");
        if listed.len() > self.all {
            roll.unmet.push(Unmet::new(
                "server-not-in-inventory",
                format!(
                    "the cluster lists {lists} ({}), and the inventory has {} with one",
                    listed.join(", "),
                    count(self.all, "server", "servers")
                ),
                "add the server that is missing to the inventory; one that is gone for good is listed for half a minute more",
            ));
        } else if listed.len() < self.running {
            // Several that advertise one address are listed once (k3s: `advertise-address`, `node-external-ip`).
            roll.left_out.push(format!(
                "the cluster lists {lists}, and {} with one: whether there are other servers cannot be told from that list",
                count(
                    self.running,
                    "server of the inventory runs",
                    "servers of the inventory run"
                )
            ));
        }
        roll
    }
}

/// Asks until the numbers fit, for a while.
async fn listed(
    probe: &Probe<'_>,
    cluster: &Cluster,
    ours: Ours,
) -> Result<Vec<String>, FactError> {
    let mut found = ask(probe, cluster).await?;
    for _ in 1..LOOKS {
        if ours.fits(found.len()) {
            break;
        }
        probe.pause(BETWEEN).await;
        found = ask(probe, cluster).await?;
    }
    Ok(found)
}

async fn ask(probe: &Probe<'_>, cluster: &Cluster) -> Result<Vec<String>, FactError> {
    let apiservers = |seen: &Seen| Apiservers(seen.admin());
    let what = "the list of kube-apiservers";
    let found = ask_api_now(probe, &cluster.servers, what, apiservers).await?;
    Ok(found.into_iter().collect())
}
