//! What is said of one host.

use super::Sighting;
use crate::facts::FactError;
use crate::k3s::install::Install;
use crate::k3s::phase::{Phase, Standing};
use crate::k3s::surface::{Place, Surface};
use crate::k3s::token::Form;
use crate::model::HostName;
use crate::report::{Holder, Holds, Outcome, PlaceRow, STEADY, Said};
use crate::secret::Secret;
use crate::steps::Unmet;
use crate::steps::findings::Finding;
use crate::steps::look::{AgentStanding, Blind, Cluster, Seen, words};

/// A letter for each token, in the order in which they are met.
#[derive(Default)]
pub(super) struct Letters(Vec<Secret>);

impl Letters {
    fn of(&mut self, secret: &Secret) -> String {
        let at = self.0.iter().position(|known| known == secret);
        let at = at.unwrap_or_else(|| {
            self.0.push(secret.clone());
            self.0.len() - 1
        });
        let letter = u8::try_from(at % 26).map_or('?', |at| char::from(b'A' + at));
        match at / 26 {
            0 => letter.to_string(),
            round => format!("{letter}{round}"),
        }
    }
}

pub(super) fn row(
    sighting: &Sighting,
    (cluster, agents): (Option<&Cluster>, Option<&Cluster>),
    letters: &mut Letters,
) -> PlaceRow {
    match &sighting.seen {
        Ok(seen) => {
            let about = agents.or(cluster);
            let agent = sighting
                .standing
                .map(|agent| agent_phase(seen, agent, about));
            let mut row = resolved(seen, agent, cluster, letters);
            row.notes.extend(sighting.down.iter().map(Said::from));
            row
        }
        Err(blind) => unresolved(&sighting.host, blind),
    }
}

fn resolved(
    seen: &Seen,
    agent: Option<(Option<String>, Option<String>)>,
    cluster: Option<&Cluster>,
    letters: &mut Letters,
) -> PlaceRow {
    let install = &seen.install;
    let mut holders = |surfaces: &[Surface]| -> Vec<Holder> {
        let all = surfaces.iter();
        all.map(|surface| holder(seen, surface, letters)).collect()
    };
    let mut others = holders(&install.surfaces);
    let agent_token = holders(&install.agent_surfaces);
    let token = (!others.is_empty()).then(|| others.remove(0));
    let standing = cluster.and_then(|cluster| cluster.standing.as_ref().ok());
    let server = cluster.and_then(|cluster| cluster.server(&seen.host));
    let holds = server.filter(|_| agent.is_none()).map(|server| {
        let passwd = seen.passwd().server;
        let mut letter = |secret: Option<&Secret>| secret.map(|secret| letters.of(secret));
        Holds {
            memory: letter(server.memory.secret()),
            server_token: letter(seen.on_disk().as_ref()),
            passwd: letter(passwd.as_ref()),
            datastore: letter(standing.map(|standing| &standing.datastore)),
        }
    });
    let (phase, means) = match agent {
        Some(agent) => agent,
        None => server_phase(seen, cluster),
    };
    let means = means.map(|means| format!("{means}{}", asleep(seen)));
    let mut refusals: Vec<Said> = install.faults.iter().map(Said::from).collect();
    refusals.extend(seen.disagreements(standing).iter().map(Said::from));
    refusals.extend(seen.hidden().iter().map(Said::from));
    PlaceRow {
        host: seen.host.to_string(),
        outcome: if refusals.is_empty() {
            Outcome::Resolved
        } else {
            Outcome::Refused
        },
        kind: Some(format!("{:?}", install.kind).to_lowercase()),
        unit: Some(install.unit.clone()),
        state: Some(seen.unit.words()),
        data_dir: Some(install.data_dir.to_string()),
        why: Some(why(install).to_owned()),
        token,
        others,
        agent_token,
        holds,
        phase,
        means,
        notes: seen
            .remarks()
            .iter()
            .map(Said::from)
            .chain(of_rotation(seen, cluster))
            .collect(),
        refusals,
    }
}

fn unresolved(host: &HostName, blind: &Blind) -> PlaceRow {
    let (outcome, name) = match blind {
        Blind::Faulty(fault) => (Outcome::Refused, fault.name),
        Blind::Unasked(FactError::Transport(_)) => (Outcome::Unreachable, "unreachable"),
        Blind::Unasked(FactError::Unreadable { .. }) => (Outcome::Refused, "unreadable"),
    };
    let said = said(name, &blind.to_string(), &blind.next(host));
    PlaceRow {
        host: host.to_string(),
        outcome,
        kind: None,
        unit: None,
        state: None,
        data_dir: None,
        token: None,
        why: None,
        others: Vec::new(),
        agent_token: Vec::new(),
        holds: None,
        phase: None,
        means: None,
        notes: Vec::new(),
        refusals: vec![said],
    }
}

fn said(name: &str, what: &str, next: &str) -> Said {
    Said {
        name: name.to_owned(),
        what: what.to_owned(),
        next: next.to_owned(),
    }
}

impl From<&crate::k3s::install::Fault> for Said {
    fn from(fault: &crate::k3s::install::Fault) -> Self {
        said(fault.name, &fault.what, &fault.next)
    }
}

impl From<&Finding> for Said {
    fn from(found: &Finding) -> Self {
        said(found.name, &found.what, &found.next)
    }
}

impl From<&Unmet> for Said {
    fn from(unmet: &Unmet) -> Self {
        said(unmet.name, &unmet.what, &unmet.next)
    }
}

fn holder(seen: &Seen, surface: &Surface, letters: &mut Letters) -> Holder {
    let stat = seen.stats.get(&surface.file).and_then(Option::as_ref);
    let place = match surface.place {
        Place::TokenFile => "token-file",
        Place::Argument => "argument",
        Place::Config => "config",
        Place::EnvFile => "env-file",
        Place::UnitEnvironment => "unit-environment",
        Place::ServerToken => "server-token",
    };
    let form = match &surface.token.form {
        Form::Bare => "bare",
        Form::Full { user, .. } if user == "server" => "full-server",
        Form::Full { user, .. } if user == "node" => "full-node",
        Form::Full { .. } => "full",
        Form::Bootstrap { .. } => "bootstrap",
    };
    Holder {
        place: place.to_owned(),
        file: surface.file.to_string(),
        line: seen.line(surface),
        form: form.to_owned(),
        mode: stat.map(|stat| format!("{:04o}", stat.mode)),
        owner: stat.map(|stat| format!("{}:{}", stat.uid, stat.gid)),
        token: letters.of(&surface.token.secret),
    }
}

fn why(install: &Install) -> &'static str {
    match install.winner().map(|surface| surface.place) {
        Some(Place::TokenFile) => "a token file wins over all else",
        Some(Place::Argument) => "an argument wins over config files and environment",
        Some(Place::Config) => "the last config file wins over the environment",
        Some(Place::EnvFile) => "nothing stronger; the last environment file wins",
        Some(Place::UnitEnvironment) => "nothing stronger than the unit's own Environment=",
        Some(Place::ServerToken) => "nothing is configured; the server keeps it itself",
        None if install.unread().is_some() => "a token is configured that keyroll cannot edit",
        None => "nothing is configured; its client certificate lets it in",
    }
}

/// What a restart of a server would meet, and how sure it is where its rotation stands.
fn of_rotation(seen: &Seen, cluster: Option<&Cluster>) -> Vec<Said> {
    let Some(cluster) = cluster.filter(|cluster| cluster.server(&seen.host).is_some()) else {
        return Vec::new();
    };
    let standing = cluster.standing.as_ref().ok();
    let is_between = |standing: &&Standing| {
        let phase = standing.phase(&seen.host);
        matches!(phase, Some(Phase::Rotated | Phase::Flipped))
    };
    let unsure = standing.filter(is_between);
    let unsure = unsure.and_then(|standing| cluster.unwitnessed(standing));
    let found = cluster.fatal(&seen.host).into_iter();
    let found = found.chain(cluster.lacks_passwd(&seen.host));
    let found = found.chain(unsure);
    found.map(|unmet| Said::from(&unmet)).collect()
}

fn server_phase(seen: &Seen, cluster: Option<&Cluster>) -> (Option<String>, Option<String>) {
    let standing = cluster.and_then(|cluster| cluster.standing.as_ref().ok());
    let Some(standing) = standing else {
        return (None, None);
    };
    let Some(phase) = standing.phase(&seen.host) else {
        return (None, None);
    };
    let is_steady = standing
        .phases
        .iter()
        .all(|(_, phase)| *phase == Phase::Old);
    let unseen = cluster.map_or_else(String::new, Cluster::unseen);
    let is_proven = cluster.is_some_and(Cluster::is_proven);
    let means = if is_steady && is_proven {
        return (Some("proven".to_owned()), Some(STEADY[2].to_owned()));
    } else if is_steady {
        STEADY[0].to_owned()
    } else if phase == Phase::Ahead && !unseen.is_empty() {
        format!(
            "its configuration has the new token; whether the datastore has it is not known while {unseen} cannot be asked: restart nothing"
        )
    } else {
        words(Some(phase)).to_owned()
    };
    (Some(format!("{phase:?}").to_lowercase()), Some(means))
}

/// What systemd says of a unit that does not run.
fn asleep(seen: &Seen) -> String {
    let unit = &seen.unit;
    if unit.is_active() {
        String::new()
    } else {
        format!("; {} is {}", unit.text.id, unit.words())
    }
}

fn agent_phase(
    seen: &Seen,
    agent: AgentStanding,
    about: Option<&Cluster>,
) -> (Option<String>, Option<String>) {
    let standing = about.and_then(|cluster| cluster.standing.as_ref().ok());
    let is_rotated = standing.is_some_and(Standing::is_rotated);
    let (phase, means) = match agent {
        AgentStanding::Old if is_rotated => (
            "old",
            "the servers have another token: it must be flipped and restarted",
        ),
        AgentStanding::Old if about.is_some_and(Cluster::is_proven) => ("proven", STEADY[1]),
        AgentStanding::Old => ("old", STEADY[1]),
        AgentStanding::New if seen.started_after_change() && !seen.unit.is_active() => {
            ("down", "it has the new token, and is not up")
        }
        AgentStanding::New if seen.started_after_change() => {
            ("restarted", "it was started with the new token")
        }
        AgentStanding::New => (
            "flipped",
            "it was not restarted since its configuration was changed",
        ),
        AgentStanding::Foreign(why) => ("foreign", why),
    };
    (Some(phase.to_owned()), Some(means.to_owned()))
}
