//! The health of an embedded etcd member, from its own metrics port, without credentials.

use camino::Utf8PathBuf;

use serde::Deserialize;

use super::{Fact, FactError, ran, said, unreadable};
use crate::k3s::knock::{Door, Role};
use crate::secret::Secret;
use crate::wire::{Command, Query, Response};

/// Asks `http://127.0.0.1:2381` on the host itself.
#[derive(Debug, Clone)]
pub struct EtcdMember {
    /// The k3s binary.
    pub k3s: Utf8PathBuf,
}

/// What a member says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Member {
    /// `/health` answered true.
    pub healthy: bool,
    /// It sees a leader.
    pub has_leader: bool,
    /// It does not vote yet.
    pub is_learner: bool,
    /// `etcd_debugging_mvcc_current_revision`.
    pub revision: Option<u64>,
    /// What it said instead, when it is not well.
    pub said: String,
}

impl Member {
    /// Whether it votes and sees a leader.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.healthy && self.has_leader && !self.is_learner
    }

    /// What is wrong with it.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self {
                healthy: false,
                said,
                ..
            } => format!("its health answers {said:?}"),
            Self {
                has_leader: false, ..
            } => "it sees no leader".to_owned(),
            Self {
                is_learner: true, ..
            } => "it does not vote yet".to_owned(),
            _ => "it is well".to_owned(),
        }
    }
}

impl Fact for EtcdMember {
    type Value = Member;

    fn queries(&self) -> Vec<Query> {
        let get = |path: &str| {
            let server = "--server=http://127.0.0.1:2381";
            let argv = [
                self.k3s.as_str(),
                "kubectl",
                "--kubeconfig=/dev/null",
                server,
                "get",
                "--raw",
                path,
            ];
            Query::Run(Command::new(argv).within(std::time::Duration::from_secs(15)))
        };
        vec![get("/health"), get("/metrics")]
    }

    fn parse(&self, responses: &[Response]) -> Result<Member, FactError> {
        let (health, metrics) = (
            ran(responses, 0, "etcd's health")?,
            ran(responses, 1, "etcd's metrics")?,
        );
        let text = metrics.stdout.text();
        let value = |name: &str| {
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.and_then(|number| number.trim().parse::<f64>().ok())
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a revision is a positive whole number"
        )]
        let revision = value("etcd_debugging_mvcc_current_revision").map(|number| number as u64);
        Ok(Member {
            healthy: health.status == 0 && health.stdout.text().contains("\"health\":\"true\""),
            has_leader: value("etcd_server_has_leader") == Some(1.0),
            is_learner: value("etcd_server_is_learner") == Some(1.0),
            revision,
            said: format!(
                "{}{}",
                health.stdout.text().trim(),
                health.stderr.text().trim()
            ),
        })
    }
}

/// Names of etcd's members, `<node>-<8 hex>`, as a server tells them to joining ones.
#[derive(Debug, Clone)]
pub struct EtcdMembers {
    /// A server with embedded etcd.
    pub door: Door,
    /// Its server token.
    pub secret: Secret,
}

#[derive(Deserialize)]
struct Members {
    #[serde(default)]
    members: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    /// Empty while the member has not started yet.
    #[serde(default)]
    name: String,
}

impl Fact for EtcdMembers {
    type Value = Vec<String>;

    fn queries(&self) -> Vec<Query> {
        let words = [
            self.door.k3s.as_str(),
            "kubectl",
            "--kubeconfig=/dev/stdin",
            "--request-timeout=10s",
            "get",
            "--raw",
            "/db/info",
        ];
        vec![Query::Run(
            Command::new(words)
                .stdin(self.door.kubeconfig(Role::Server, &self.secret))
                .within(std::time::Duration::from_secs(20)),
        )]
    }

    fn parse(&self, responses: &[Response]) -> Result<Vec<String>, FactError> {
        const WHAT: &str = "the list of etcd's members";
        let ran = ran(responses, 0, WHAT)?;
        if ran.status != 0 {
            return Err(unreadable(WHAT, said(ran)));
        }
        let read: Members = serde_json::from_str(&ran.stdout.text())
            .map_err(|error| unreadable(WHAT, error.to_string()))?;
        let names: Vec<String> = read.members.into_iter().map(|member| member.name).collect();
        if names.is_empty() {
            Err(unreadable(WHAT, "it is empty"))
        } else {
            Ok(names)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Ran;

    fn member(status: i32, health: &str, metrics: &str) -> Member {
        let ran = |text: &str| {
            Response::Ran(Ran {
                status,
                stdout: text.into(),
                stderr: "".into(),
                timed_out: false,
            })
        };
        EtcdMember { k3s: "k3s".into() }
            .parse(&[ran(health), ran(metrics)])
            .unwrap()
    }

    #[test]
    fn a_recorded_member_is_well() {
        // As recorded in ha-rollback-restart, with the help lines that surround the values.
        let metrics = "# TYPE etcd_server_has_leader gauge\netcd_debugging_mvcc_current_revision 514\netcd_server_has_leader 1\netcd_server_is_leader 1\netcd_server_is_learner 0\n";
        let seen = member(0, "{\"health\":\"true\",\"reason\":\"\"}", metrics);
        assert!(seen.is_well());
        assert_eq!(seen.revision, Some(514));
        assert_eq!(
            member(
                0,
                "{\"health\":\"true\"}",
                "etcd_debugging_mvcc_current_revision 1.2345678e+07\n"
            )
            .revision,
            Some(12_345_678)
        );
    }

    #[test]
    fn no_leader_no_answer_and_a_learner_are_not_well() {
        assert!(!member(0, "{\"health\":\"false\"}", "etcd_server_has_leader 0\n").is_well());
        assert!(!member(1, "", "").is_well());
        assert!(
            !member(
                0,
                "{\"health\":\"true\"}",
                "etcd_server_has_leader 1\netcd_server_is_learner 1\n"
            )
            .is_well()
        );
    }
}
