//! One point of the table: a fleet, a rotation that something comes between, and the runs after it.

use std::collections::BTreeSet;

use keyroll::exit::Exit;
use keyroll::sim::fleet::Host;

use crate::cuts::hand;
use crate::cuts::rig::{Ended, Inner, Rig};
use crate::cuts::state::SERVERS;
use crate::cuts::wire::Cut;

/// How many runs an operator has the patience for.
const RUNS: usize = 7;
const AGENTS: [&str; 3] = ["agent-1", "agent-2", "agent-3"];

/// A fleet, and where something comes between.
pub(super) struct Point {
    pub(super) fleet: &'static str,
    pub(super) unmeasured: bool,
    pub(super) cut: Cut,
}

/// How it ended.
pub(super) enum End {
    /// All hosts of the inventory run with one token, and it is not the first.
    Proven,
    /// keyroll goes no further: the names of why, and in which words.
    Refused(BTreeSet<String>, String),
}

/// What came of a point.
pub(super) struct Played {
    pub(super) end: End,
    /// What runs before the last have ended with.
    pub(super) told: BTreeSet<String>,
    pub(super) wrong: Vec<String>,
}

/// What an operator is told to do next.
enum Told {
    Again,
    Rescue(&'static str),
    RollBack,
    Heal,
    Invite,
}

impl Point {
    pub(super) fn play(&self) -> Played {
        let joins = matches!(self.cut, Cut::JoinsWithOld(_) | Cut::JoinsWithNew(_));
        let fleet = if joins {
            one_more(self.fleet)
        } else {
            self.fleet.to_owned()
        };
        let mut rig = Rig::new(&fleet);
        rig.block_on(async |rig| {
            rig.unmeasured = self.unmeasured;
            let whole = rig.inventory.clone();
            if joins {
                let name = rig.wire.with(hand::newcomer);
                rig.inventory.hosts.shift_remove(&name);
                for hosts in rig.inventory.groups.values_mut() {
                    hosts.shift_remove(&name);
                }
                rig.sleep(1).await;
            }
            let first = rig.run(1, self.cut, false).await;
            let mut course = Course {
                told: BTreeSet::new(),
                wrong: Vec::new(),
                runs: Vec::new(),
                invited: !joins,
                is_meddled: matches!(self.cut, Cut::RotatesByHand(_)),
            };
            let end = course.follow(rig, first, whole).await;
            course.wrong.extend(rig.wire.state().dangers.clone());
            if !course.wrong.is_empty() {
                course.wrong.push(format!("it went: {:#?}", course.runs));
            }
            Played {
                end,
                told: course.told,
                wrong: course.wrong,
            }
        })
    }
}

/// The same fleet with one more agent.
fn one_more(fleet: &str) -> String {
    let (counts, rest) = fleet.split_once('?').unwrap();
    let (servers, agents) = counts.split_once('+').unwrap();
    let agents: usize = agents.parse().unwrap();
    format!("{servers}+{}?{rest}", agents + 1)
}

struct Course {
    told: BTreeSet<String>,
    wrong: Vec<String>,
    /// What was run, and how each ended.
    runs: Vec<String>,
    /// Whether the inventory has everybody.
    invited: bool,
    /// Whether the token may be somebody else's in the end.
    is_meddled: bool,
}

impl Course {
    /// Does what runs say until one ends well, or says the same twice.
    async fn follow(
        &mut self,
        rig: &mut Inner,
        first: Ended,
        whole: keyroll::inventory::Inventory,
    ) -> End {
        let (mut last, mut said) = (first, BTreeSet::new());
        self.runs.push(format!("run 1: {last:?}"));
        for number in 2..=RUNS {
            rig.sleep(3).await;
            if last.exit == Exit::Fine {
                let odd = self.odd(rig, number - 1);
                if odd.is_empty() {
                    return End::Proven;
                }
                rig.book = ("@verify", None);
                last = self.run(rig, number).await;
                rig.book = ("@rotate-token", None);
                if last.exit == Exit::Fine {
                    self.wrong.push(format!("proven, and {odd:?}"));
                    return End::Proven;
                }
            }
            let names = names(&last);
            match self.told(&last) {
                Told::Rescue(server) => {
                    rig.book = ("@rescue", Some(server));
                    let rescued = self.run(rig, number).await;
                    if rescued.exit != Exit::Fine {
                        let told = format!("{server} cannot be rescued, as was told: {last:?}");
                        self.wrong.push(format!("{told}\n   {rescued:?}"));
                        return End::Refused(self::names(&rescued), format!("{rescued:?}"));
                    }
                }
                Told::RollBack => self.does("@rollback", rig, number).await,
                Told::Heal => self.does("@heal", rig, number).await,
                Told::Invite => {
                    self.invited = true;
                    rig.inventory = whole.clone();
                }
                Told::Again if number > 3 && names == said => {
                    self.wrong.extend(unnamed(rig, &last));
                    return End::Refused(names, format!("{last:?}"));
                }
                Told::Again => {}
            }
            rig.book = ("@rotate-token", None);
            self.told.extend(names.clone());
            said = names;
            last = self.run(rig, number).await;
        }
        if last.exit == Exit::Fine && self.odd(rig, RUNS).is_empty() {
            return End::Proven;
        }
        self.wrong.push(format!("it never ends: {last:?}"));
        End::Refused(names(&last), format!("{last:?}"))
    }

    /// A run that nothing comes between.
    async fn run(&mut self, rig: &mut Inner, number: usize) -> Ended {
        let ended = rig.run(number, Cut::Never, false).await;
        self.runs
            .push(format!("{:?} {number}: {ended:?}", rig.book));
        ended
    }

    async fn does(&mut self, book: &'static str, rig: &mut Inner, number: usize) {
        rig.book = (book, None);
        let ended = self.run(rig, number).await;
        if ended.exit != Exit::Fine {
            self.wrong.push(format!("{book}, as was told: {ended:?}"));
        }
    }

    /// What is not as it should be after a run that ended well.
    fn odd(&self, rig: &Inner, number: usize) -> Vec<String> {
        let token = rig.datastore().unwrap_or_default();
        let mut odd = rig.unlike(&token);
        if token == rig.old() {
            odd.push("the datastore has the old token".to_owned());
        }
        let expected = rig.expected(number);
        // What was taken back is begun anew.
        let back = |run: &String| run.contains("rolled_back@server-1: done");
        let is_anew = self.is_meddled || self.runs.iter().any(back);
        if !is_anew && token != expected && odd.is_empty() {
            odd.push(format!("the token is {token}, not {expected}"));
        }
        odd
    }

    fn told(&self, last: &Ended) -> Told {
        let text = format!("{} {}", last.roots.join("; "), last.next);
        if let Some((_, rest)) = text.split_once("keyroll rescue ") {
            let mut hosts = SERVERS.into_iter().chain(AGENTS);
            if let Some(host) = hosts.find(|host| rest.starts_with(host)) {
                return Told::Rescue(host);
            }
        }
        if last
            .roots
            .iter()
            .any(|root| root.contains("keyroll rollback"))
        {
            return Told::RollBack;
        }
        if text.contains("keyroll heal") {
            return Told::Heal;
        }
        if !self.invited && text.contains("(node-not-in-inventory)") {
            return Told::Invite;
        }
        Told::Again
    }
}

/// The findings that a run ended with; where there is none, its exit number.
fn names(ended: &Ended) -> BTreeSet<String> {
    let whats = ended.roots.iter().flat_map(|root| {
        let (what, _) = root.split_once("; next: ").unwrap_or((root, ""));
        what.split(" / ").collect::<Vec<_>>()
    });
    let name = |what: &str| Some(what.strip_suffix(')')?.rsplit_once('(')?.1.to_owned());
    let mut names: BTreeSet<String> = whats
        .filter_map(name)
        .filter(|name| is_name(name))
        .collect();
    if names.is_empty() {
        names.insert(format!("exit {}", ended.exit as i32));
    }
    names
}

fn is_name(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_lowercase() || c == '-';
    text.contains('-') && text.chars().all(is_plain)
}

/// Servers that are down, and are not in what the last run has said.
fn unnamed(rig: &Inner, last: &Ended) -> Vec<String> {
    let text = last.roots.join("; ");
    let mut wrong: Vec<String> = rig.wire.with(|fleet| {
        let down = |host: &&Host| host.is_server && host.serving().is_none();
        let down = fleet.hosts().iter().filter(down);
        let unsaid = down.filter(|host| !text.contains(host.name.as_str()));
        unsaid
            .map(|host| format!("{} is down, which is not said: {text}", host.name))
            .collect()
    });
    if !names(last).iter().any(|name| is_name(name)) {
        wrong.push(format!("refused without a name: {last:?}"));
    }
    wrong
}
