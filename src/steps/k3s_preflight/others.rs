//! Who else restarts, replaces or adds nodes: upgrades, reboots and autoscalers of the cluster's own, and join tokens.
//! Only what restarts something now stands in the way; what could not be asked is said.

use jiff::Timestamp;

use crate::facts::{Hold, JoinToken, JoinTokens, Plan, Plans, Probe, Tried, Workload, Workloads};
use crate::model::HostTime;
use crate::steps::findings::Finding;
use crate::steps::look::{Cluster, ServerSeen, nodes};

/// What was found by asking the first API server that runs.
pub(super) async fn judge(probe: &Probe<'_>, cluster: &Cluster) -> Vec<Finding> {
    let mut all = cluster.servers.iter();
    let Some(ServerSeen { seen, .. }) = all.find(|server| server.has_live_api()) else {
        return Vec::new();
    };
    let asked = (
        Tried(Workloads(seen.admin())),
        Tried(Plans(seen.admin())),
        Tried(JoinTokens(seen.admin())),
    );
    let (workloads, plans, tokens) = match probe.get_on(&seen.host, asked).await {
        Ok(answers) => answers,
        Err(error) => return vec![unknown(&error)],
    };
    let nodes = nodes(probe, &cluster.servers).await.unwrap_or_default();
    let nodes: Vec<String> = nodes.into_iter().map(|node| node.name).collect();
    let mut found = Vec::new();
    match plans {
        Ok(plans) => found.extend(upgrades(&plans)),
        Err(error) => found.push(unknown(&error)),
    }
    match workloads {
        Ok(workloads) => {
            found.extend(reboots(&workloads, &nodes, seen.unit.now));
            let expected = &probe.options().words.expected;
            found.extend(scalers(&workloads).filter(|_| expected.is_empty()));
        }
        Err(error) => found.push(unknown(&error)),
    }
    match tokens {
        Ok(tokens) => found.extend(remaining(&tokens, seen.unit.now)),
        Err(error) => found.push(unknown(&error)),
    }
    found
}

fn unknown(error: &impl std::fmt::Display) -> Finding {
    Finding::of("others-unknown", error.to_string())
}

/// A plan that is applied now restarts K3s, and puts another program there.
fn upgrades(plans: &[Plan]) -> Option<Finding> {
    let busy = plans.iter().find(|plan| !plan.applying.is_empty());
    if let Some(plan) = busy {
        let what = format!(
            "the upgrade plan {} is applied to {} now",
            plan.name,
            plan.applying.join(", ")
        );
        return Some(Finding::of("upgrade-running", what));
    }
    let names: Vec<&str> = plans.iter().map(|plan| plan.name.as_str()).collect();
    (!names.is_empty()).then(|| {
        let what = format!("there are upgrade plans: {}", names.join(", "));
        Finding::of("upgrade-plans", what)
    })
}

/// kured's lock for a node of the cluster means that this node reboots; for anything else a person holds kured still.
fn reboots(workloads: &[Workload], nodes: &[String], now: HostTime) -> Option<Finding> {
    let is_kured = |it: &&Workload| {
        it.kind == "DaemonSet" && (it.name.contains("kured") || !it.holds.is_empty())
    };
    let kured = workloads.iter().find(is_kured)?;
    let (space, name) = (&kured.namespace, &kured.name);
    let now = Timestamp::from_microsecond(now.0).unwrap_or(Timestamp::UNIX_EPOCH);
    let lasts = |hold: &&Hold| hold.until.is_none_or(|end| now < end);
    let holds: Vec<&Hold> = kured.holds.iter().filter(lasts).collect();
    if let Some(hold) = holds.iter().find(|hold| nodes.contains(&hold.node)) {
        let what = format!(
            "kured ({space}/{name}) has locked {}: that node reboots",
            hold.node
        );
        return Some(Finding::of("kured-lock-held", what).next(format!(
            "wait until {} is back; a lock that was left behind: kubectl -n {space} annotate daemonset {name} weave.works/kured-node-lock-",
            hold.node
        )));
    }
    let is_held = holds.iter().any(|hold| !hold.node.is_empty());
    (!is_held).then(|| {
        let what = format!("kured ({space}/{name}) reboots nodes when they want it");
        Finding::of("kured", what).next(format!(
            "hold it still for the rotation: kubectl -n {space} annotate daemonset {name} weave.works/kured-node-lock='{{\"nodeID\":\"manual\"}}'"
        ))
    })
}

fn scalers(workloads: &[Workload]) -> impl Iterator<Item = Finding> {
    let is_one = |it: &&Workload| {
        let name = &it.name;
        it.kind == "Deployment" && (name.contains("cluster-autoscaler") || name == "karpenter")
    };
    workloads.iter().filter(is_one).map(|it| {
        let what = format!(
            "{}/{} adds and removes nodes by itself",
            it.namespace, it.name
        );
        Finding::of("autoscaler", what)
    })
}

/// Tokens that a rotation of the server token leaves alone.
fn remaining(tokens: &[JoinToken], now: HostTime) -> Option<Finding> {
    let now = Timestamp::from_microsecond(now.0).unwrap_or(Timestamp::UNIX_EPOCH);
    let lives = |token: &&JoinToken| token.joins && token.lives(now);
    let each = |token: &JoinToken| match token.expires {
        Some(end) => format!("{} until {end}", token.id),
        None => format!("{} for ever", token.id),
    };
    let named: Vec<String> = tokens.iter().filter(lives).map(each).collect();
    (!named.is_empty()).then(|| {
        let what = format!(
            "{} join tokens remain valid after the rotation: {}",
            named.len(),
            named.join(", ")
        );
        Finding::of("join-tokens-remain", what)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(holds: &[(&str, Option<&str>)]) -> Option<&'static str> {
        let hold = |(node, until): &(&str, Option<&str>)| Hold {
            node: (*node).to_owned(),
            until: until.map(|end| end.parse().unwrap()),
        };
        let kured = Workload {
            kind: "DaemonSet".to_owned(),
            namespace: "kube-system".to_owned(),
            name: "kured".to_owned(),
            holds: holds.iter().map(hold).collect(),
        };
        let now: Timestamp = "2026-11-22T04:00:00Z".parse().unwrap();
        let nodes = ["s1".to_owned(), "a1".to_owned()];
        reboots(&[kured], &nodes, HostTime(now.as_microsecond())).map(|finding| finding.name)
    }

    #[test]
    fn only_a_lock_of_a_node_that_has_not_ended_stands_in_the_way() {
        assert_eq!(name(&[]), Some("kured"));
        assert_eq!(name(&[("a1", None)]), Some("kured-lock-held"));
        let (over, later) = ("2026-11-22T03:00:00Z", "2026-11-22T05:00:00Z");
        assert_eq!(name(&[("a1", Some(over))]), Some("kured"));
        assert_eq!(name(&[("a1", Some(later))]), Some("kured-lock-held"));
        assert_eq!(name(&[("manual", None)]), None);
        assert_eq!(name(&[("", None)]), Some("kured"));
    }
}
