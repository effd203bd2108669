//! A server takes the agent token that it is configured with.
//!
//! K3s saves what such a start writes to the datastore only with a rotate: until then every later start is fatal
//! (measured: sqlite-agent-token, ha-agent-token). So the first server is rotated to the *same* server token right after
//! its restart; the others then take what was saved (measured: ha-agent-token-put-early).

use std::time::Duration;

use super::restart_of_server;
use crate::facts::Probe;
use crate::k3s::phase::{Phase, Standing};
use crate::k3s::token::TokenKind;
use crate::k3s::unsaved::Mark;
use crate::op::Op;
use crate::steps::k3s_heal::{common, save, unfinished};
use crate::steps::look::{Cluster, Seen, ServerSeen, words};
use crate::steps::{Proposal, StepError, Unmet};

/// What the time is called in which a second restart would be fatal.
const WINDOW: &str = "unsaved window";

pub(super) async fn take(
    probe: &Probe<'_>,
    seen: &Seen,
    cluster: &Cluster,
    standing: &Standing,
    timeout: Duration,
) -> Result<Proposal, StepError> {
    let of_servers = Cluster::now(probe, TokenKind::Server).await;
    let server_standing = match of_servers.standing()? {
        Ok(standing) => standing,
        Err(unmet) => return Ok(Proposal::refuse(unmet)),
    };
    let server = of_servers.server(&seen.host);
    let Some(server) = server.filter(|server| server.seen.unit.is_active()) else {
        return Ok(Proposal::refuse(vec![down(seen)]));
    };
    let Some(token) = common(server, server_standing) else {
        return Ok(Proposal::refuse(vec![unfinished(server)]));
    };
    let mut ops = restart_of_server(seen, timeout, token);
    let has_new = |(_, phase): &(_, Phase)| *phase == Phase::New;
    if !standing.phases.iter().any(has_new) {
        ops.extend(save(seen, token, Mark::OfThen));
        ops = joined(ops);
    }
    Ok(Proposal {
        ops,
        unmet: not_configured(cluster, standing),
        ..Proposal::default()
    })
}

/// All but the restart belong to what is before them.
fn joined(ops: Vec<Op>) -> Vec<Op> {
    let mut ops = ops.into_iter();
    let restart = ops.next();
    let rest = ops.map(|op| op.at_once(WINDOW));
    restart.into_iter().chain(rest).collect()
}

fn down(seen: &Seen) -> Unmet {
    let host = &seen.host;
    Unmet::new(
        "unit-not-active",
        format!("{} on {host} is {}", seen.unit.text.id, seen.unit.words()),
        format!("restart no other server; first: keyroll rescue {host} -i INVENTORY"),
    )
}

/// A server that started with OLD after another one has saved NEW would not start again: all are configured first.
fn not_configured(cluster: &Cluster, standing: &Standing) -> Vec<Unmet> {
    let behind = |server: &&ServerSeen| server.seen.surface() != Some(&standing.new);
    let unmet = |server: &ServerSeen| {
        let host = &server.seen.host;
        Unmet::new(
            "agent-token-not-active",
            format!(
                "{host} is not configured with the new agent token yet ({})",
                words(standing.phase(host))
            ),
            "let `k3s_token: { kind: agent, state: active }` come first on every server",
        )
    };
    cluster.servers.iter().filter(behind).map(unmet).collect()
}
