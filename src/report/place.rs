//! What `where` shows: from which surface each host takes its token, for people and for machines.

use std::fmt::Write as _;

use serde::Serialize;

use super::Paint;
use crate::model::count;

/// Columns of a screen.
const WIDTH: usize = 100;

/// All hosts. The shape is stable: fields are added, never changed; `schema` counts those that are.
#[derive(Debug, Clone, Serialize)]
pub struct Places {
    /// 1.
    pub schema: u32,
    /// In the inventory's order.
    pub hosts: Vec<PlaceRow>,
    /// What holds of the fleet.
    pub notes: Vec<Said>,
    /// The exit number.
    pub exit: u8,
}

/// What goes without saying of a host while no rotation is under way.
pub const STEADY: [&str; 3] = [
    "no rotation is under way",
    "it has the token that the servers have",
    "a rotation to its token was proven, and none is under way",
];

/// Whether a host's set-up was made out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was.
    Resolved,
    /// keyroll does not work with it.
    Refused,
    /// The host could not be asked.
    Unreachable,
}

/// One host.
#[derive(Debug, Clone, Serialize)]
pub struct PlaceRow {
    /// As the inventory calls it.
    pub host: String,
    /// How it went.
    pub outcome: Outcome,
    /// `server` or `agent`; absent when it is not known.
    pub kind: Option<String>,
    /// Such as `k3s.service`.
    pub unit: Option<String>,
    /// Such as `active (running)`.
    pub state: Option<String>,
    /// Such as `/var/lib/rancher/k3s`.
    pub data_dir: Option<String>,
    /// The surface that wins; absent when none is configured.
    pub token: Option<Holder>,
    /// Why it wins, or why there is none.
    pub why: Option<String>,
    /// What else holds a token that K3s would take otherwise.
    pub others: Vec<Holder>,
    /// A server's own agent token, the winner first.
    pub agent_token: Vec<Holder>,
    /// Of a server: the letters of the tokens that its process accepts, that its own files have, and that the datastore has, as
    /// far as they are known.
    pub holds: Option<Holds>,
    /// Where a rotation stands here: `old`, `staged`, `rotated`, `flipped`, `new`, `ahead`, `reverted`, `silent`,
    /// `foreign`, and for agents `restarted`; after it `proven`, until another one begins.
    pub phase: Option<String>,
    /// What follows from the phase.
    pub means: Option<String>,
    /// What people should know.
    pub notes: Vec<Said>,
    /// Why keyroll would not change it.
    pub refusals: Vec<Said>,
}

/// What a server holds beside its surface, as letters; what is not known is absent.
#[derive(Debug, Clone, Serialize)]
pub struct Holds {
    /// What its running process accepts.
    pub memory: Option<String>,
    /// What is in its `server/token`.
    pub server_token: Option<String>,
    /// What is in the row of servers in its `server/cred/passwd`.
    pub passwd: Option<String>,
    /// What the datastore is encrypted with, when the servers together tell.
    pub datastore: Option<String>,
}

impl Holds {
    /// As people read it, when it is not the same everywhere.
    fn text(&self, surface: Option<&str>) -> Option<String> {
        let all = [
            ("its process accepts", &self.memory),
            ("server/token has", &self.server_token),
            ("passwd", &self.passwd),
            ("the datastore", &self.datastore),
        ];
        let known = all.iter().filter_map(|(_, letter)| letter.as_deref());
        let mut known = known.chain(surface);
        let first = known.next()?;
        if known.all(|letter| letter == first) {
            return None;
        }
        let each = all.iter().map(|(what, letter)| {
            let letter = letter.as_deref().unwrap_or("an unknown one");
            format!("{what} {letter}")
        });
        Some(each.collect::<Vec<_>>().join(", "))
    }
}

/// A place that holds a token.
#[derive(Debug, Clone, Serialize)]
pub struct Holder {
    /// `token-file`, `argument`, `config`, `env-file`, `unit-environment`, `server-token`.
    pub place: String,
    /// Absolute.
    pub file: String,
    /// From 1; absent when the file was not read.
    pub line: Option<usize>,
    /// `bare`, `full-server`, `full-node`, `full`, `bootstrap`.
    pub form: String,
    /// Such as `0600`.
    pub mode: Option<String>,
    /// `uid:gid`.
    pub owner: Option<String>,
    /// Equal tokens have equal letters.
    pub token: String,
}

/// Something said, with what to do next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Said {
    /// A stable name.
    pub name: String,
    /// What was seen.
    pub what: String,
    /// What to do next; empty when nothing.
    pub next: String,
}

impl Holder {
    fn at(&self) -> String {
        match self.line {
            Some(line) => format!("{}:{line}", self.file),
            None => self.file.clone(),
        }
    }

    /// As people write it.
    fn shape(&self) -> &str {
        match self.form.as_str() {
            "full-server" => "K10…::server:",
            "full-node" => "K10…::node:",
            "full" => "K10…::",
            form => form,
        }
    }
}

impl Places {
    /// All that is said of hosts and of the fleet.
    pub fn said_mut(&mut self) -> impl Iterator<Item = &mut Said> {
        let hosts = self.hosts.iter_mut();
        let of_hosts = hosts.flat_map(|row| row.notes.iter_mut().chain(&mut row.refusals));
        of_hosts.chain(&mut self.notes)
    }

    /// As JSON.
    ///
    /// # Errors
    /// Never, as far as is known: all of it is text and numbers.
    pub fn json(&self) -> serde_json::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// As people read it.
    #[must_use]
    pub fn text(&self, paint: Paint) -> String {
        let mut page = Page {
            text: String::new(),
            paint,
            host: self.width(|row| row.host.chars().count()),
            unit: self.width(|row| row.unit.as_ref().map_or(1, String::len)),
        };
        for row in &self.hosts {
            page.row(row);
        }
        page.summary(self);
        page.text
    }

    fn width(&self, of: impl Fn(&PlaceRow) -> usize) -> usize {
        self.hosts.iter().map(of).max().unwrap_or(0)
    }
}

struct Page {
    text: String,
    paint: Paint,
    host: usize,
    unit: usize,
}

impl Page {
    fn row(&mut self, row: &PlaceRow) {
        let dash = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        let host = self.paint.bold(&format!("{:<1$}", row.host, self.host));
        let (kind, unit, phase) = (dash(&row.kind), dash(&row.unit), dash(&row.phase));
        let held = match (&row.token, row.outcome) {
            (Some(token), _) => {
                let mode = dash(&token.mode);
                let owner = dash(&token.owner);
                format!("{}  {:<13}  {mode} {owner}", token.token, token.shape())
            }
            (None, Outcome::Resolved) => "no token configured".to_owned(),
            (None, _) => String::new(),
        };
        let line = format!(
            "{host}  {kind:<6}  {unit:<width$}  {phase:<9}  {held}",
            width = self.unit
        );
        self.line(line.trim_end());
        if let (Some(token), Some(why)) = (&row.token, &row.why) {
            self.wrapped("  from    ", &format!("{} – {why}", token.at()));
        } else if let Some(why) = &row.why {
            self.wrapped("  from    ", why);
        }
        for other in &row.others {
            let same = row
                .token
                .as_ref()
                .is_some_and(|token| token.token == other.token);
            let same = if same {
                "the same token"
            } else {
                "another token"
            };
            let text = format!(
                "{} – {}, {same} ({})",
                other.at(),
                words(&other.place),
                other.token
            );
            self.wrapped("  also    ", &text);
        }
        for agent in &row.agent_token {
            let text = format!("{} – {} ({})", agent.at(), words(&agent.place), agent.token);
            self.wrapped("  agents  ", &text);
        }
        self.standing(row);
        for said in &row.notes {
            let sign = self.paint.yellow("  note    ");
            self.said(&sign, said);
        }
        let word = if row.outcome == Outcome::Unreachable {
            "  away    "
        } else {
            "  refused "
        };
        for said in &row.refusals {
            let sign = self.paint.red(word);
            self.said(&sign, said);
        }
    }

    /// Where a rotation stands there.
    fn standing(&mut self, row: &PlaceRow) {
        let surface = row.token.as_ref().map(|token| token.token.as_str());
        if let Some(holds) = row.holds.as_ref().and_then(|holds| holds.text(surface)) {
            self.wrapped("  holds   ", &holds);
        }
        if let Some(means) = row
            .means
            .as_ref()
            .filter(|means| !STEADY.contains(&means.as_str()))
        {
            self.wrapped("  phase   ", means);
        }
    }

    fn summary(&mut self, places: &Places) {
        let number = |outcome| {
            places
                .hosts
                .iter()
                .filter(|row| row.outcome == outcome)
                .count()
        };
        for said in &places.notes {
            let sign = self.paint.yellow("note      ");
            self.said(&sign, said);
        }
        let (refused, away) = (number(Outcome::Refused), number(Outcome::Unreachable));
        let text = format!(
            "{}: {} resolved, {refused} refused, {away} unreachable; equal letters are equal tokens",
            count(places.hosts.len(), "host", "hosts"),
            number(Outcome::Resolved)
        );
        self.line(&text);
    }

    fn said(&mut self, sign: &str, said: &Said) {
        self.wrapped_behind(sign, 10, &format!("{}: {}", said.name, said.what));
        if !said.next.is_empty() {
            self.wrapped("          next: ", &said.next);
        }
    }

    fn line(&mut self, text: &str) {
        // Writing to a string cannot fail.
        writeln!(self.text, "{text}").ok();
    }

    fn wrapped(&mut self, sign: &str, text: &str) {
        self.wrapped_behind(sign, sign.len(), text);
    }

    /// Breaks between words; a word that is longer than a line stays whole.
    fn wrapped_behind(&mut self, sign: &str, indent: usize, text: &str) {
        let mut line = sign.to_owned();
        let mut used = indent;
        for (at, word) in text.split_whitespace().enumerate() {
            let length = word.chars().count();
            if at > 0 && used + 1 + length > WIDTH {
                self.line(&line);
                line = " ".repeat(indent);
                used = indent;
            } else if at > 0 {
                line.push(' ');
                used += 1;
            }
            line.push_str(word);
            used += length;
        }
        self.line(&line);
    }
}

/// A place in words.
fn words(place: &str) -> &'static str {
    match place {
        "token-file" => "a token file",
        "argument" => "an argument in the unit",
        "config" => "a config file",
        "env-file" => "an environment file",
        "unit-environment" => "Environment= of the unit",
        _ => "what the server keeps itself",
    }
}
