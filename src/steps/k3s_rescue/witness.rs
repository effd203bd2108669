//! When nothing shows which token the datastore has, the datastore is asked, once a run. A server whose etcd is not well is
//! not asked: without a quorum the answer is 500, too, and says nothing of a token.
//!
//! When only files say that it has NEW, the same rotate is asked for once more, on the server whose files they are: it is
//! answered well when the datastore has NEW, and with 500 when it has not (measured: v1.32.4-sqlite). Else a server that
//! runs is asked to rotate to the very token that it has: that changes nothing, and is answered alike (measured:
//! sqlite-agent-token-cure; k3s: cluster.Save finds no key of that token).

use super::server::examine;
use crate::facts::Probe;
use crate::k3s::phase::Standing;
use crate::k3s::token::{TokenKind, tag};
use crate::op::{Act, Op};
use crate::secret::Secret;
use crate::steps::k3s_token::put;
use crate::steps::look::{Cluster, Seen, ServerSeen};
use crate::steps::{Proposal, StepError};

/// Runs what it is given and leaves the datastore's answer in a file: with the word `yes`, or with `no` when it was 500.
/// Anything else is a failure of its own.
const ASK: &str = r#"file=$1; words=$2; shift 2; umask 077
if said=$("$@" 2>&1); then word=yes
else case $said in *"token error ID"*) word=no ;; *) printf '%s\n' "$said" >&2; exit 1 ;; esac
fi
mkdir -p "${file%/*}" && printf '%s %s\n' "$words" "$word" >"$file.new" && mv -f "$file.new" "$file""#;

pub(super) async fn propose(probe: &Probe<'_>, seen: &Seen) -> Result<Proposal, StepError> {
    // What is known already, or wrong for another reason, is dealt with by the tasks that follow.
    let is_certain = match examine(probe, seen).await? {
        Ok(_) => true,
        Err(unmet) => unmet.iter().all(|unmet| unmet.name != "token-not-certain"),
    };
    if is_certain {
        return Ok(Proposal::default());
    }
    let cluster = Cluster::now(probe, TokenKind::Server).await;
    let run = &probe.options().run;
    let mut asked = cluster.servers.iter().filter_map(|it| it.seen.asked());
    if asked.any(|asked| asked.run == *run) {
        return Ok(Proposal::default());
    }
    let op = match once_more(probe, &cluster).await? {
        None => ask(probe, &cluster).await?,
        op => op,
    };
    Ok(Proposal::of(op.into_iter().collect()))
}

/// The rotate of which only files tell.
async fn once_more(probe: &Probe<'_>, cluster: &Cluster) -> Result<Option<Op>, StepError> {
    let standing = cluster.standing_of_processes(probe).ok();
    let unsure = standing.filter(|it| it.is_rotated() && !cluster.is_witnessed(it));
    let Some(Standing { rotator, new, .. }) = unsure else {
        return Ok(None);
    };
    let rotator = rotator.and_then(|rotator| cluster.server(&rotator));
    let held = rotator.and_then(|rotator| rotator.memory.secret());
    Ok(match rotator.zip(held) {
        Some((rotator, held)) if cluster.is_well(probe, rotator).await? => {
            let why = "ask for the same rotate once more, since nothing shows that it ended well";
            Some(question(probe, &rotator.seen, (held, &new), why))
        }
        _ => None,
    })
}

/// On the first server that has one token in its memory and its files, and whose etcd is well: without a quorum the answer would
/// be about that.
async fn ask(probe: &Probe<'_>, cluster: &Cluster) -> Result<Option<Op>, StepError> {
    for server in &cluster.servers {
        let Some(secret) = alike(server) else {
            continue;
        };
        if cluster.is_well(probe, server).await? {
            let why = "ask the datastore whether it has the token of this server: a rotate to the same token";
            let op = question(probe, &server.seen, (secret, secret), why);
            return Ok(Some(op));
        }
    }
    Ok(None)
}

fn alike(server: &ServerSeen) -> Option<&Secret> {
    let (held, seen) = (server.memory.secret()?, &server.seen);
    let files = [seen.on_disk(), seen.passwd().server];
    let is_alike = files.iter().all(|file| file.as_ref() == Some(held));
    (is_alike && seen.unit.is_active()).then_some(held)
}

/// A rotate by a server that holds the first of two tokens, to the second.
fn question(probe: &Probe<'_>, seen: &Seen, (held, to): (&Secret, &Secret), why: &str) -> Op {
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
