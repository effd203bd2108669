//! `token inspect`, `token generate` and `token age`.

mod age;
mod answers;
mod screen;

use super::trouble::Trouble;
use super::{Desk, new_token, print};
use crate::cli::{self, NO_ARGUMENT};
use crate::exit::Exit;
use crate::findings::{Weight, weight};
use crate::k3s::token::{self, Flaw, Inspected, inspect};
use answers::Answers;

/// More is no token.
const LONGEST: usize = 1024;

pub(super) fn token(desk: &Desk, asked: &cli::Token) -> Result<Exit, Trouble> {
    match asked {
        cli::Token::Inspect(asked) => judge(desk, asked),
        cli::Token::Generate(asked) => generate(asked),
        cli::Token::Age(asked) => age::age(desk, asked),
        cli::Token::Other(_) => Err(Trouble::usage(
            "there are `token inspect`, `token generate` and `token age`, and nothing else",
            NO_ARGUMENT,
        )),
    }
}

/// One token with all that is known about it.
struct Judged {
    /// Where it was found: `stdin`, or a host and its surface.
    place: String,
    token: Inspected,
    /// What a fleet says to it; `None` when none was named.
    answers: Option<Answers>,
}

impl Judged {
    /// Everything that is wrong with it, by its text and by what the fleet says.
    fn flaws(&self) -> Vec<Flaw> {
        let more = self.answers.iter().flat_map(|it| it.flaws(&self.token));
        self.token.flaws.iter().cloned().chain(more).collect()
    }
}

fn judge(desk: &Desk, asked: &cli::Inspect) -> Result<Exit, Trouble> {
    let refused = |why: String| {
        Trouble::usage(
            why,
            "give it on stdin: keyroll token inspect < FILE, or of hosts: -i INVENTORY",
        )
    };
    for word in &asked.stdin {
        word.get().map_err(refused)?;
    }
    let given = match &asked.aim.inventory {
        Some(_) if asked.stdin.is_empty() => None,
        _ => Some(new_token::input().map_err(|why| refused(format!("no token on stdin: {why}")))?),
    };
    let (mut exit, mut unseen) = (Exit::Fine, Vec::new());
    let judged = match asked.aim.glance() {
        None => vec![Judged {
            place: "stdin".to_owned(),
            token: inspect(&given.unwrap_or_default()),
            answers: None,
        }],
        Some(glance) => {
            let (judged, blind) = answers::ask(desk, &glance, given.as_deref())?;
            if !blind.is_empty() {
                exit = Exit::Unreachable;
            }
            unseen = blind;
            judged
        }
    };
    let stops = |flaw: &Flaw| weight(flaw.name) == Weight::Refuse;
    if judged.iter().any(|it| it.flaws().iter().any(stops)) {
        exit = Exit::first_of([exit, Exit::TaskFailed]);
    }
    print(&if asked.aim.view.json {
        screen::json(&judged, &unseen, asked.show)
    } else {
        screen::text(&judged, asked.show)
    })?;
    Ok(exit)
}

fn generate(asked: &cli::Generate) -> Result<Exit, Trouble> {
    if !asked.stray.is_empty() {
        let next = "keyroll token generate > FILE makes one; keyroll token inspect judges one";
        return Err(Trouble::usage(NO_ARGUMENT, next));
    }
    let length = asked
        .length
        .or(asked.bytes.map(|bytes| bytes.saturating_mul(2)))
        .unwrap_or(32);
    if !(token::ENOUGH / 4..=LONGEST).contains(&length) {
        return Err(Trouble::usage(
            format!("{length} hex characters are not between 32 (128 bits) and {LONGEST}"),
            "leave --length and --bytes out for 32 characters, as K3s itself makes them",
        ));
    }
    let made = token::generate_long(length).map_err(|error| {
        let what = format!("no randomness can be had: {error}");
        Trouble::said(Exit::Internal, what, "see whether /dev/urandom is there")
    })?;
    let checked = token::check_new(made.expose()).map_err(|error| {
        let what = format!("a token was made that cannot be used: {error}");
        Trouble::said(Exit::Internal, what, "report this")
    })?;
    print(&format!("{}\n", checked.expose()))
}
