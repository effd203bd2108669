//! The scenario table: every kind of cluster × everything that can come between, at the changes of a whole rotation.
//!
//! Each point is a fresh fleet whose rotation is interrupted there, and then run again as an operator would who does what
//! the last run has told. It ends proven, and no change is ever a danger. The ordinary tests play some points of each cell; `just table`
//! (`KEYROLL_TABLE=all`, some minutes in release) plays every one, `KEYROLL_TABLE=PART` every one of those rows or columns whose name has that part, and shows
//! the words of those who refuse, which none may.

mod play;
mod print;
mod stage;

use std::collections::{BTreeMap, BTreeSet};

use keyroll::exit::Exit;

use super::rig::Rig;
use super::wire::{Cut, Way};
use play::{End, Point};
use stage::{Course, Stage};

/// A kind of cluster.
struct Topology {
    name: &'static str,
    fleet: &'static str,
    unmeasured: bool,
    /// Why no other server can join it.
    alone: Option<&'static str>,
}

const fn on(name: &'static str, fleet: &'static str) -> Topology {
    Topology {
        name,
        fleet,
        unmeasured: false,
        alone: None,
    }
}

impl Topology {
    /// Why something cannot come between there.
    fn cannot(&self, way: &str) -> Option<&'static str> {
        match way {
            ONE_IS_DOWN if self.fleet.starts_with("sim:1+") => Some("it has one server"),
            way if SERVER_JOINS.contains(&way) => self.alone,
            _ => None,
        }
    }
}

/// A cluster whose datastore is a file of its only server.
const fn alone(name: &'static str, fleet: &'static str) -> Topology {
    Topology {
        alone: Some("its datastore is sqlite, which one server has alone"),
        ..on(name, fleet)
    }
}

const TOPOLOGIES: [Topology; 14] = [
    alone("one server, sqlite", "sim:1+1?surface=config"),
    on("one server, etcd", "sim:1+1?datastore=etcd"),
    on("three etcd servers", "sim:3+1?surface=config"),
    on("five etcd servers", "sim:5+1?surface=config"),
    on("two etcd servers", "sim:2+1?surface=config"),
    Topology {
        unmeasured: true,
        ..on("external datastore", "sim:2+1?datastore=external")
    },
    Topology {
        unmeasured: true,
        ..on("split roles", "sim:3+1?topology=split")
    },
    on("nothing configured", "sim:3+1?surface=nothing"),
    on("disable-agent servers", "sim:3+1?disable-agent=yes"),
    on("a VIP as server:", "sim:3+1?joins=vip"),
    on("K10 forms", "sim:2+2?datastore=external"),
    alone("separate agent token", "sim:1+1?agent-token=separate"),
    alone("token in arguments", "sim:1+1?surface=argument"),
    on("token in environment files", "sim:2+1?surface=env"),
];

const WAYS: [Way; 17] = [
    ("server reboots", Cut::ServerReboots),
    ("agent reboots", Cut::AgentReboots),
    ("all cut before", Cut::AllGone),
    ("all cut after", Cut::AllGoneAfter),
    ("host away", Cut::HostGone),
    ("lost, done", Cut::UnknownDone),
    ("lost, not done", Cut::UnknownUndone),
    ("Ctrl-C", Cut::Stop),
    ("node joins, OLD", Cut::JoinsWithOld),
    ("node joins, NEW", Cut::JoinsWithNew),
    (SERVER_JOINS[0], Cut::ServerJoinsWithOld),
    (SERVER_JOINS[1], Cut::ServerJoinsWithNew),
    ("file put back", Cut::PutBack),
    ("all put back", Cut::AllPutBack),
    ("rotated by hand", Cut::RotatesByHand),
    (ONE_IS_DOWN, Cut::RotatesWhileOneIsDown),
    ("k3s restarted", Cut::RestartsByHand),
];

/// What needs a cluster that other servers can join.
const SERVER_JOINS: [&str; 2] = ["server joins, OLD", "server joins, NEW"];

/// What needs another server that is down meanwhile.
const ONE_IS_DOWN: &str = "by hand, one down";

/// What came of one cell.
#[derive(Default)]
struct Cell {
    /// Points that there are.
    points: usize,
    played: usize,
    proven: usize,
    /// Names of findings, and at how many points a run ended with them before the last.
    told: BTreeMap<String, usize>,
    /// The same of the last run, where the fleet is not proven.
    refused: BTreeMap<String, usize>,
    /// In which words.
    words: BTreeSet<String>,
    wrong: Vec<String>,
}

/// The changes of a whole rotation.
fn measure(topology: &Topology) -> Course {
    let mut rig = Rig::new(topology.fleet);
    rig.block_on(async |rig| {
        rig.unmeasured = topology.unmeasured;
        let whole = rig.run(1, Cut::Never, false).await;
        assert_eq!(whole.exit, Exit::Fine, "{}: {whole:?}", topology.name);
        let (put, log) = (rig.put(), rig.wire.state().log.clone());
        let course = Course::of(&log, put);
        assert_eq!(course.stages.len(), rig.tried(), "{}", topology.name);
        course
    })
}

/// The points of a cell that are played: all, or by turns one of those that matter most; of large fleets in some cells.
fn sample(points: usize, put: usize, cell: usize, all: bool) -> Vec<usize> {
    if all {
        return (0..points).collect();
    }
    if points > 24 && !cell.is_multiple_of(3) {
        return Vec::new();
    }
    let turns = [put + 1, put, put + 3, points - 3, cell % points];
    vec![turns[cell % turns.len()] % points]
}

fn cell(topology: &Topology, (name, way): Way, points: &[(usize, Stage)]) -> Cell {
    let mut cell = Cell::default();
    for (at, stage) in points.iter().copied() {
        let point = Point {
            fleet: topology.fleet,
            unmeasured: topology.unmeasured,
            cut: way(at),
        };
        let mut played = point.play();
        cell.played += 1;
        for told in played.told {
            *cell.told.entry(told).or_default() += 1;
        }
        match played.end {
            End::Proven => cell.proven += 1,
            End::Refused(names, words) => {
                let odd = names.iter();
                let odd = odd.map(|name| format!("refused by {name} at {stage:?}: {words}"));
                played.wrong.extend(odd);
                cell.words
                    .insert(format!("{stage:?}, change {at}: {words}"));
                for name in names {
                    *cell.refused.entry(name).or_default() += 1;
                }
            }
        }
        let said = played.wrong.into_iter();
        cell.wrong
            .extend(said.map(|what| format!("{}, {name}, change {at}: {what}", topology.name)));
    }
    cell
}

/// Plays each of the rows whose number leaves this rest, and prints them.
fn rows(rest: usize, tests: usize) {
    let wish = crate::e2e::wish("KEYROLL_TABLE").unwrap_or_default();
    let (all, part) = match wish.as_str() {
        "all" => (true, ""),
        part => (!part.is_empty(), part),
    };
    let is_wanted = |name: &str, other: &str| name.contains(part) || other.contains(part);
    let mut wrong = Vec::new();
    for (row, topology) in TOPOLOGIES
        .iter()
        .enumerate()
        .filter(|(row, _)| row % tests == rest)
    {
        let course = measure(topology);
        let points = course.stages.len();
        let ways = WAYS.iter().enumerate();
        let ways = ways.filter(|(_, way)| is_wanted(way.0, topology.name));
        let mut cells = Vec::new();
        for (column, way) in ways {
            let number = row * 5 + column;
            if let Some(why) = topology.cannot(way.0) {
                cells.push((way.0, Err(why)));
                continue;
            }
            let sample = sample(points, course.put, number, all).into_iter();
            let sample: Vec<(usize, Stage)> = sample.map(|at| (at, course.stages[at])).collect();
            let mut cell = cell(topology, *way, &sample);
            cell.points = points;
            wrong.append(&mut cell.wrong);
            cells.push((way.0, Ok(cell)));
        }
        print::row(topology.name, &cells, !part.is_empty());
    }
    super::nothing_is(&wrong);
}

#[test]
fn the_table_1_of_4() {
    rows(0, 4);
}

#[test]
fn the_table_2_of_4() {
    rows(1, 4);
}

#[test]
fn the_table_3_of_4() {
    rows(2, 4);
}

#[test]
fn the_table_4_of_4() {
    rows(3, 4);
}
