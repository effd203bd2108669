//! `k3s_proven_at`: notes in the cluster when its server token was proven, as an annotation of the namespace
//! `kube-system`. It outlives the servers, and tells nothing of the token.

use serde::Deserialize;

use super::look::{Cluster, aged};
use super::{Proposal, StepError, Unmet};
use crate::facts::Probe;
use crate::k3s::age::{ANNOTATION, parse_stamp, stamp};
use crate::k3s::token::TokenKind;
use crate::op::{Act, Op};

/// `k3s_proven_at`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct K3sProvenAt {}

impl K3sProvenAt {
    pub(super) async fn propose(&self, probe: &Probe<'_>) -> Result<Proposal, StepError> {
        let cluster = Cluster::around(probe, TokenKind::Server).await;
        if let Err(unmet) = cluster.standing()? {
            return Ok(Proposal::refuse(unmet));
        }
        let aged = aged(probe, &cluster).await;
        let Some(proven) = aged.traces.proven else {
            return Ok(Proposal::refuse(vec![unproven()]));
        };
        let Some(server) = cluster.servers.iter().find(|it| it.has_live_api()) else {
            return Ok(Proposal::refuse(vec![no_api()]));
        };
        let stamp = stamp(proven);
        if aged.traces.noted.is_some() && aged.traces.noted == parse_stamp(&stamp) {
            return Ok(Proposal::default());
        }
        let pair = format!("{ANNOTATION}={stamp}");
        let words = ["annotate", "--overwrite", "namespace", "kube-system", &pair];
        let act = Act::Run {
            command: server.seen.admin().kubectl(&words),
            leaves: Vec::new(),
        };
        let why = format!("note in the cluster that its token was proven at {stamp}");
        Ok(Proposal {
            ops: vec![Op::root(&server.seen.host, why, act)],
            ..Proposal::default()
        })
    }
}

fn unproven() -> Unmet {
    Unmet::new(
        "not-proven",
        "no server has the word of a proof of the token that it runs with",
        "let the rotation end with its proof first",
    )
}

fn no_api() -> Unmet {
    Unmet::new(
        "no-api",
        "no server with an API server is running",
        "see why, with `systemctl status k3s` on a server",
    )
}
