//! The datastore is asked which token it has: a server is told to rotate to a token that it may have already.
//!
//! A rotate to the very token that a server has changes nothing, and is answered well when the datastore has that token
//! (measured: sqlite-agent-token-cure), and with 500 when it has not (measured: v1.32.4-sqlite; k3s: cluster.Save finds no
//! key of that token). A server whose etcd is not well is not asked: without a quorum the answer is 500, too, and says
//! nothing of a token.

use super::StepError;
use super::k3s_token::put;
use super::look::{Asked, Cluster, Seen, ServerSeen};
use crate::facts::Probe;
use crate::k3s::token::tag;
use crate::op::{Act, Op};
use crate::secret::Secret;

/// Runs what it is given and leaves the datastore's answer in a file: with the word `yes`, or with `no` when it was 500.
/// Anything else is a failure of its own.
const ASK: &str = r#"file=$1; words=$2; shift 2; umask 077
if said=$("$@" 2>&1); then word=yes
else case $said in *"token error ID"*) word=no ;; *) printf '%s\n' "$said" >&2; exit 1 ;; esac
fi
mkdir -p "${file%/*}" && printf '%s %s\n' "$words" "$word" >"$file.new" && mv -f "$file.new" "$file""#;

/// The datastore's answer in this run.
pub(super) fn answer(probe: &Probe<'_>, cluster: &Cluster) -> Option<Asked> {
    let run = &probe.options().run;
    let mut all = cluster.servers.iter().filter_map(|it| it.seen.asked());
    all.find(|asked| asked.run == *run)
}

/// Asks whether the datastore has the token of the first server that can be told to rotate; `None` when there is none.
pub(super) async fn ask(probe: &Probe<'_>, cluster: &Cluster) -> Result<Option<Op>, StepError> {
    let why =
        "ask the datastore whether it has the token of this server: a rotate to the same token";
    let able = able(probe, cluster).await?;
    Ok(able.map(|(server, held)| question(probe, &server.seen, (held, held), why)))
}

/// The first server whose files agree with its memory, and whose etcd is well, with the token that it has.
pub(super) async fn able<'a>(
    probe: &Probe<'_>,
    cluster: &'a Cluster,
) -> Result<Option<(&'a ServerSeen, &'a Secret)>, StepError> {
    for server in &cluster.servers {
        let Some(held) = alike(server) else {
            continue;
        };
        if cluster.is_well(probe, server).await? {
            return Ok(Some((server, held)));
        }
    }
    Ok(None)
}

/// The token of a running server whose files agree with its memory.
fn alike(server: &ServerSeen) -> Option<&Secret> {
    let (held, seen) = (server.memory.secret()?, &server.seen);
    let files = [seen.on_disk(), seen.passwd().server];
    let is_alike = files.iter().all(|file| file.as_ref() == Some(held));
    (is_alike && seen.unit.is_active()).then_some(held)
}

/// A rotate by a server that holds the first of two tokens, to the second.
pub(super) fn question(
    probe: &Probe<'_>,
    seen: &Seen,
    (held, to): (&Secret, &Secret),
    why: &str,
) -> Op {
    let mut command = put(&seen.door(), held, to);
    let words = format!("{} {}", probe.options().run.0, tag(to));
    let script = ["sh", "-c", ASK, "sh", seen.asked_path().as_str(), &words].map(str::to_owned);
    command.argv = script.into_iter().chain(command.argv).collect();
    let act = Act::Run {
        command,
        leaves: Vec::new(),
    };
    Op::root(&seen.host, why, act)
}
