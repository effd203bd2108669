//! One point of the table: a fleet, a rotation that something comes between, and the runs after it.

use std::collections::BTreeSet;

use keyroll::exit::Exit;
use keyroll::inventory::Inventory;
use keyroll::model::HostName;
use keyroll::sim::fleet::Host;

use crate::torn::hand::{self, Newcomer};
use crate::torn::rig::{Ended, Inner, Rig};
use crate::torn::state::SERVERS;
use crate::torn::wire::Cut;

/// How many runs an operator has the patience for.
const RUNS: usize = 7;
/// And how often one server is rescued, with what that rescue wants first.
const RESCUES: usize = 8;
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
    Restart(&'static str),
    /// `token:` with the one that it keeps itself.
    Configure(&'static str),
    /// Which token the datastore has, as whoever has rotated by hand knows.
    Say,
    RollBack,
    Heal,
    Invite,
}

impl Point {
    pub(super) fn play(&self) -> Played {
        let newcomer = Newcomer::of(self.cut);
        let fleet = newcomer.map(|newcomer| newcomer.fleet(self.fleet));
        let mut rig = Rig::new(fleet.as_deref().unwrap_or(self.fleet));
        rig.block_on(async |rig| {
            rig.unmeasured = self.unmeasured;
            let newcomer = match newcomer {
                Some(newcomer) => Some(left_out(rig, newcomer).await),
                None => None,
            };
            let first = rig.run(1, self.cut, false).await;
            let mut course = Course {
                told: BTreeSet::new(),
                wrong: Vec::new(),
                runs: Vec::new(),
                newcomer,
                is_anew: matches!(
                    self.cut,
                    Cut::RotatesByHand(_) | Cut::RotatesWhileOneIsDown(_)
                ),
            };
            let end = course.follow(rig, first).await;
            course.wrong.extend(rig.wire.state().dangers.clone());
            if !course.wrong.is_empty() || matches!(end, End::Refused(..)) {
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

/// Who is to join, and the inventory that has him.
struct LeftOut {
    name: HostName,
    whole: Inventory,
}

/// Takes the newcomer out of the cluster and of the inventory.
async fn left_out(rig: &mut Inner, newcomer: Newcomer) -> LeftOut {
    let whole = rig.inventory.clone();
    let name = rig.wire.with(|fleet| newcomer.make(fleet));
    rig.inventory.hosts.shift_remove(&name);
    for hosts in rig.inventory.groups.values_mut() {
        hosts.shift_remove(&name);
    }
    rig.sleep(1).await;
    LeftOut { name, whole }
}

struct Course {
    told: BTreeSet<String>,
    wrong: Vec<String>,
    /// What was run, and how each ended.
    runs: Vec<String>,
    /// Who joins and is not in the inventory yet.
    newcomer: Option<LeftOut>,
    /// Whether the token may be another one in the end than the first run's: somebody's, or a later rotation's.
    is_anew: bool,
}

impl Course {
    /// Does what runs say until one ends well, or says the same twice.
    async fn follow(&mut self, rig: &mut Inner, first: Ended) -> End {
        let (mut last, mut said) = (first, BTreeSet::new());
        self.runs.push(format!("run 1: {last:?}"));
        for number in 2..=RUNS {
            rig.sleep(3).await;
            if last.exit == Exit::Fine {
                match self.proven(rig, number).await {
                    Ok(()) => return End::Proven,
                    Err(verified) => last = verified,
                }
            }
            let names = names(&last);
            match self.told(&last) {
                Told::Rescue(host) => {
                    if let Some(end) = self.rescue(host, &last, rig, number).await {
                        return end;
                    }
                }
                Told::Restart(host) => rig.wire.with(|fleet| {
                    hand::restarts(fleet, &HostName::new(host).unwrap());
                }),
                Told::Configure(_) | Told::Say => {
                    self.wrong.push(format!("before a rescue: {last:?}"));
                }
                Told::RollBack => self.does("@rollback", rig, number).await,
                Told::Heal => self.does("@heal", rig, number).await,
                Told::Invite => self.invite(rig),
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
        if last.exit == Exit::Fine && self.newcomer.is_none() && self.odd(rig, RUNS).is_empty() {
            return End::Proven;
        }
        self.wrong.push(format!("it never ends: {last:?}"));
        End::Refused(names(&last), format!("{last:?}"))
    }

    /// After a run that ended well: whether all is well. Where it is not, the proof alone says so, or a newcomer is in the
    /// inventory from now on, and the next rotation is another one.
    async fn proven(&mut self, rig: &mut Inner, number: usize) -> Result<(), Ended> {
        let odd = self.odd(rig, number - 1);
        if odd.is_empty() && self.newcomer.is_none() {
            return Ok(());
        }
        rig.book = ("@verify", None);
        let verified = self.run(rig, number).await;
        rig.book = ("@rotate-token", None);
        if let Some(newcomer) = &self.newcomer {
            let name = &newcomer.name;
            let is_there = hand::is_of_the_cluster;
            let is_there = rig
                .wire
                .with(|fleet| fleet.host(name).is_some_and(is_there));
            if !is_there && name.as_str().starts_with("agent-") {
                // It is refused for ever, and nobody is told of it.
                return Ok(());
            }
            if is_there && !is_stranger_named(&verified) {
                let what = format!("{name} has joined, and is not named: {verified:?}");
                self.wrong.push(what);
            }
            self.is_anew = true;
            self.invite(rig);
        } else if verified.exit == Exit::Fine {
            self.wrong.push(format!("proven, and {odd:?}"));
            return Ok(());
        }
        Err(verified)
    }

    /// The inventory has the newcomer.
    fn invite(&mut self, rig: &mut Inner) {
        if let Some(newcomer) = self.newcomer.take() {
            rig.inventory = newcomer.whole;
        }
    }

    /// The end, where a rescue that was told of does not go well.
    async fn rescue(
        &mut self,
        host: &'static str,
        last: &Ended,
        rig: &mut Inner,
        number: usize,
    ) -> Option<End> {
        let mut said = BTreeSet::new();
        for _ in 0..RESCUES {
            rig.book = ("@rescue", Some(host));
            let rescued = self.run(rig, number).await;
            if rescued.exit == Exit::Fine {
                return None;
            }
            match self.told(&rescued) {
                Told::Say => rig.token_from = Some(hand::BY_HAND),
                Told::Configure(server) => {
                    let server = HostName::new(server).unwrap();
                    rig.wire
                        .with(|fleet| hand::configures_its_own(fleet, &server));
                    rig.sleep(1).await;
                }
                Told::Restart(peer) => {
                    let peer = HostName::new(peer).unwrap();
                    rig.wire.with(|fleet| hand::restarts(fleet, &peer));
                    rig.sleep(60).await;
                }
                Told::Rescue(other) if other != host => {
                    rig.book = ("@rescue", Some(other));
                    self.run(rig, number).await;
                }
                // It says the same twice.
                _ if names(&rescued) == said && said.iter().any(|name| is_name(name)) => {
                    return Some(End::Refused(said, format!("{rescued:?}")));
                }
                _ => {}
            }
            said = names(&rescued);
            self.told.extend(said.clone());
        }
        let told = format!("{host} cannot be rescued, as was told: {last:?}");
        self.wrong.push(told.clone());
        Some(End::Refused(said, told))
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
        let is_anew = self.is_anew || self.runs.iter().any(back);
        if !is_anew && token != expected && odd.is_empty() {
            odd.push(format!("the token is {token}, not {expected}"));
        }
        odd
    }

    fn told(&self, last: &Ended) -> Told {
        let text = format!("{} {}", last.roots.join("; "), last.next);
        let named = |before: &str| {
            let (_, rest) = text.split_once(before)?;
            let mut hosts = SERVERS.into_iter().chain(AGENTS);
            hosts.find(|host| rest.starts_with(host))
        };
        if names(last).contains("token-not-certain") && self.is_anew {
            return Told::Say;
        }
        if let Some(host) = named("keyroll rescue ") {
            return Told::Rescue(host);
        }
        let own = |host: &&str| text.contains(&format!("on {host} `token:` with the one of /"));
        if let Some(host) = SERVERS.into_iter().find(own) {
            return Told::Configure(host);
        }
        // `… to take the new token too: there, as root: systemctl restart …`
        if let Some(host) = named("it waits for ").or_else(|| as_root(&text)) {
            return Told::Restart(host);
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
        if self.newcomer.is_some() && is_stranger_named(last) {
            return Told::Invite;
        }
        Told::Again
    }
}

/// Whether a run ended since somebody is in the cluster and not in the inventory.
fn is_stranger_named(ended: &Ended) -> bool {
    let names = names(ended);
    ["node-not-in-inventory", "etcd-member-not-in-inventory"]
        .iter()
        .any(|name| names.contains(*name))
}

/// The server of `on HOST, as root: systemctl restart …`.
fn as_root(text: &str) -> Option<&'static str> {
    let (before, _) = text.split_once(", as root: systemctl restart")?;
    SERVERS.into_iter().find(|host| before.ends_with(host))
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
        let down = |host: &&Host| down(host) && rig.inventory.hosts.contains_key(&host.name);
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
