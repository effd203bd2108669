//! A judgement as people and as machines read it. The secret itself only when it was asked for.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Judged, answers};
use crate::app::glance::{self, Unseen};
use crate::findings::{entry, weight};
use crate::k3s::knock::{Heard, Role};
use crate::k3s::token::{Kind, tag};
use crate::model::count;

pub(super) fn text(judged: &[Judged], show: bool) -> String {
    let mut text = String::new();
    for it in judged {
        // A String takes all.
        write_one(&mut text, it, show).ok();
    }
    text
}

fn write_one(to: &mut String, it: &Judged, show: bool) -> std::fmt::Result {
    writeln!(to, "{}", it.place)?;
    let token = &it.token;
    writeln!(to, "  kind     {}", token.kind.words())?;
    if token.kind != Kind::None {
        let length = token.secret.expose().chars().count();
        let length = count(length, "character", "characters");
        let (bits, tag) = (token.bits, tag(&token.secret));
        writeln!(to, "  secret   {length}, {bits} bits at most, tag {tag}")?;
    }
    if show {
        writeln!(to, "  shown    {}", token.secret.expose())?;
    }
    if let Some(hash) = &token.hash {
        writeln!(to, "  pins     {hash}: {}", ca_words(it))?;
    }
    for line in can(it) {
        writeln!(to, "  can      {line}")?;
    }
    for (host, role, heard) in it.answers.iter().flat_map(|answers| &answers.heard) {
        let said = number(*role, heard);
        writeln!(to, "  asked    {host} as `{}`: {said}", role.user())?;
    }
    for flaw in it.flaws() {
        let next = entry(flaw.name).map_or("", |entry| entry.next);
        let word = weight(flaw.name).word();
        writeln!(to, "  {word:<8} {}: {}", flaw.name, flaw.what)?;
        writeln!(to, "  next     {next}")?;
    }
    Ok(())
}

pub(super) fn json(judged: &[Judged], unseen: &[Unseen], show: bool) -> String {
    let tokens: Vec<Value> = judged.iter().map(|it| one(it, show)).collect();
    let unseen: Vec<Value> = unseen.iter().map(glance::unseen).collect();
    format!("{:#}\n", json!({ "tokens": tokens, "not_seen": unseen }))
}

fn one(it: &Judged, show: bool) -> Value {
    let token = &it.token;
    let flaws = it.flaws().into_iter().map(|flaw| {
        let next = entry(flaw.name).map_or("", |entry| entry.next);
        json!({ "name": flaw.name, "severity": weight(flaw.name), "what": flaw.what, "next": next })
    });
    let heard = it.answers.iter().flat_map(|answers| &answers.heard);
    let heard = heard.map(|(host, role, heard)| {
        json!({ "host": host, "as": role.user(), "answer": number(*role, heard) })
    });
    let mut value = json!({
        "place": it.place,
        "kind": token.kind,
        "characters": token.secret.expose().chars().count(),
        "bits": token.bits,
        "tag": tag(&token.secret),
        "ca_hash": token.hash,
        "ca": token.hash.as_ref().map(|_| ca_words(it)),
        "can": can(it),
        "answers": heard.collect::<Vec<_>>(),
        "findings": flaws.collect::<Vec<_>>(),
    });
    if let (true, Some(map)) = (show, value.as_object_mut()) {
        map.insert("secret".to_owned(), token.secret.expose().into());
    }
    value
}

fn ca_words(it: &Judged) -> &'static str {
    let Some(answers) = &it.answers else {
        return "not compared, since no fleet was named";
    };
    let is_theirs = |(_, theirs): &(_, String)| Some(theirs) == it.token.hash.as_ref();
    match answers.hashes.as_slice() {
        [] => "not compared, since no host showed its CA",
        hashes if hashes.iter().all(is_theirs) => "the CA of this fleet",
        _ => "not the CA of this fleet",
    }
}

/// What it opens: as answered, else what its kind can open at most.
fn can(it: &Judged) -> Vec<String> {
    let own = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    match (&it.answers, it.token.kind) {
        (_, Kind::None) => Vec::new(),
        (_, Kind::Bootstrap | Kind::FullBootstrap) => own(&[
            "join agents, until it expires; it is no password, so that it was not shown to any server",
        ]),
        (Some(answers), _) if !answers.heard.is_empty() => own(&answers.powers()),
        (_, Kind::Node) => own(&["join agents; the form says no more, the password decides"]),
        _ => {
            let all = answers::SERVER.join(", ");
            own(&[&format!(
                "if it is the server token: {all}; only a fleet can tell: -i INVENTORY"
            )])
        }
    }
}

/// The HTTP status that an answer stands for.
fn number(role: Role, heard: &Heard) -> String {
    match (heard, role) {
        // 405, or 400 on older K3s.
        (Heard::Accepted, Role::Server) => "accepted".to_owned(),
        (Heard::Accepted, Role::Node) => "200, accepted".to_owned(),
        (Heard::Rejected, _) => "401, refused".to_owned(),
        (Heard::WrongRole, _) => "403, right for another role".to_owned(),
        (Heard::NotYet(why), _) => format!("no answer: {}", first_line(why)),
        (Heard::Odd(why), _) => format!("unforeseen: {}", first_line(why)),
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
