//! systemd units: the state of one, and which of them run K3s.

mod written;

use std::collections::HashMap;

use camino::Utf8PathBuf;

use written::{argv, environment, environment_files};

use super::started::{self, BootClock, Stamp};
use super::{Fact, FactError, ran, said, succeeded, unreadable};
use crate::k3s::install::{Manager, UnitText};
use crate::k3s::unsaved::Start;
use crate::model::{HostTime, count};
use crate::wire::{Command, Query, Ran, Response};

const PROPERTIES: &str = "--property=Id,LoadState,ActiveState,SubState,MainPID,NRestarts,InvocationID,\
ExecMainStartTimestamp,ExecMainStartTimestampMonotonic,ActiveEnterTimestamp,ActiveEnterTimestampMonotonic,\
Type,NeedDaemonReload,UnitFileState,Result,FragmentPath,DropInPaths,\
ExecStart,Environment,EnvironmentFiles";

/// The state of one unit, now.
#[derive(Debug, Clone)]
pub struct Unit {
    /// Such as `k3s.service`.
    pub name: String,
}

/// All units that run `k3s server` or `k3s agent`, running or not; where there is none, what else runs under such a
/// name. [`Unmanaged`] on a host without systemd.
#[derive(Debug, Clone, Copy)]
pub struct Units;

/// The host's own clock, now.
#[derive(Debug, Clone, Copy)]
pub struct HostClock;

impl Fact for HostClock {
    type Value = HostTime;

    fn queries(&self) -> Vec<Query> {
        vec![Query::Run(Command::new(["date", "+%s.%N"]))]
    }

    fn parse(&self, responses: &[Response]) -> Result<HostTime, FactError> {
        clock(ran(responses, 0, "the host's clock")?)
    }
}

fn clock(date: &Ran) -> Result<HostTime, FactError> {
    let said = date.stdout.text();
    let time = micros(said.trim()).map(HostTime);
    time.ok_or_else(|| unreadable("the host's clock", format!("`date` said {said:?}")))
}

const WHAT: &str = "the state of the K3s unit";

/// What systemd says of a unit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnitState {
    /// `loaded`, `not-found`, `masked`, …
    pub load_state: String,
    /// `active`, `activating`, `failed`, `inactive`, …
    pub active_state: String,
    /// `running`, `start`, `auto-restart`, `dead`, …
    pub sub_state: String,
    /// 0 when it does not run.
    pub main_pid: u32,
    /// Restarts by systemd itself since somebody last started it.
    pub n_restarts: u64,
    /// Changes with every start.
    pub invocation: String,
    /// When its main process started; `None` when it never did.
    pub started: Option<HostTime>,
    /// When its process said that it is ready; `None` when it never did, or its kind of unit does not say so.
    pub ready: Option<HostTime>,
    /// When its last start may have written files, by the clock of then; `None` when one of both moments is not known.
    pub start: Option<Start>,
    /// The host's clock when it was asked.
    pub now: HostTime,
    /// `success`, `exit-code`, `timeout`, …
    pub result: String,
    /// Whether unit files were changed since systemd read them.
    pub needs_reload: bool,
    /// `enabled`, `disabled`, `masked`, …
    pub file_state: String,
    /// What it runs and where that is written.
    pub text: UnitText,
}

impl UnitState {
    /// Whether its main process is up and said so.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.active_state == "active"
    }

    /// Whether it runs, is being started or stopped, or would start at boot.
    fn is_alive(&self) -> bool {
        let rests = matches!(self.active_state.as_str(), "inactive" | "failed");
        self.main_pid > 0 || !rests || self.file_state.starts_with("enabled")
    }

    /// Whether it is being started, and systemd has not tried before: no crash loop.
    #[must_use]
    pub fn is_first_start(&self) -> bool {
        self.active_state == "activating"
            && self.n_restarts == 0
            && self.sub_state != "auto-restart"
    }

    /// Whether its command says `server` or `agent`, as K3s's own does.
    #[must_use]
    pub fn names_a_kind(&self) -> bool {
        let mut words = self.text.argv.iter().skip(1);
        words.any(|word| word == "server" || word == "agent")
    }

    /// `activating (auto-restart), restarted 4 times`.
    #[must_use]
    pub fn words(&self) -> String {
        let times = if self.n_restarts == 0 {
            String::new()
        } else {
            format!(", restarted {}", count(self.n_restarts, "time", "times"))
        };
        format!("{} ({}){times}", self.active_state, self.sub_state)
    }
}

impl Fact for Unit {
    type Value = UnitState;

    fn queries(&self) -> Vec<Query> {
        show(&[&self.name])
    }

    fn parse(&self, responses: &[Response]) -> Result<UnitState, FactError> {
        let mut blocks = blocks(responses)?;
        let found = blocks
            .iter()
            .position(|unit| unit.text.id == self.name)
            .unwrap_or(0);
        if blocks.is_empty() {
            Err(unreadable(
                format!("the state of {}", self.name),
                "systemctl said nothing",
            ))
        } else {
            Ok(blocks.swap_remove(found))
        }
    }
}

/// A host whose services systemd does not run, and what `systemctl` said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmanaged(pub String);

impl Fact for Units {
    type Value = Result<Vec<UnitState>, Unmanaged>;

    fn queries(&self) -> Vec<Query> {
        show(&[
            "k3s.service",
            "k3s-agent.service",
            "k3s*.service",
            "rke2-server.service",
            "rke2-agent.service",
        ])
    }

    fn parse(&self, responses: &[Response]) -> Result<Self::Value, FactError> {
        let shown = ran(responses, 2, WHAT)?;
        if shown.status != 0 && !shown.timed_out {
            let said = said(shown);
            // Another answer, such as that of a bus that is busy, says nothing of what runs there.
            let is_none = shown.status == 127 || said.contains("not been booted with systemd");
            return if is_none {
                Ok(Err(Unmanaged(said)))
            } else {
                Err(unreadable(WHAT, said))
            };
        }
        let mut all: Vec<UnitState> = Vec::new();
        for unit in blocks(responses)? {
            if !all.iter().any(|other| other.text.id == unit.text.id) {
                all.push(unit);
            }
        }
        let (mut found, others): (Vec<UnitState>, Vec<UnitState>) =
            all.into_iter().partition(UnitState::names_a_kind);
        // A second unit that neither runs nor would start is a leftover, failed or not.
        if found.iter().any(UnitState::is_alive) {
            found.retain(UnitState::is_alive);
        } else if found.is_empty() {
            found.extend(others.into_iter().filter(|unit| unit.main_pid > 0));
        }
        Ok(Ok(found))
    }
}

/// systemd's words, to the microsecond where it can, and when the first process and those of the units started by the clock
/// that counts from boot.
const SHOW: &str = r#"shown=$(systemctl show --timestamp=us+utc "$@" 2>/dev/null || systemctl show "$@") || exit
printf '%s\n' "$shown"
for pid in 1 $(printf '%s\n' "$shown" | sed -n 's/^MainPID=\([1-9][0-9]*\)$/\1/p'); do
  printf '\nStarted=%s\n' "$(cat "/proc/$pid/stat" 2>/dev/null)"
done"#;

fn show(units: &[&str]) -> Vec<Query> {
    let argv = ["env", "TZ=UTC", "sh", "-c", SHOW, "sh", PROPERTIES]
        .iter()
        .chain(units);
    vec![
        // In this order the time between the two makes a process seem younger, never older than its file.
        Query::read("/proc/uptime"),
        Query::Run(Command::new(["date", "+%s.%N"])),
        Query::Run(Command::new(argv.map(|word| (*word).to_owned()))),
    ]
}

fn blocks(responses: &[Response]) -> Result<Vec<UnitState>, FactError> {
    let shown = succeeded(responses, 2, WHAT)?;
    let HostTime(now) = clock(ran(responses, 1, "the host's clock")?)?;
    let Some(Response::Content(Some(uptime))) = responses.first() else {
        return Err(unreadable("/proc/uptime", "there is no such file"));
    };
    let uptime = uptime.text().split_whitespace().next().and_then(micros);
    let booted = uptime
        .map(|uptime| now - uptime)
        .ok_or_else(|| unreadable("/proc/uptime", "it is no number"))?;
    let text = shown.stdout.text();
    let clock = BootClock::read(&text, booted);
    Ok(text
        .split("\n\n")
        .filter(|block| block.contains("Id="))
        .map(|block| state(block, now, &clock))
        .collect())
}

fn state(block: &str, now: i64, clock: &BootClock) -> UnitState {
    // Backwards, so that of two lines with one key the first counts.
    let pairs = block.lines().rev().filter_map(|line| line.split_once('='));
    let properties: HashMap<&str, &str> = pairs.collect();
    let get = |key: &str| properties.get(key).copied().unwrap_or_default().to_owned();
    let main_pid = get("MainPID").parse().unwrap_or(0);
    let stamp = |key: &str| {
        let exact = get(&format!("{key}Monotonic")).parse::<i64>().ok();
        let monotonic = exact.filter(|micros| *micros > 0)?;
        Some(Stamp {
            monotonic,
            wall: get(key),
        })
    };
    let started = stamp("ExecMainStartTimestamp");
    let moment = |stamp: Stamp| clock.moment(&stamp, started.as_ref(), main_pid);
    let ready = stamp("ActiveEnterTimestamp").filter(|_| get("Type").starts_with("notify"));
    let drop_ins = get("DropInPaths");
    let texts =
        std::iter::once(get("FragmentPath")).chain(drop_ins.split_whitespace().map(str::to_owned));
    UnitState {
        load_state: get("LoadState"),
        active_state: get("ActiveState"),
        sub_state: get("SubState"),
        main_pid,
        n_restarts: get("NRestarts").parse().unwrap_or(0),
        invocation: get("InvocationID"),
        start: started
            .as_ref()
            .zip(ready.as_ref())
            .and_then(|(started, ready)| started::start(started, ready)),
        started: started.clone().map(moment),
        ready: ready.map(moment),
        now: HostTime(now),
        result: get("Result"),
        needs_reload: get("NeedDaemonReload") == "yes",
        file_state: get("UnitFileState"),
        text: UnitText {
            id: get("Id"),
            argv: argv(&get("ExecStart")),
            environment: environment(&get("Environment")),
            environment_files: environment_files(block).map(|(path, _)| path).collect(),
            required_files: environment_files(block)
                .filter_map(|(path, optional)| (!optional).then_some(path))
                .collect(),
            texts: texts
                .filter(|path| !path.is_empty())
                .map(Utf8PathBuf::from)
                .collect(),
            manager: Manager::Systemd,
        },
    }
}

fn micros(seconds: &str) -> Option<i64> {
    let (whole, part) = seconds.split_once('.').unwrap_or((seconds, "0"));
    let part: String = part.chars().chain("000000".chars()).take(6).collect();
    whole
        .parse::<i64>()
        .ok()?
        .checked_mul(1_000_000)?
        .checked_add(part.parse().ok()?)
}

#[cfg(test)]
mod tests;
