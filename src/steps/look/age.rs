//! How old the server token is.

use super::api::ask_api;
use super::passwd::PASSWD;
use super::{Cluster, Seen, ServerSeen};
use crate::facts::{Annotation, Probe};
use crate::k3s::age::{ANNOTATION, Traces, parse_stamp};
use crate::k3s::token;
use crate::model::HostTime;

/// What tells how old the server token is.
#[derive(Debug, Clone)]
pub struct Aged {
    /// Times.
    pub traces: Traces,
    /// Why the annotation is not known; `None` when it was looked up, whether there is one or not.
    pub unasked: Option<String>,
}

/// Looks for everything that tells how old the server token is.
pub async fn aged(probe: &Probe<'_>, cluster: &Cluster) -> Aged {
    let annotation = |seen: &Seen| Annotation {
        admin: seen.admin(),
        key: ANNOTATION,
    };
    let what = "the namespace kube-system";
    let noted = ask_api(probe, &cluster.servers, what, annotation).await;
    let passwd = |server: &ServerSeen| {
        let seen = &server.seen;
        seen.written(&seen.install.data(PASSWD))
    };
    Aged {
        traces: Traces {
            proven: proven(cluster),
            passwd: cluster.servers.iter().filter_map(passwd).max(),
            noted: noted
                .as_ref()
                .ok()
                .and_then(|text| parse_stamp(text.as_deref()?)),
        },
        unasked: noted.err().map(|error| error.to_string()),
    }
}

impl Cluster {
    /// Whether a server has the word of a proof of the token that is in use.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        proven(self).is_some()
    }
}

/// When a proof of the token that the datastore has left its word.
fn proven(cluster: &Cluster) -> Option<HostTime> {
    let tag = token::tag(&cluster.standing.as_ref().ok()?.datastore);
    let at = |server: &ServerSeen| {
        let seen = &server.seen;
        let is_of_it = seen.proven().is_some_and(|proven| proven.tag == tag);
        seen.written(&seen.proven_path()).filter(|_| is_of_it)
    };
    cluster.servers.iter().filter_map(at).max()
}
