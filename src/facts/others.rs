//! Who else works on the cluster: workloads that reboot or replace nodes, and plans of upgrades.

use jiff::Timestamp;
use serde::Deserialize;

use super::{Admin, Fact, FactError, ran, succeeded, unreadable};
use crate::k3s::others::{PLANS, WORKLOADS};
use crate::wire::{Query, Response};

/// `DaemonSets` and `Deployments`.
#[derive(Debug, Clone)]
pub struct Workloads(pub Admin);

/// A workload, as far as keyroll looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// `DaemonSet` or `Deployment`.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Who holds kured's lock; nobody where there is none.
    pub holds: Vec<Hold>,
}

/// One hold of kured's lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The node that reboots, or whatever a person wrote there; empty when it cannot be read.
    pub node: String,
    /// When it ends by itself.
    pub until: Option<Timestamp>,
}

/// Plans of system-upgrade-controller; none where nobody installed it.
#[derive(Debug, Clone)]
pub struct Plans(pub Admin);

/// A plan of upgrades.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// `namespace/name`.
    pub name: String,
    /// Nodes that it is applied to now.
    pub applying: Vec<String>,
}

/// Lines of fields between tabs.
pub(super) fn table<'a, const N: usize>(
    text: &'a str,
    what: &str,
) -> Result<Vec<[&'a str; N]>, FactError> {
    let row = |line: &'a str| {
        let fields: Vec<&str> = line.split('\t').collect();
        let odd = || unreadable(what, "a line has other fields than were asked for");
        <[&str; N]>::try_from(fields).map_err(|_| odd())
    };
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(row).collect()
}

impl Fact for Workloads {
    type Value = Vec<Workload>;

    fn queries(&self) -> Vec<Query> {
        self.0.ask(&WORKLOADS)
    }

    fn parse(&self, responses: &[Response]) -> Result<Vec<Workload>, FactError> {
        const WHAT: &str = "the list of workloads";
        let text = succeeded(responses, 0, WHAT)?.stdout.text();
        let rows = table(&text, WHAT)?.into_iter();
        let read = |[kind, namespace, name, lock]: [&str; 4]| Workload {
            kind: kind.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            holds: holds(lock),
        };
        Ok(rows.map(read).collect())
    }
}

#[derive(Deserialize)]
struct Lock {
    #[serde(rename = "nodeID", default)]
    node: String,
    #[serde(default)]
    created: Option<Timestamp>,
    /// Nanoseconds; 0 for ever.
    #[serde(rename = "TTL", default)]
    ttl: i64,
}

#[derive(Deserialize)]
struct Locks {
    locks: Vec<Lock>,
}

/// kured keeps one lock, or several where it is told to let several nodes reboot at once.
fn holds(text: &str) -> Vec<Hold> {
    if text.is_empty() {
        return Vec::new();
    }
    let locks = match serde_json::from_str::<Locks>(text) {
        Ok(several) => several.locks,
        Err(_) => serde_json::from_str::<Lock>(text).into_iter().collect(),
    };
    if locks.is_empty() && !text.contains("\"locks\"") {
        let node = String::new();
        return vec![Hold { node, until: None }];
    }
    let hold = |lock: Lock| {
        let lasts = (lock.ttl > 0).then(|| jiff::SignedDuration::from_nanos(lock.ttl));
        let until = lasts.zip(lock.created);
        Hold {
            node: lock.node,
            until: until.and_then(|(lasts, created)| created.checked_add(lasts).ok()),
        }
    };
    locks.into_iter().map(hold).collect()
}

impl Fact for Plans {
    type Value = Vec<Plan>;

    fn queries(&self) -> Vec<Query> {
        self.0.ask(&PLANS)
    }

    fn parse(&self, responses: &[Response]) -> Result<Vec<Plan>, FactError> {
        const WHAT: &str = "the list of upgrade plans";
        let ran = ran(responses, 0, WHAT)?;
        if ran.status != 0 && ran.stderr.text().contains("doesn't have a resource type") {
            return Ok(Vec::new());
        }
        let text = succeeded(responses, 0, WHAT)?.stdout.text();
        let read = |[namespace, name, applying]: [&str; 3]| {
            let nodes = match applying {
                "" => Vec::new(),
                list => serde_json::from_str(list)
                    .map_err(|error| unreadable(WHAT, error.to_string()))?,
            };
            Ok(Plan {
                name: format!("{namespace}/{name}"),
                applying: nodes,
            })
        };
        table(&text, WHAT)?.into_iter().map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::answer;

    #[test]
    fn a_lock_is_read_whatever_kured_or_a_person_wrote() {
        let node = |text: &str| {
            let nodes = holds(text).into_iter().map(|hold| hold.node);
            nodes.collect::<Vec<_>>()
        };
        assert_eq!(node(""), [""; 0]);
        assert_eq!(node(r#"{"nodeID":"manual"}"#), ["manual"]);
        assert_eq!(node("whatever"), [""]);
        assert_eq!(node(r#"{"maxOwners":2,"locks":[]}"#), [""; 0]);
        let two = r#"{"maxOwners":2,"locks":[{"nodeID":"a"},{"nodeID":"b"}]}"#;
        assert_eq!(node(two), ["a", "b"]);
        let ends = r#"{"nodeID":"a","created":"2026-11-22T04:00:00Z","TTL":1800000000000}"#;
        let until = holds(ends)[0].until.unwrap();
        assert_eq!(until.to_string(), "2026-11-22T04:30:00Z");
    }

    #[test]
    fn a_cluster_without_plans_has_none_and_a_refusal_is_no_answer() {
        let plans = Plans(Admin::of_a_server());
        let none = "error: the server doesn't have a resource type \"plans\"";
        assert_eq!(plans.parse(&[answer(1, "", none)]).unwrap(), []);
        let two = "system-upgrade\tserver\t[\"s1\",\"s2\"]\nsystem-upgrade\tagent\t\n";
        let found = plans.parse(&[answer(0, two, "")]).unwrap();
        assert_eq!(found[0].name, "system-upgrade/server");
        assert_eq!((found[0].applying.len(), found[1].applying.len()), (2, 0));
        let refused = "Error from server (Forbidden): plans is forbidden";
        assert!(plans.parse(&[answer(1, "", refused)]).is_err());
        assert!(plans.parse(&[answer(0, "something else\n", "")]).is_err());
    }
}
