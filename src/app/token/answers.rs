//! What a fleet says to a token: its CA, and each server's answer in each role.

use super::super::Desk;
use super::super::glance::{Unseen, glance};
use super::super::trouble::Trouble;
use super::Judged;
use crate::cli;
use crate::facts::{Knocked, Probe};
use crate::k3s::install::Kind as HostKind;
use crate::k3s::knock::{Heard, Knock, Role};
use crate::k3s::token::{Flaw, Inspected, Kind, inspect, pinned_hash};
use crate::model::HostName;
use crate::report::Writer;
use crate::steps::look::{Blind, Freshness, Seen};

/// What the fleet says to one token.
#[derive(Default)]
pub(super) struct Answers {
    /// The CA hash of the fleet, of every host that showed its CA.
    pub(super) hashes: Vec<(HostName, String)>,
    /// One answer a host and role.
    pub(super) heard: Vec<(HostName, Role, Heard)>,
    /// Whether it stands where a server takes its own token from.
    on_server: bool,
}

impl Answers {
    fn accepted(&self, role: Role) -> bool {
        let fits =
            |(_, as_, heard): &(HostName, Role, Heard)| *as_ == role && *heard == Heard::Accepted;
        self.heard.iter().any(fits)
    }

    /// What it opens, by what was answered.
    pub(super) fn powers(&self) -> Vec<&'static str> {
        let mut can = Vec::new();
        if self.accepted(Role::Server) {
            can.extend(SERVER);
        }
        if self.accepted(Role::Node) {
            can.push("join agents");
        }
        can
    }

    pub(super) fn flaws(&self, token: &Inspected) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        let mut add = |name, what| flaws.push(Flaw { name, what });
        match &token.hash {
            Some(_) if self.hashes.is_empty() => {
                add("token-ca-unknown", "no host showed its CA".to_owned());
            }
            Some(hash) => {
                if let Some((host, theirs)) = self.hashes.iter().find(|(_, it)| it != hash) {
                    add(
                        "token-ca-differs",
                        format!("the CA on {host} has the hash {theirs}"),
                    );
                }
            }
            None => {}
        }
        if token.kind.is_bootstrap() && self.on_server {
            let what = "a server is configured with a bootstrap token".to_owned();
            add("token-bootstrap-as-server", what);
        }
        let refused = |(_, _, heard): &(HostName, Role, Heard)| *heard == Heard::Rejected;
        if !self.heard.is_empty() && self.heard.iter().all(refused) {
            let what = "every host that was asked answers 401, as `server` and as `node`";
            add("token-refused", what.to_owned());
        }
        flaws
    }
}

/// What the server token opens.
pub(super) const SERVER: [&str; 4] = [
    "join servers and agents",
    "rotate the token",
    "decrypt the bootstrap data in the datastore",
    "read the cluster's CA keys",
];

/// What one host has, and what it says to a token.
struct Told {
    place: String,
    text: Option<String>,
    hash: Option<String>,
    heard: Vec<(Role, Heard)>,
    is_server: bool,
    faults: Vec<String>,
}

/// Judges the given token against a fleet, or the token of each of its hosts. Also the hosts that were not seen.
pub(super) fn ask(
    desk: &Desk,
    asked: &cli::Glance,
    given: Option<&str>,
) -> Result<(Vec<Judged>, Vec<Unseen>), Trouble> {
    let secret = given.map(inspect);
    let (told, redactor) = glance(desk, asked, async |sight| {
        let secret = secret.as_ref();
        sight
            .each(|probe| async move { tell(&probe, secret).await })
            .await
    })?;
    let mut unseen = Vec::new();
    let mut seen = Vec::new();
    let talk = |line: String| {
        let mut line = line;
        redactor.redact(&mut line);
        Writer::standard().talk(&line).ok();
    };
    for (host, told) in told {
        match told {
            Ok(told) => {
                told.faults
                    .iter()
                    .for_each(|fault| talk(format!("{host}: {fault}")));
                seen.push((host, told));
            }
            Err(blind) => {
                talk(format!("{host}: {blind}"));
                talk(format!("next: {}", blind.next(&host)));
                unseen.push((host, blind));
            }
        }
    }
    let judged = match secret {
        Some(token) => vec![against(token, &seen)],
        None => each(&seen),
    };
    Ok((judged, unseen))
}

async fn tell(probe: &Probe<'_>, given: Option<&Inspected>) -> Result<Told, Blind> {
    let seen = Seen::look(probe, probe.host(), Freshness::Now).await?;
    let winner = seen.install.winner();
    let own = winner.map(|surface| inspect(&surface.token.respell(&surface.token.secret)));
    let mut heard = Vec::new();
    if let Some(token) = given.or(own.as_ref()).filter(|token| is_password(token)) {
        heard = knock(probe, &seen, token).await?;
    }
    Ok(Told {
        place: winner.map_or_else(
            || "no token is configured".to_owned(),
            |surface| surface.file.to_string(),
        ),
        text: winner.map(|surface| surface.token.respell(&surface.token.secret)),
        hash: seen
            .file(&seen.install.ca())
            .and_then(|ca| pinned_hash(ca.bytes())),
        heard,
        is_server: seen.install.kind == HostKind::Server,
        faults: seen
            .install
            .faults
            .iter()
            .map(|fault| format!("{}; next: {}", fault.what, fault.next))
            .collect(),
    })
}

fn is_password(token: &Inspected) -> bool {
    token.kind != Kind::None && !token.kind.is_bootstrap()
}

/// Asks the supervisor of this host, or an agent's through its load balancer, in both roles.
async fn knock(
    probe: &Probe<'_>,
    seen: &Seen,
    token: &Inspected,
) -> Result<Vec<(Role, Heard)>, Blind> {
    let roles = [Role::Server, Role::Node];
    let knocks = roles.map(|role| Knock {
        door: seen.door(),
        role,
        secret: token.secret.clone(),
    });
    let heard = probe
        .get_now(probe.host(), Knocked(knocks.to_vec()))
        .await?;
    Ok(roles.into_iter().zip(heard).collect())
}

fn against(token: Inspected, seen: &[(HostName, Told)]) -> Judged {
    let all: Vec<_> = seen.iter().collect();
    Judged {
        place: "stdin".to_owned(),
        token,
        answers: Some(answers(&all, false)),
    }
}

fn each(seen: &[(HostName, Told)]) -> Vec<Judged> {
    let all: Vec<_> = seen.iter().collect();
    let one = |own: &(HostName, Told)| {
        let (host, told) = own;
        let mut answers = answers(&[own], told.is_server);
        answers.hashes = hashes(&all);
        Some(Judged {
            place: format!("{host}: {}", told.place),
            token: inspect(told.text.as_deref()?),
            answers: Some(answers),
        })
    };
    seen.iter().filter_map(one).collect()
}

fn answers(told: &[&(HostName, Told)], on_server: bool) -> Answers {
    let heard = |(host, told): &&(HostName, Told)| {
        let host = host.clone();
        let heard = told.heard.clone().into_iter();
        heard.map(move |(role, heard)| (host.clone(), role, heard))
    };
    Answers {
        hashes: hashes(told),
        heard: told.iter().flat_map(heard).collect(),
        on_server,
    }
}

/// What servers have; what agents trust only where no server was seen.
fn hashes(told: &[&(HostName, Told)]) -> Vec<(HostName, String)> {
    let of = |is_server: bool| {
        told.iter()
            .filter(move |(_, told)| told.is_server == is_server)
            .filter_map(|(host, told)| Some((host.clone(), told.hash.clone()?)))
            .collect::<Vec<_>>()
    };
    let servers = of(true);
    if servers.is_empty() {
        of(false)
    } else {
        servers
    }
}
