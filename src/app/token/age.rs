//! `token age`: since when the server token of a fleet is what it is.

use serde_json::{Value, json};

use crate::app::glance::{Sight, glance, unseen};
use crate::app::trouble::Trouble;
use crate::app::{Desk, print};
use crate::cli;
use crate::exit::Exit;
use crate::facts::HostClock;
use crate::k3s::age::{ANNOTATION, Since, stamp};
use crate::k3s::token::TokenKind;
use crate::model::HostTime;
use crate::steps::look::{Aged, Blind, Cluster, aged};

/// What was seen of a fleet.
struct Told {
    cluster: Cluster,
    aged: Aged,
    /// The first server's clock.
    now: Option<HostTime>,
}

pub(super) fn age(desk: &Desk, asked: &cli::Glance) -> Result<Exit, Trouble> {
    let (told, editor) = glance(desk, asked, async |sight: &Sight| look(sight).await)?;
    let Some(told) = told else {
        return Err(Trouble::usage(
            "the inventory has no server",
            "its servers belong into the group `server`",
        ));
    };
    let mut text = if asked.view.json {
        told.json()
    } else {
        let mut text = told.text();
        editor.name_hosts(&mut text);
        text
    };
    editor.redact(&mut text);
    print(&text)?;
    Ok(told.exit())
}

async fn look(sight: &Sight) -> Option<Told> {
    let probe = sight.scope.first_server()?;
    let cluster = Cluster::now(&probe, TokenKind::Server).await;
    let aged = aged(&probe, &cluster).await;
    let host = cluster.servers.first().map(|server| &server.seen.host);
    let now = match host {
        Some(host) => probe.get_now(host, HostClock).await.ok(),
        None => None,
    };
    Some(Told { cluster, aged, now })
}

impl Told {
    /// Whether the token is known that the times are of.
    fn torn(&self) -> Option<String> {
        let torn = self.cluster.standing.as_ref().err()?;
        (!self.cluster.servers.is_empty()).then(|| torn.what.clone())
    }

    fn exit(&self) -> Exit {
        let asked = |(_, blind): &(_, Blind)| matches!(blind, Blind::Faulty(_));
        let blind = self.cluster.blind.iter();
        let seen = blind.map(|entry| {
            if asked(entry) {
                Exit::TaskFailed
            } else {
                Exit::Unreachable
            }
        });
        Exit::first_of(seen.chain(self.torn().map(|_| Exit::TaskFailed)))
    }

    fn text(&self) -> String {
        let traces = &self.aged.traces;
        let mut lines = Vec::new();
        lines.extend(self.now.map(|now| {
            let words = traces.since().words(now);
            format!("server token: {words}")
        }));
        let moment = |at: Option<HostTime>| at.map_or_else(|| "none".to_owned(), stamp);
        lines.push(format!(
            "  word of a proof on the servers     {}",
            moment(traces.proven)
        ));
        let noted = match &self.aged.unasked {
            Some(why) => format!("not known: {why}"),
            None => moment(traces.noted),
        };
        lines.push(format!("  annotation {ANNOTATION}  {noted}"));
        lines.push(format!(
            "  latest server/cred/passwd          {}",
            moment(traces.passwd)
        ));
        if let (Some(what), Err(torn)) = (self.torn(), &self.cluster.standing) {
            lines.push(format!("  the servers do not agree: {what}"));
            lines.push(format!("  next: {}", torn.next));
        }
        for (host, why) in &self.cluster.blind {
            lines.push(format!("  not seen: {host}: {why}"));
            lines.push(format!("  next: {}", why.next(host)));
        }
        lines.join("\n") + "\n"
    }

    fn json(&self) -> String {
        let traces = &self.aged.traces;
        let since = traces.since();
        let is_ahead = self.now.is_some_and(|now| since.is_ahead(now));
        let (since, at) = match since {
            _ if is_ahead => ("unknown", None),
            Since::Proven(at) => ("proven", Some(at)),
            Since::Unchanged(at) => ("unchanged", Some(at)),
            Since::Unknown => ("unknown", None),
        };
        let seconds = self.now.zip(at).map(|(now, at)| now.since(at).as_secs());
        let moment = |at: Option<HostTime>| at.map_or(Value::Null, |at| stamp(at).into());
        let value = json!({
            "schema": 1,
            "since": since,
            "at": moment(at),
            "age_seconds": seconds,
            "proven": moment(traces.proven),
            "annotation": moment(traces.noted),
            "annotation_unknown": self.aged.unasked,
            "passwd": moment(traces.passwd),
            "torn": self.torn(),
            "not_seen": self.cluster.blind.iter().map(unseen).collect::<Vec<_>>(),
            "exit": self.exit().number(),
        });
        format!("{value:#}\n")
    }
}
