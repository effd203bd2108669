//! `where`: from which surface each host takes its token.

mod row;

use super::glance::{Sight, glance};
use super::trouble::Trouble;
use super::{Desk, print};
use crate::cli;
use crate::exit::Exit;
use crate::facts::Probe;
use crate::k3s::knock::Heard;
use crate::k3s::phase::Standing;
use crate::k3s::surface::Surface;
use crate::k3s::token::{Form, TokenKind};
use crate::model::HostName;
use crate::report::{Outcome, PlaceRow, Places, Said};
use crate::steps::findings::{Finding, why_down};
use crate::steps::k3s_preflight::to_come;
use crate::steps::look::{AgentStanding, Blind, Cluster, Freshness, Seen};
use row::Letters;

/// One host, and what it is in the cluster.
struct Sighting {
    host: HostName,
    seen: Result<Seen, Blind>,
    standing: Option<AgentStanding>,
    /// Why its K3s does not run.
    down: Option<Finding>,
}

pub(super) fn place(desk: &Desk, asked: &cli::Glance) -> Result<Exit, Trouble> {
    let (mut places, editor) = glance(desk, asked, async |sight: &Sight| look(sight).await)?;
    places
        .said_mut()
        .for_each(|said| editor.name_hosts(&mut said.next));
    let mut text = if asked.view.json {
        places
            .json()
            .map_err(|error| Trouble::said(Exit::Internal, error.to_string(), "report this"))?
    } else {
        places.text(desk.paint(desk.out_is_terminal))
    };
    editor.redact(&mut text);
    print(&text)?;
    Ok(exit(&places.hosts))
}

async fn look(sight: &Sight) -> Places {
    let cluster = cluster(sight, TokenKind::Server).await;
    // Where agents join with a token of their own it is the one that their phase is about.
    let agents = match &cluster {
        Some(cluster) if cluster.has_agent_token() => self::cluster(sight, TokenKind::Agent).await,
        _ => None,
    };
    let both = (cluster.as_ref(), agents.as_ref());
    let sightings = sight
        .each(|probe| async move { host(&probe, both).await })
        .await;
    let mut letters = Letters::default();
    let rows = sightings
        .into_iter()
        .map(|(_, sighting)| row::row(&sighting, both, &mut letters));
    let hosts: Vec<PlaceRow> = rows.collect();
    let to_come: Vec<Said> = both.0.map_or_else(Vec::new, |it| {
        to_come(it).map(|it| Said::from(&it)).collect()
    });
    // While it is to come nobody has taken it, and no two servers differ in what they have.
    let agents = both.1.filter(|_| to_come.is_empty());
    let clusters = [both.0, agents].into_iter().flatten();
    let notes = clusters
        .filter_map(|cluster| torn(cluster).or_else(|| unfinished(cluster)))
        .chain(to_come)
        .collect();
    Places {
        schema: 1,
        exit: exit(&hosts).number(),
        hosts,
        notes,
    }
}

/// All servers, now, whatever `--limit` says: where a rotation stands is theirs to tell.
async fn cluster(sight: &Sight, about: TokenKind) -> Option<Cluster> {
    let probe = sight.scope.first_server()?;
    Some(Cluster::now(&probe, about).await)
}

async fn host(
    probe: &Probe<'_>,
    (cluster, agents): (Option<&Cluster>, Option<&Cluster>),
) -> Sighting {
    let host = probe.host().clone();
    let server = cluster.and_then(|cluster| cluster.server(&host));
    let blind = cluster.and_then(|cluster| cluster.blind.iter().find(|(name, _)| *name == host));
    let seen = match (server, blind) {
        (Some(server), _) => Ok(server.seen.clone()),
        (None, Some((_, blind))) => Err(blind.clone()),
        (None, None) => Seen::look(probe, &host, Freshness::Now).await,
    };
    let seen = seen.and_then(|seen| match seen.misplaced(probe.fleet()) {
        Some(fault) => Err(Blind::Faulty(fault)),
        None => Ok(seen),
    });
    let about = agents.or(cluster);
    let standing = about.and_then(|cluster| cluster.standing.as_ref().ok());
    let standing = match (&seen, about, standing, server) {
        // What cannot be asked is not known, and no reason to say nothing of the rest.
        (Ok(seen), Some(about), Some(standing), None) => {
            let seen = seen.clone().of(about.about);
            agent(probe, &seen, standing).await
        }
        _ => None,
    };
    let down = match &seen {
        Ok(seen) => why_down(probe, seen).await,
        Err(_) => None,
    };
    Sighting {
        host,
        seen,
        standing,
        down,
    }
}

/// Where an agent stands; what it has of its own is shown to the servers.
async fn agent(probe: &Probe<'_>, seen: &Seen, standing: &Standing) -> Option<AgentStanding> {
    let stands = AgentStanding::look(probe, seen, standing).await.ok()?;
    // A join token is none that can be shown: the API takes it, and the supervisor does not.
    let is_shown = |winner: &Surface| !matches!(winner.token.form, Form::Bootstrap { .. });
    let is_own =
        matches!(stands, AgentStanding::Foreign(_)) && seen.install.winner().is_some_and(is_shown);
    let is_refused = is_own
        && matches!(
            AgentStanding::knock(probe, seen).await,
            Ok((_, Heard::Rejected))
        );
    Some(if is_refused {
        AgentStanding::Foreign("no server accepts it (401)")
    } else {
        stands
    })
}

/// A rotation that was begun and whose proof has not come.
fn unfinished(cluster: &Cluster) -> Option<Said> {
    let standing = cluster.standing.as_ref().ok()?;
    let what = cluster.unfinished(standing)?;
    let book = cluster.about.playbook();
    Some(Said {
        name: "rotation-unfinished".to_owned(),
        what: format!("of the {}: {what}", cluster.about.word()),
        next: format!("keyroll run {book} -i INVENTORY goes on with it"),
    })
}

/// Why nobody can say where a rotation stands. That a host cannot be asked is said there.
fn torn(cluster: &Cluster) -> Option<Said> {
    let torn = cluster.standing.as_ref().err()?;
    (!cluster.servers.is_empty()).then(|| Said {
        name: torn.name.to_owned(),
        what: torn.what.clone(),
        next: torn.next.clone(),
    })
}

fn exit(rows: &[PlaceRow]) -> Exit {
    Exit::first_of(rows.iter().map(|row| match row.outcome {
        Outcome::Resolved => Exit::Fine,
        Outcome::Refused => Exit::TaskFailed,
        Outcome::Unreachable => Exit::Unreachable,
    }))
}
