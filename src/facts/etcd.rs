//! The health of an embedded etcd member, from its own metrics port, without credentials.

use std::time::Duration;

use serde::Deserialize;

use super::{Fact, FactError, ran, succeeded, unreadable};
use crate::k3s::knock::{Door, Role};
use crate::k3s::program::Program;
use crate::secret::Secret;
use crate::wire::{Command, Query, Ran, Response};

/// How long a member may take. Its metrics are those of all of K3s: on a large cluster and a small board that is seconds.
const WITHIN: Duration = Duration::from_secs(30);

/// Lets the gauges through that count, on the host: the whole page has megabytes.
const GAUGES: &str = "\"$@\" | grep -e '^etcd_server_has_leader ' -e '^etcd_server_is_learner ' \
-e '^etcd_debugging_mvcc_current_revision '";

/// Asks a member's plain-text port on the host itself.
#[derive(Debug, Clone)]
pub struct EtcdMember {
    /// The k3s binary.
    pub k3s: Program,
    /// Where the port may be, such as `http://127.0.0.1:2381`: the first that listens is asked.
    pub urls: Vec<String>,
}

/// What a member says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Member {
    /// `/health` answered true.
    pub healthy: bool,
    /// Whether it sees a leader; `None` when it did not tell.
    pub has_leader: Option<bool>,
    /// Whether it does not vote yet; `None` when it did not tell.
    pub is_learner: Option<bool>,
    /// `etcd_debugging_mvcc_current_revision`.
    pub revision: Option<u64>,
    /// What it said instead, when it is not well.
    pub said: String,
}

impl Member {
    /// Whether it votes and sees a leader. What it did not tell counts as not well, and [`Member::words`] says so.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.healthy && self.has_leader == Some(true) && self.is_learner != Some(true)
    }

    /// What is wrong with it.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self {
                healthy: false,
                said,
                ..
            } => format!("it is not healthy: {said}"),
            Self {
                has_leader: None,
                said,
                ..
            } => format!("whether it sees a leader is not known: {said}"),
            Self {
                has_leader: Some(false),
                ..
            } => "it sees no leader".to_owned(),
            Self {
                is_learner: Some(true),
                ..
            } => "it does not vote yet".to_owned(),
            _ => "it is well".to_owned(),
        }
    }
}

impl EtcdMember {
    fn ask(&self, url: &str) -> [Query; 2] {
        let get = |path| {
            let server = format!("--server={url}");
            let words = ["--kubeconfig=/dev/null", &server, "get", "--raw", path];
            self.k3s.kubectl(words)
        };
        let sh = ["sh", "-c", GAUGES, "sh"].map(str::to_owned);
        let health = Command::new(get("/health"));
        let metrics = Command::new(sh.into_iter().chain(get("/metrics")));
        [health, metrics].map(|command| Query::Run(command.directly().within(WITHIN)))
    }
}

impl Fact for EtcdMember {
    type Value = Member;

    fn queries(&self) -> Vec<Query> {
        self.urls.iter().flat_map(|url| self.ask(url)).collect()
    }

    fn parse(&self, responses: &[Response]) -> Result<Member, FactError> {
        let mut pairs = Vec::new();
        for at in (0..responses.len().max(2)).step_by(2) {
            let health = ran(responses, at, "etcd's health")?;
            pairs.push((health, ran(responses, at + 1, "etcd's metrics")?));
        }
        let listens = |(health, _): &&(&Ran, &Ran)| !health.stderr.text().contains("refused");
        let heard = pairs.iter().find(listens).or(pairs.first());
        let (health, metrics) =
            heard.ok_or_else(|| unreadable("etcd's health", "nobody was asked"))?;
        Ok(member(health, metrics))
    }
}

fn member(health: &Ran, metrics: &Ran) -> Member {
    let text = metrics.stdout.text();
    let value = |name: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        // What was cut by the deadline is not read.
        let line = line.filter(|_| !metrics.timed_out);
        line.and_then(|number| number.trim().parse::<f64>().ok())
    };
    let gauge = |name: &str| value(name).map(|number| number > 0.5);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a revision is a positive whole number"
    )]
    let revision = value("etcd_debugging_mvcc_current_revision").map(|number| number as u64);
    let healthy = health.status == 0 && health.stdout.text().contains("\"health\":\"true\"");
    let silent = if healthy { metrics } else { health };
    let words = |ran: &Ran| format!("{}{}", ran.stdout.text().trim(), ran.stderr.text().trim());
    Member {
        healthy,
        has_leader: gauge("etcd_server_has_leader"),
        is_learner: gauge("etcd_server_is_learner"),
        revision,
        said: if silent.timed_out {
            format!("it did not answer within {} s", WITHIN.as_secs())
        } else {
            words(silent)
        },
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
            "--kubeconfig=/dev/stdin",
            "--request-timeout=10s",
            "get",
            "--raw",
            "/db/info",
        ];
        vec![Query::Run(
            Command::new(self.door.k3s.kubectl(words))
                .directly()
                .stdin(self.door.kubeconfig(Role::Server, &self.secret))
                .within(std::time::Duration::from_secs(20)),
        )]
    }

    fn parse(&self, responses: &[Response]) -> Result<Vec<String>, FactError> {
        const WHAT: &str = "the list of etcd's members";
        let ran = succeeded(responses, 0, WHAT)?;
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
    use crate::facts::answer;

    const WELL: &str = "{\"health\":\"true\",\"reason\":\"\"}";
    const REFUSED: &str = "The connection to the server 127.0.0.1:2381 was refused - did you specify the right host or port?";

    fn fact(urls: &[&str]) -> EtcdMember {
        EtcdMember {
            k3s: "k3s".into(),
            urls: urls.iter().map(|url| (*url).to_owned()).collect(),
        }
    }

    fn member(status: i32, health: &str, metrics: &str) -> Member {
        fact(&["http://127.0.0.1:2381"])
            .parse(&[answer(status, health, ""), answer(status, metrics, "")])
            .unwrap()
    }

    #[test]
    fn a_recorded_member_is_well() {
        // As recorded in ha-rollback-restart, with the help lines that surround the values.
        let metrics = "# TYPE etcd_server_has_leader gauge\netcd_debugging_mvcc_current_revision 514\netcd_server_has_leader 1\netcd_server_is_leader 1\netcd_server_is_learner 0\n";
        let seen = member(0, WELL, metrics);
        assert!(seen.is_well());
        assert_eq!(seen.revision, Some(514));
        let seen = member(
            0,
            WELL,
            "etcd_debugging_mvcc_current_revision 1.2345678e+07\n",
        );
        assert_eq!(seen.revision, Some(12_345_678));
    }

    #[test]
    fn no_leader_no_answer_and_a_learner_are_not_well() {
        assert!(!member(0, "{\"health\":\"false\"}", "etcd_server_has_leader 0\n").is_well());
        assert!(!member(1, "", "").is_well());
        let learner = "etcd_server_has_leader 1\netcd_server_is_learner 1\n";
        assert_eq!(member(0, WELL, learner).words(), "it does not vote yet");
        assert_eq!(
            member(0, WELL, "etcd_server_has_leader 0\n").words(),
            "it sees no leader"
        );
    }

    #[test]
    fn a_leader_that_was_not_told_of_in_time_is_not_known() {
        let cut = [
            answer(0, WELL, ""),
            answer(124, "etcd_server_has_leader 0\n", ""),
        ];
        let seen = fact(&["http://127.0.0.1:2381"]).parse(&cut).unwrap();
        assert_eq!((seen.is_well(), seen.has_leader), (false, None));
        assert_eq!(
            seen.words(),
            "whether it sees a leader is not known: it did not answer within 30 s"
        );
        let silent = [answer(124, "", ""), answer(124, "", "")];
        let seen = fact(&["http://127.0.0.1:2381"]).parse(&silent).unwrap();
        assert_eq!(
            seen.words(),
            "it is not healthy: it did not answer within 30 s"
        );
    }

    #[test]
    fn the_page_is_filtered_on_the_host_and_every_address_is_asked() {
        let queries = fact(&["http://[::1]:2381", "http://127.0.0.1:2381"]).queries();
        let argv = |query: &Query| match query {
            Query::Run(command) => command.argv.join(" "),
            other => panic!("{other:?}"),
        };
        assert!(
            argv(&queries[1]).starts_with("sh -c \"$@\" | grep -e '^etcd_server_has_leader ' ")
        );
        assert!(argv(&queries[1]).ends_with("--server=http://[::1]:2381 get --raw /metrics"));
        assert!(argv(&queries[2]).ends_with("--server=http://127.0.0.1:2381 get --raw /health"));
    }

    #[test]
    fn the_address_that_listens_counts() {
        let gauges = "etcd_server_has_leader 1\n";
        let both = fact(&["http://[::1]:2381", "http://127.0.0.1:2381"]);
        let refused = || [answer(1, "", REFUSED), answer(1, "", REFUSED)];
        let well = || [answer(0, WELL, ""), answer(0, gauges, "")];
        let seen = |answers: [[Response; 2]; 2]| both.parse(&answers.concat()).unwrap();
        assert!(seen([refused(), well()]).is_well());
        assert!(seen([well(), refused()]).is_well());
        assert!(seen([refused(), refused()]).words().contains("was refused"));
    }
}
