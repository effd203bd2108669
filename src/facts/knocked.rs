//! What a supervisor says to a secret.

use super::{Fact, FactError, ran};
use crate::k3s::knock::{Heard, Knock};
use crate::wire::{Command, Query, Response};

/// Tries secrets at a supervisor, in one round trip. Answers come in the same order.
#[derive(Debug, Clone)]
pub struct Knocked(pub Vec<Knock>);

impl Fact for Knocked {
    type Value = Vec<Heard>;

    fn queries(&self) -> Vec<Query> {
        self.0
            .iter()
            .map(|knock| Query::Run(command(knock)))
            .collect()
    }

    fn parse(&self, responses: &[Response]) -> Result<Vec<Heard>, FactError> {
        let hear = |(at, knock): (usize, &Knock)| {
            let ran = ran(responses, at, "the supervisor's answer")?;
            Ok(knock.heard(ran.status, &ran.stdout.text(), &ran.stderr.text()))
        };
        self.0.iter().enumerate().map(hear).collect()
    }
}

fn command(knock: &Knock) -> Command {
    let words = [
        "--kubeconfig=/dev/stdin",
        "--request-timeout=10s",
        "get",
        "--raw",
        knock.role.path(),
    ];
    Command::new(knock.door.k3s.kubectl(words))
        .directly()
        .stdin(knock.door.kubeconfig(knock.role, &knock.secret))
        .within(std::time::Duration::from_secs(20))
}
