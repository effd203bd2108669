//! When a gate opens: looks in, verdict out. No clock, no I/O.
//!
//! Measured: `Ready` stays true for 51 s after a node's death, and an agent with a wrong token is Ready for ever;
//! the voter condition of a dead etcd member stays true. So the unit, two renewals of the node's lease after the
//! unit's start, and etcd's own health count, and all of it must hold for the settle time.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::model::{HostName, HostTime};

/// The kubelet renews its lease this often.
const RENEWAL: Duration = Duration::from_secs(10);

/// A lease older than this is no sign of life: the node is declared dead after it.
const FRESH: Duration = Duration::from_secs(40);

/// What one look saw of one host.
#[derive(Debug, Clone)]
pub(super) struct Sight {
    pub(super) host: HostName,
    /// The K3s unit; or why it could not be seen.
    pub(super) unit: Result<Unit, String>,
    /// The node, when the gate wants nodes; or why it could not be seen.
    pub(super) node: Option<Result<Node, String>>,
}

/// One look at all of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Look {
    pub(super) hosts: Vec<Sight>,
    /// What is wrong with the cluster itself, such as with its etcd.
    pub(super) cluster: Vec<String>,
}

/// A K3s unit, by its host's clock.
#[derive(Debug, Clone)]
pub(super) struct Unit {
    pub(super) name: String,
    pub(super) active_state: String,
    pub(super) sub_state: String,
    pub(super) result: String,
    pub(super) invocation: String,
    pub(super) n_restarts: u64,
    pub(super) started: Option<HostTime>,
    pub(super) now: HostTime,
}

/// A node as the API server has it; the lease's time is of the node's own clock.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) ready: bool,
    pub(super) renewed: Option<HostTime>,
}

/// What a look means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Health held for the settle time.
    Open,
    /// Not yet, and why.
    Waiting(Vec<String>),
    /// Waiting longer helps nothing.
    Closed(Vec<String>),
}

/// The rule with what this gate has seen so far.
pub(super) struct Rule {
    settle: Duration,
    well_since: Option<Timestamp>,
    hosts: HashMap<HostName, Past>,
}

#[derive(Default)]
struct Past {
    process: (String, u64),
    renewed: Vec<HostTime>,
}

impl Rule {
    pub(super) fn new(settle: Duration) -> Self {
        Self {
            settle,
            well_since: None,
            hosts: HashMap::new(),
        }
    }

    /// Judges one look.
    pub(super) fn judge(&mut self, now: Timestamp, look: &Look) -> Verdict {
        let sights = &look.hosts;
        let dead: Vec<String> = sights.iter().filter_map(death).collect();
        if !dead.is_empty() {
            return Verdict::Closed(dead);
        }
        let mut because = look.cluster.clone();
        for sight in sights {
            let past = self.hosts.entry(sight.host.clone()).or_default();
            because.extend(
                past.complaints(sight)
                    .into_iter()
                    .map(|why| format!("{}: {why}", sight.host)),
            );
        }
        if !because.is_empty() {
            self.well_since = None;
            return Verdict::Waiting(because);
        }
        let since = *self.well_since.get_or_insert(now);
        let held = Duration::try_from(now.duration_since(since)).unwrap_or_default();
        if held >= self.settle {
            return Verdict::Open;
        }
        Verdict::Waiting(vec![format!(
            "healthy, and must stay so for {}s",
            self.settle.as_secs()
        )])
    }
}

/// A unit that has ended and that systemd does not start again.
fn death(sight: &Sight) -> Option<String> {
    let unit = sight.unit.as_ref().ok()?;
    let dead = matches!(unit.active_state.as_str(), "failed" | "inactive")
        && unit.sub_state != "auto-restart";
    dead.then(|| {
        let Unit {
            name,
            active_state,
            sub_state,
            result,
            ..
        } = unit;
        format!(
            "{}: {name} is {active_state} ({sub_state}), its result is {result}",
            sight.host
        )
    })
}

impl Past {
    fn complaints(&mut self, sight: &Sight) -> Vec<String> {
        let unit = match &sight.unit {
            Ok(unit) => unit,
            Err(why) => return vec![format!("its unit cannot be seen: {why}")],
        };
        let mut because: Vec<String> = self.of_unit(unit).into_iter().collect();
        match &sight.node {
            None => {}
            Some(Err(why)) => because.push(why.clone()),
            Some(Ok(node)) => because.extend(self.of_node(unit, node)),
        }
        because
    }

    fn of_unit(&mut self, unit: &Unit) -> Option<String> {
        let process = (unit.invocation.clone(), unit.n_restarts);
        let before = std::mem::replace(&mut self.process, process);
        if unit.active_state != "active" {
            return Some(format!(
                "{} is {} ({})",
                unit.name, unit.active_state, unit.sub_state
            ));
        }
        let again = !before.0.is_empty() && before != self.process;
        if again {
            self.renewed.clear();
        }
        again.then(|| format!("{} was started again while it was watched", unit.name))
    }

    fn of_node(&mut self, unit: &Unit, node: &Node) -> Option<String> {
        let name = &node.name;
        if !node.ready {
            return Some(format!("node {name} is not Ready"));
        }
        let Some(started) = unit.started else {
            return Some(format!("{} has no start time", unit.name));
        };
        let Some(renewed) = node.renewed else {
            return Some(format!("node {name} has no lease"));
        };
        if renewed > started && !self.renewed.contains(&renewed) {
            self.renewed.push(renewed);
        }
        if self.renewed.len() < 2 && renewed.since(started) < RENEWAL * 2 {
            return Some(format!(
                "node {name} has not renewed its lease twice since {} started",
                unit.name
            ));
        }
        let age = unit.now.since(renewed);
        (age > FRESH).then(|| {
            format!(
                "node {name} renewed its lease too long ago (over {}s)",
                FRESH.as_secs()
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn sight(now: i64, renewed: i64) -> Sight {
        Sight {
            host: HostName::new("server-1").unwrap(),
            unit: Ok(Unit {
                name: "k3s.service".into(),
                active_state: "active".into(),
                sub_state: "running".into(),
                result: "success".into(),
                invocation: "i2".into(),
                n_restarts: 0,
                started: Some(HostTime(100 * SECOND)),
                now: HostTime(now * SECOND),
            }),
            node: Some(Ok(Node {
                name: "n1".into(),
                ready: true,
                renewed: Some(HostTime(renewed * SECOND)),
            })),
        }
    }

    fn look(sight: Sight) -> Look {
        Look {
            hosts: vec![sight],
            cluster: vec![],
        }
    }

    fn unit(sight: &mut Sight) -> &mut Unit {
        sight.unit.as_mut().unwrap()
    }

    fn waiting(verdict: Verdict) -> String {
        let Verdict::Waiting(because) = verdict else {
            panic!("{verdict:?}")
        };
        because.join("; ")
    }

    #[test]
    fn opens_after_two_renewals_and_the_settle_time() {
        let mut rule = Rule::new(Duration::from_secs(30));
        assert!(waiting(rule.judge(at(0), &look(sight(105, 104)))).contains("twice"));
        assert!(waiting(rule.judge(at(10), &look(sight(115, 114)))).contains("stay so for 30s"));
        assert!(waiting(rule.judge(at(39), &look(sight(144, 134)))).contains("stay so"));
        assert_eq!(rule.judge(at(40), &look(sight(145, 144))), Verdict::Open);
    }

    #[test]
    fn ready_without_a_heartbeat_newer_than_the_restart_is_not_ready() {
        let mut rule = Rule::new(Duration::ZERO);
        assert!(waiting(rule.judge(at(0), &look(sight(110, 95)))).contains("twice"));
        assert!(waiting(rule.judge(at(50), &look(sight(160, 95)))).contains("twice"));
    }

    #[test]
    fn a_stale_lease_and_a_node_that_is_not_ready_keep_it_closed() {
        let mut rule = Rule::new(Duration::ZERO);
        assert!(waiting(rule.judge(at(0), &look(sight(200, 150)))).contains("too long ago"));
        let mut seen = sight(200, 195);
        seen.node = Some(Ok(Node {
            name: "n1".into(),
            ready: false,
            renewed: None,
        }));
        assert!(waiting(rule.judge(at(1), &look(seen))).contains("not Ready"));
        assert_eq!(rule.judge(at(2), &look(sight(200, 195))), Verdict::Open);
    }

    #[test]
    fn a_restart_while_watched_begins_the_settle_time_anew() {
        let mut rule = Rule::new(Duration::from_secs(30));
        rule.judge(at(0), &look(sight(150, 145)));
        let mut again = sight(165, 160);
        unit(&mut again).n_restarts = 1;
        assert!(waiting(rule.judge(at(15), &look(again.clone()))).contains("started again"));
        assert!(waiting(rule.judge(at(31), &look(again.clone()))).contains("stay so"));
        assert_eq!(rule.judge(at(61), &look(again)), Verdict::Open);
    }

    #[test]
    fn a_dead_unit_closes_it_at_once_and_one_that_systemd_starts_again_does_not() {
        for (active, sub, closed) in [
            ("failed", "failed", true),
            ("inactive", "dead", true),
            ("activating", "auto-restart", false),
        ] {
            let mut seen = sight(150, 145);
            unit(&mut seen).active_state = active.into();
            unit(&mut seen).sub_state = sub.into();
            let verdict = Rule::new(Duration::ZERO).judge(at(0), &look(seen));
            assert_eq!(
                matches!(verdict, Verdict::Closed(_)),
                closed,
                "{active}: {verdict:?}"
            );
        }
    }

    #[test]
    fn what_cannot_be_seen_and_sick_etcd_are_not_yet() {
        let mut rule = Rule::new(Duration::ZERO);
        let mut blind = sight(150, 145);
        blind.unit = Err("refused".into());
        assert!(waiting(rule.judge(at(0), &look(blind))).contains("cannot be seen: refused"));
        let mut sick = look(sight(150, 145));
        sick.cluster.push("etcd has no leader".into());
        assert!(waiting(rule.judge(at(1), &sick)).contains("no leader"));
    }
}
