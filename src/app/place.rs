//! `where`: from which surface each host takes its token.

mod row;

use super::glance::{Sight, glance};
use super::trouble::Trouble;
use super::{Desk, print};
use crate::cli;
use crate::exit::Exit;
use crate::facts::Probe;
use crate::k3s::token::TokenKind;
use crate::model::HostName;
use crate::report::{Outcome, PlaceRow, Places, Said};
use crate::steps::look::{AgentStanding, Blind, Cluster, Freshness, Seen};
use row::Letters;

/// One host, and what it is in the cluster.
struct Sighting {
    host: HostName,
    seen: Result<Seen, Blind>,
    standing: Option<AgentStanding>,
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
    let cluster = cluster(sight).await;
    let cluster = cluster.as_ref();
    let sightings = sight
        .each(|probe| async move { host(&probe, cluster).await })
        .await;
    let mut letters = Letters::default();
    let rows = sightings
        .into_iter()
        .map(|(_, sighting)| row::row(&sighting, cluster, &mut letters));
    let hosts: Vec<PlaceRow> = rows.collect();
    let notes = cluster.and_then(torn).into_iter().collect();
    Places {
        schema: 1,
        exit: exit(&hosts).number(),
        hosts,
        notes,
    }
}

/// All servers, now, whatever `--limit` says: where a rotation stands is theirs to tell.
async fn cluster(sight: &Sight) -> Option<Cluster> {
    let probe = sight.scope.first_server()?;
    Some(Cluster::now(&probe, TokenKind::Server).await)
}

async fn host(probe: &Probe<'_>, cluster: Option<&Cluster>) -> Sighting {
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
    let standing = cluster.and_then(|cluster| cluster.standing.as_ref().ok());
    let standing = match (&seen, standing, server) {
        // What cannot be asked is not known, and no reason to say nothing of the rest.
        (Ok(seen), Some(standing), None) => AgentStanding::look(probe, seen, standing).await.ok(),
        _ => None,
    };
    Sighting {
        host,
        seen,
        standing,
    }
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
