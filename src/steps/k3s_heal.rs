//! `k3s_heal`: saves to the datastore what servers were started with, where their next restart would be fatal.
//!
//! A PUT of the *same* server token does it while the server runs; every later restart is then fine (measured:
//! sqlite-agent-token-cure, ha-agent-token). One is enough for all when it is sent to the server with the latest passwd.

use serde::Deserialize;

use super::k3s_token::put;
use super::look::{Cluster, Seen, ServerSeen};
use super::{Proposal, StepError, Unmet};
use crate::facts::Probe;
use crate::k3s::phase::{Standing, names};
use crate::k3s::token::TokenKind;
use crate::k3s::unsaved::Mark;
use crate::op::{Act, Op};
use crate::secret::{Content, Secret};
use crate::wire::WriteFile;

/// `k3s_heal`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct K3sHeal {}

impl K3sHeal {
    pub(super) async fn propose(&self, probe: &Probe<'_>) -> Result<Proposal, StepError> {
        let cluster = Cluster::now(probe, TokenKind::Server).await;
        let found = cluster.unsaved();
        let Some((server, passwd)) = found.first() else {
            return Ok(Proposal::default());
        };
        let standing = match &cluster.standing {
            Ok(standing) => standing,
            Err(torn) => return Ok(Proposal::refuse(vec![Unmet::of_torn(torn)])),
        };
        let Some(secret) = common(server, standing) else {
            return Ok(Proposal::refuse(vec![unfinished(server)]));
        };
        let hosts = found.iter().map(|(server, _)| &server.seen.host);
        let note = format!(
            "the next restart of {} would be fatal: what its last start wrote is saved to the datastore",
            names(hosts)
        );
        Ok(Proposal {
            ops: save(&server.seen, secret, Mark::Of(*passwd)),
            notes: vec![note],
            ..Proposal::default()
        })
    }
}

/// The server token, when surface, memory, files and datastore all have the same.
pub(super) fn common<'a>(server: &ServerSeen, standing: &'a Standing) -> Option<&'a Secret> {
    let secret = &standing.datastore;
    let seen = &server.seen;
    let is_same = server.memory.secret() == Some(secret)
        && seen.surface() == Some(secret)
        && seen.on_disk().as_ref() == Some(secret)
        && seen.passwd().server.as_ref() == Some(secret);
    is_same.then_some(secret)
}

pub(super) fn unfinished(server: &ServerSeen) -> Unmet {
    let host = &server.seen.host;
    Unmet::new(
        "not-one-token",
        format!(
            "{host} does not have one and the same token in its configuration, its files, its memory and the datastore"
        ),
        "finish the rotation first: `keyroll run @rotate-token` on this inventory saves it too; restart no server before",
    )
}

/// The PUT, and the word that it was answered well: without a change of a row K3s leaves passwd's time as it is.
pub(super) fn save(seen: &Seen, secret: &Secret, mark: Mark) -> Vec<Op> {
    let host = &seen.host;
    let act = Act::Run {
        command: put(&seen.door(), secret, secret),
        leaves: Vec::new(),
    };
    let word = WriteFile::private(seen.saved_path(), Content::new(mark.text()));
    vec![
        Op::root(
            host,
            "save passwd to the datastore: rotate to the same server token",
            act,
        ),
        Op::root(
            host,
            "leave word of which passwd was saved",
            Act::WriteFile(word),
        ),
    ]
}
