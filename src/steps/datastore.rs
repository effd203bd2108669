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

/// Runs what it is given and leaves the datastore's answer in a file, where one is named: with the word `yes`, or with `no`
/// when it was 500 and K3s's journal says beside the same number that the datastore has another token. Anything else is a failure
/// of its own: a datastore that is away is answered with 500 as well, and one that has several has saved nothing.
const ASK: &str = include_str!("ask.sh");

/// Lets K3s put the files of a server right that have not the token of its process: a rotate to that token writes it there,
/// whatever it is answered. What was written is saved by the next rotate to the same token, which shows as well that the
/// datastore has it. Where the datastore has the token of those files it is re-encrypted, as in a roll back.
pub(super) fn put_right(seen: &Seen, held: &Secret, why: &str) -> Op {
    put_only(seen, (held, held), why)
}

/// A rotate by a server that holds the first of two tokens, to the second, of which it only counts what K3s writes.
pub(super) fn put_only(seen: &Seen, both: (&Secret, &Secret), why: &str) -> Op {
    asked_leaving(seen, both, ("", ""), why)
}

/// Why files are put right.
pub(super) const RIGHT: &str = "let K3s put its files right: a rotate to the token that it runs with, which may end with an error";

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

/// A server whose files agree with its memory, and whose etcd is well, with the token that it has: of several the one with the
/// latest passwd, since a rotate saves what its server has, and a later one would then be fatal.
pub(super) async fn able<'a>(
    probe: &Probe<'_>,
    cluster: &'a Cluster,
) -> Result<Option<(&'a ServerSeen, &'a Secret)>, StepError> {
    let mut alike: Vec<(&ServerSeen, &Secret)> = cluster
        .servers
        .iter()
        .filter_map(|server| Some((server, alike(server)?)))
        .collect();
    alike.sort_by_key(|(server, _)| std::cmp::Reverse(server.seen.passwd_written()));
    for (server, held) in alike {
        if cluster.is_well(probe, server).await? {
            return Ok(Some((server, held)));
        }
    }
    Ok(None)
}

/// The token of a running server whose files agree with its memory.
fn alike(server: &ServerSeen) -> Option<&Secret> {
    server.alike().filter(|_| server.seen.unit.is_active())
}

/// A rotate by a server that holds the first of two tokens, to the second, which its files have: nothing is re-encrypted, and it
/// is answered well when the datastore has that token.
pub(super) fn question(
    probe: &Probe<'_>,
    seen: &Seen,
    (held, to): (&Secret, &Secret),
    why: &str,
) -> Op {
    let words = format!("{} {}", probe.options().run.0, tag(to));
    asked_leaving(seen, (held, to), (seen.asked_path().as_str(), &words), why)
}

/// A rotate that may be answered with 500, and where that is left.
fn asked_leaving(
    seen: &Seen,
    (held, to): (&Secret, &Secret),
    (file, words): (&str, &str),
    why: &str,
) -> Op {
    let mut command = put(&seen.door(), held, to);
    let unit = seen.unit.text.id.as_str();
    let script = ["sh", "-c", ASK, "sh", file, words, unit].map(str::to_owned);
    command.argv = script.into_iter().chain(command.argv).collect();
    let act = Act::Run {
        command,
        leaves: Vec::new(),
    };
    Op::root(&seen.host, why, act)
}
